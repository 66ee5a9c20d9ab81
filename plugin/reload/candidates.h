/*
 * candidates: new workers are started, and followed until all have loaded the application or one
 * has failed. The nursery loads it for all of them, or each does itself.
 *
 * It knows nothing of what follows: the serving workers are not its business.
 */
#ifndef FR_CANDIDATES_H
#define FR_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_nursery_limits;
struct fr_tree;
struct fr_uses_hooks;

enum fr_candidates_state {
	FR_CANDIDATES_NONE,
	FR_CANDIDATES_LOADING, /* or they wait for slots to become free */
	FR_CANDIDATES_READY,   /* the application is loaded in all of them */
	FR_CANDIDATES_FAILED,  /* once: they have ended; see fr_candidates_failure */
};

/* Lets a nursery load; hooks and ctx are borrowed for ever. */
void fr_candidates_use_nursery(const struct fr_nursery_limits *limits,
			       const struct fr_uses_hooks *hooks, void *ctx, struct fr_tree *tree);

/* Does one? */
bool fr_candidates_have_nursery(void);

/* In the master, when its loop begins. */
void fr_candidates_enter_loop(void);

/* There is something new to load: what failed before counts no more. */
void fr_candidates_forget_failure(void);

/* Starts them, now or when there are slots. They load fr_pending_paths. A forked child does not
 * return from this. */
void fr_candidates_start(int64_t now_ms);

/* Ends them. */
void fr_candidates_stop(void);

/* The instance ends: starts no more, and ends what waits in the nursery. Those that are loading are
 * left to the caller. */
void fr_candidates_wind_up(void);

/* Once in every turn. died_wid: a candidate that has died, or 0; status: of what, see
 * fr_retire_reap. */
enum fr_candidates_state fr_candidates_step(int64_t now_ms, int died_wid, int status);

/* All have loaded, but that is to be looked at once more in the next turn, which should follow at
 * once. */
bool fr_candidates_must_look_again(void);

/* What became of those that failed, as the end of a sentence, and what the one has printed that
 * explains it; valid until the next start. */
const char *fr_candidates_failure(void);
const char *fr_candidates_failure_output(void);

/* From where the last ones were loaded: how many files had been read before it went on; 0: from the
 * beginning. */
size_t fr_candidates_resumed_at(void);

#endif
