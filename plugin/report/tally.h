/*
 * tally: what has happened so far, in numbers.
 *
 * Plain data, all zero at first: it is copied across an exec and into shared memory as it is.
 */
#ifndef FR_TALLY_H
#define FR_TALLY_H

#include <stdint.h>

#define FR_TALLY_RECENT 31

struct fr_tally {
	int64_t batches;   /* of changes that were decided about; the number of the last one */
	int64_t reloads;   /* that brought new code into service */
	int64_t failures;  /* reloads that did not */
	int64_t held;      /* times that changes were held back: a lock, a pause, a loop */
	int64_t ignored;   /* events of files that do not count */
	int64_t lost;      /* times that events were lost, and all was compared */
	int64_t missed;    /* changes of which no event had told, found by an audit */
	int64_t recovered; /* changes that no event told of, found by comparing */
	int64_t last_ms;   /* from the first event of the last reload to the new code in service */
	int32_t recent_ms[FR_TALLY_RECENT]; /* the same of the last ones, in a ring */
	uint32_t recent_next, recent_len;
};

/* A reload has ended well, so long after its first event. */
void fr_tally_reload(struct fr_tally *tally, int64_t ms);

/* The median of the last FR_TALLY_RECENT reloads; 0: there was none. */
int64_t fr_tally_median_ms(const struct fr_tally *tally);

#endif
