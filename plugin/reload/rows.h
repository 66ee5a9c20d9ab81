/*
 * rows: what stands in a worker slot of uWSGI's shared tables while an application is loaded in it.
 *
 * uWSGI's plugins hold pointers into the slot that an application is loaded in (init_uwsgi_app in
 * the Python plugin: its entry in apps, the request), on the stack, and so in every copy of the
 * process. That is why a loader has a slot of its own, always the same one; and why what stands
 * there, and in the slot's rows of other shared tables, is saved when a process is frozen: the next
 * loader writes there.
 */
#ifndef FR_ROWS_H
#define FR_ROWS_H

#include <stdint.h>

/* This process is the one in the slot from now on. */
void fr_rows_enter(int wid);

/* Wipes what the last loader has left in the slot. */
void fr_rows_begin(int wid);

/* Keeps a copy of the slot in this process's own memory. Ends the process if there is no memory
 * for it. */
void fr_rows_save(int wid);

/* Writes the copy into a slot. signal_wid: who may run the handlers of signals; 0: every process,
 * as with those that were there before the fork (core/signal.c, uwsgi_signal_handler). */
void fr_rows_restore(int wid, uint32_t signal_wid);

/* Writes the copy of the request, which is part of the slot, for a load that goes on in it. */
void fr_rows_restore_request(void);

#endif
