/*
 * serving: the generation that serves: what it has loaded, and which of its workers are of use.
 *
 * The first generation is started by uWSGI, and every worker of any that has crashed or had its
 * time is respawned by uWSGI: this is where that is looked after.
 */
#ifndef FR_SERVING_H
#define FR_SERVING_H

#include <stdbool.h>
#include <stdint.h>

/* Once in every turn: notes what the first generation has loaded, and sees to those that uWSGI has
 * respawned with code that does not load. */
void fr_serving_step(int64_t now_ms);

/*
 * Workers of the serving generation that are still loading may have read the old files already, and
 * would leave their bytecode behind. They serve nothing, so they end; if others serve, until the
 * new generation takes over from those. If nobody does, they begin again in place, which is uWSGI's
 * doing and all there is to do: returns whether that is so.
 */
bool fr_serving_restart_loading(void);

/* Do all of its workers accept? */
bool fr_serving_is_there(void);

#endif
