/*
 * generation: new workers are loaded beside the old ones, take over when all of them are ready, and
 * the old ones leave without dropping a request. If the new code does not load, the old goes on
 * serving.
 *
 * uWSGI is given more worker slots than the user asked for (spare). A generation is a set of slots,
 * taken from those that are free (roster): a worker's applications live in its slot, with pointers
 * into the process that loaded them, so two processes never share one. New workers load the pending
 * changes (candidates, pending), take over (switch), serve (serving) and leave (retire); here is
 * the order of it. Whether an instance may have generations at all is asked of eligible.
 */
#ifndef FR_GENERATION_H
#define FR_GENERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Gives the instance its slots. After all plugins have initialised themselves and before uWSGI
 * makes its tables (post_init). Turns on lazy-apps, because the master must stay clean of the
 * application. 0 or a negative errno.
 */
int fr_generation_prepare(int64_t mercy_ms, int64_t timeout_ms);

/* Lets a nursery load the generations; hooks and ctx are borrowed for ever.
 * After fr_generation_prepare. */
struct fr_nursery_limits;
struct fr_tree;
struct fr_uses_hooks;
void fr_generation_use_nursery(const struct fr_nursery_limits *limits,
			       const struct fr_uses_hooks *hooks, void *ctx, struct fr_tree *tree);

/* In the master, when its loop begins: undoes what only the start needed. */
void fr_generation_enter_loop(void);

struct fr_reload_request;

enum fr_generation_state {
	FR_GENERATION_IDLE,
	FR_GENERATION_LOADING,
	FR_GENERATION_SWAPPED, /* reported once: the new ones have just taken over */
	FR_GENERATION_FAILED,  /* reported once: the old ones go on; see fr_generation_failure */
};

/* Starts candidates, in place of those that are loading. In the master. A forked child does not
 * return from this. */
void fr_generation_start(const struct fr_reload_request *request);

/* Ends the candidates, for newer ones to come; and starts them again if none do. Not while the
 * generations switch. */
void fr_generation_hold(void);
void fr_generation_release(int64_t now_ms);

/* Once in every turn of the master. *ret_wake_ms: when to look again at the latest, or -1. */
enum fr_generation_state fr_generation_step(int64_t now_ms, int64_t *ret_wake_ms);

/* Is this the moment between two generations, in which nothing may be started? */
bool fr_generation_is_switching(void);

/* What became of the candidates that failed, as the end of a sentence; valid until the next start.
 */
const char *fr_generation_failure(void);

/* From where the generation that serves was loaded: how many files had been read before it went on;
 * 0: from the beginning. */
size_t fr_generation_resumed_at(void);

/* What the candidate that failed has printed; valid until the next start. */
const char *fr_generation_failure_output(void);

#endif
