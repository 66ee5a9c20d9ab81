/*
 * switch: the moment between two generations. The old workers are asked to accept no more, and when
 * all of them have let go, the new ones begin: no connection is lost in between, it waits in the
 * socket's queue; and nobody who has heard the new code hears the old again.
 */
#ifndef FR_SWITCH_H
#define FR_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

/* The candidates have loaded: they are to take over. One that is not quite there begins when it
 * is. */
void fr_switch_begin(int64_t now_ms);

/* Once in every turn while it is under way. Returns whether the new generation has just begun. */
bool fr_switch_step(void);

/* Is this the moment between two generations, in which nothing may be started? */
bool fr_switch_is_under_way(void);

/* The instance ends: it is not waited for any more. */
void fr_switch_abandon(void);

#endif
