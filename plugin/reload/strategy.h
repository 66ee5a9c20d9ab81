/*
 * strategy: the contract of everything that can bring new code into service. One strategy is one file.
 */
#ifndef FR_STRATEGY_H
#define FR_STRATEGY_H

#include <stdbool.h>

struct fr_strategy {
	/* Starts it; argument is what --fastreload-action gave after the colon, borrowed, or NULL. 0 or a negative errno. In the master; never blocks. */
	int (*start)(const char *argument);

	/* Does the new code serve? Asked in every turn of the master. NULL: what follows is somebody else's business. */
	bool (*is_done)(void);

	/* May it be started again while it runs, to take newer code in? Otherwise the next change waits for its end. */
	bool is_restartable;
};

extern const struct fr_strategy fr_strategy_full;
extern const struct fr_strategy fr_strategy_workers;
extern const struct fr_strategy fr_strategy_chain;
extern const struct fr_strategy fr_strategy_touch;

#endif
