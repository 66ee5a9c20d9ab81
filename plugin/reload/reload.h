/*
 * reload: brings new code into service, and keeps track of it until it serves.
 *
 * Picks the strategy's file by the action that was planned. It knows workers and processes, and
 * nothing of files or of why.
 */
#ifndef FR_RELOAD_H
#define FR_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/plan.h"
#include "reload/strategy.h"

/* Moments of CLOCK_MONOTONIC in ms, which goes on across an exec. */
struct fr_reload_times {
	int64_t event_ms;   /* the first hint of a change */
	int64_t decided_ms; /* the reload was started */
	int64_t gone_ms;    /* the last of the old workers had left; 0: not yet, or not seen */
	int64_t done_ms;    /* the new code serves */
	bool is_swap;       /* the old workers left after, not before, the new ones came */
};

/* Opens what the master and the workers have in common. In the starting process, before anything is
 * forked. 0 or a negative errno. */
int fr_reload_open(void);

/* Starts an action. 0 or a negative errno. */
int fr_reload_start(enum fr_action action, const struct fr_reload_request *request);

/* Goes on with a full reload that the image before this one started. */
void fr_reload_resume(const struct fr_reload_times *times);

/* A file may have changed: what is being loaded may be outdated. Cheap, and does nothing twice. */
void fr_reload_hold(int64_t now_ms);

/* Nothing has changed after all: goes on. */
void fr_reload_release(int64_t now_ms);

/* Is one under way that newer changes have to wait for, by its kind, or because it has been
 * outdated again and again for too long? */
bool fr_reload_must_wait(int64_t now_ms);

/* Is one under way? *ret_times (may be NULL) is filled if so. */
bool fr_reload_is_running(struct fr_reload_times *ret_times);

/*
 * Once in every turn of the master. Returns what has just become of the reload under way, and
 * FR_PROGRESS_RUNNING if there is no news; with news, *ret_times is filled. worker_is_ready: a
 * worker has said so since the last turn. *ret_wake_ms: when the next turn is wanted at the latest,
 * or -1.
 */
enum fr_progress fr_reload_step(int64_t now_ms, bool worker_is_ready,
				struct fr_reload_times *ret_times, int64_t *ret_wake_ms);

/* Just before the exec: the old workers are gone. */
void fr_reload_note_gone(int64_t now_ms);

#endif
