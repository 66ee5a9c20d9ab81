/*
 * poll: what there is to know of the source fr_poll_ops (source.h) beside the contract.
 */
#ifndef FR_POLL_H
#define FR_POLL_H

#include <stdint.h>

struct fr_source;

/* What each outpost may use of one core, in parts of a thousand. */
#define FR_POLL_SHARE 20

/* Sets for outposts that are started from now on how often all folders are looked through, every
 * gap_ms (default 500) at most, and what of one core may be used for it, in parts of a thousand. */
void fr_poll_set_pace(int gap_ms, unsigned share);

/* Begins to count anew how often each outpost has looked through all its folders and said what it
 * found; the one that did so least often. What there was at the mark has been said after two. */
void fr_poll_mark(struct fr_source *source);
uint64_t fr_poll_passes(const struct fr_source *source);

#endif
