/*
 * slots: what the strategies share of uWSGI's worker slots: who serves, who is still loading, who
 * has been replaced.
 *
 * Reads and signals workers; decides nothing.
 */
#ifndef FR_SLOTS_H
#define FR_SLOTS_H

#include <stdbool.h>

/* Does every worker that uWSGI wants to run accept requests? */
bool fr_slots_are_serving(void);

/* Has a serving worker loaded an application? uWSGI goes on without one ("full dynamic mode") when
 * the code is broken. */
bool fr_slots_have_app(void);

/* Has a worker that is there now tried to load one, and has none? */
bool fr_slots_lack_app(void);

/*
 * Ends the workers that do not accept yet. They serve nothing, so nothing is lost; and they may not
 * get a SIGHUP: until uwsgi_worker_run has set its own handlers, a worker has the master's, which
 * would grace its siblings (core/uwsgi.c, grace_them_all).
 */
void fr_slots_kill_loading(void);

/* Remembers who runs now, for fr_slots_are_replaced. */
void fr_slots_mark(void);

/* Are all of those who ran at the mark gone from their slots? */
bool fr_slots_are_vacated(void);

/* Are they gone, and their successors accepting? */
bool fr_slots_are_replaced(void);

#endif
