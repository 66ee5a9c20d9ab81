/*
 * returning: workers of the last good code, in place of those that die while the code on the disk
 * is broken.
 *
 * uWSGI respawns a worker that has crashed or had its time, and that one would load what is on the
 * disk. Where the nursery holds the last good code, it does not, and another one is forked from
 * there into a free slot.
 */
#ifndef FR_RETURNING_H
#define FR_RETURNING_H

#include <stdbool.h>
#include <stdint.h>

/* Did the code on the disk fail to load, when it was last tried? */
void fr_returning_note(bool is_broken);

/* One more worker of the code that serves: its slot; 0: that is not to be had. */
int fr_returning_begin(int64_t now_ms);

/* The nursery is about to fork one more into this slot, of the code that begins to serve: it joins
 * the others when it is there. */
void fr_returning_await(int wid, int64_t now_ms);

/* The nursery has ended, and will fork none of those any more. */
void fr_returning_lose_unborn(int64_t now_ms);

/* The one in this slot has died before it served. */
void fr_returning_note_lost(int64_t now_ms);

/* New code takes over: whoever is still returning has come too late. */
void fr_returning_abandon(void);

/* Once in every turn. *ret_wake_ms: when to look again at the latest, or -1. A forked child does
 * not return from this. */
void fr_returning_step(int64_t now_ms, int64_t *ret_wake_ms);

#endif
