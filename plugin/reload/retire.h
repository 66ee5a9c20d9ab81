/*
 * retire: workers leave: the old ones with the time to finish their requests, the others at once.
 */
#ifndef FR_RETIRE_H
#define FR_RETIRE_H

#include <stdbool.h>
#include <stdint.h>

/* A worker that has served is to leave: it takes up no more connections, and uWSGI does not respawn
 * it. */
void fr_retire_begin(int wid, int64_t now_ms);

/* Whoever leaves has no thread that could still take up a connection: from now on, nobody hears the
 * old code who asks anew. */
bool fr_retire_have_let_go(void);

/*
 * Reaps what is not serving, before uWSGI does: it would log each planned end like an accident.
 * Returns the slot of a candidate that has died, or 0; *ret_status says of what, as of waitpid(2),
 * or is -1.
 */
int fr_retire_reap(int64_t now_ms, int *ret_status);

/* Kills those that have had their time, and names what holds them. */
void fr_retire_end_mercy(int64_t now_ms);

#endif
