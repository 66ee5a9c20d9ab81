/*
 * strategy: the contract of everything that can bring new code into service. One strategy is one
 * file.
 */
#ifndef FR_STRATEGY_H
#define FR_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fr_progress {
	FR_PROGRESS_RUNNING,
	FR_PROGRESS_DONE,   /* the new code serves */
	FR_PROGRESS_FAILED, /* it does not, and the old code goes on serving */
};

/* What is to be loaded, and why. All borrowed for the call. */
struct fr_reload_request {
	const char *argument;       /* what the action has after the colon, or NULL */
	const char *const *changed; /* absolute paths of the files that changed; NULL: files came or
				       went, or it is not known */
	size_t changed_len;
	int64_t event_ms; /* the first hint of a change */
	int64_t now_ms;
};

/* All of these run in the master, and none blocks. */
struct fr_strategy {
	/* Starts it. 0 or a negative errno. */
	int (*start)(const struct fr_reload_request *request);

	/*
	 * More changes are on their way: stops what is being loaded, since it is outdated already,
	 * until start() or release(). NULL: it goes on.
	 */
	void (*hold)(void);

	/* They came to nothing: goes on after hold(). */
	void (*release)(int64_t now_ms);

	/* How far is it? Asked once in every turn of the master while it runs. NULL: what follows
	 * is somebody else's business. */
	enum fr_progress (*progress)(void);

	/* What else it has to do, in every turn, whether it runs or not; NULL: nothing. Sets
	 * *ret_wake_ms to when it wants the next turn at the latest, or to -1. */
	void (*tend)(int64_t now_ms, int64_t *ret_wake_ms);

	/* May it be started now, if it runs already, to take newer code in? NULL: no, the next
	 * change waits for its end. */
	bool (*is_restartable)(void);
};

extern const struct fr_strategy fr_strategy_swap;
extern const struct fr_strategy fr_strategy_full;
extern const struct fr_strategy fr_strategy_workers;
extern const struct fr_strategy fr_strategy_chain;
extern const struct fr_strategy fr_strategy_touch;
extern const struct fr_strategy fr_strategy_signal;
extern const struct fr_strategy fr_strategy_mules;
extern const struct fr_strategy fr_strategy_spoolers;

/* Just before the exec of a full reload: makes uWSGI close only the descriptors that there are. */
void fr_full_shorten_closing(void);

/* For strategies that can always be started again. */
bool fr_strategy_always(void);

#endif
