/*
 * strategy: the contract of everything that can bring new code into service. One strategy is one file.
 */
#ifndef FR_STRATEGY_H
#define FR_STRATEGY_H

#include <stdbool.h>
#include <stdint.h>

enum fr_progress {
	FR_PROGRESS_RUNNING,
	FR_PROGRESS_DONE,   /* the new code serves */
	FR_PROGRESS_FAILED, /* it does not, and the old code goes on serving */
};

/* All of these run in the master, and none blocks. */
struct fr_strategy {
	/* Starts it; argument is what --fastreload-action gave after the colon, borrowed, or NULL. 0 or a negative errno. */
	int (*start)(const char *argument, int64_t now_ms);

	/* How far is it? Asked once in every turn of the master while it runs. NULL: what follows is somebody else's business. */
	enum fr_progress (*progress)(void);

	/* What else it has to do, in every turn, whether it runs or not; NULL: nothing. Sets *ret_wake_ms to when it wants the next turn at the latest, or to -1. */
	void (*tend)(int64_t now_ms, int64_t *ret_wake_ms);

	/* May it be started now, if it runs already, to take newer code in? NULL: no, the next change waits for its end. */
	bool (*is_restartable)(void);
};

extern const struct fr_strategy fr_strategy_swap;
extern const struct fr_strategy fr_strategy_full;
extern const struct fr_strategy fr_strategy_workers;
extern const struct fr_strategy fr_strategy_chain;
extern const struct fr_strategy fr_strategy_touch;

/* For strategies that can always be started again. */
bool fr_strategy_always(void);

#endif
