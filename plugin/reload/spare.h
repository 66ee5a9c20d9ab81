/*
 * spare: uWSGI is given more worker slots than the user asked for, and nobody else notices.
 *
 * The slots without work are "cheaped", uWSGI's own notion for a worker that is not to run now. It
 * knows how many there are to be, and nothing of what is done with them.
 */
#ifndef FR_SPARE_H
#define FR_SPARE_H

#include <stdbool.h>

/*
 * Gives the instance `slots` of them. After all plugins have initialised themselves and before
 * uWSGI makes its tables (post_init). Turns on lazy-apps, because the master must stay clean of the
 * application.
 */
void fr_spare_prepare(int slots);

/* uWSGI is not to start any worker by itself. After fr_spare_prepare. */
void fr_spare_start_none(void);

/* When the language plugins have initialised themselves (preinit_apps). */
void fr_spare_end_preinit(void);

/* In the master, when its loop begins: undoes what only the start needed. */
void fr_spare_enter_loop(void);

/* In each new worker, before it loads: what it sees of the instance is what the user asked for. */
void fr_spare_enter_worker(void);

/* Was lazy-apps the user's own wish? */
bool fr_spare_was_lazy(void);

#endif
