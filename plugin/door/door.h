/*
 * door: what the modules of this room have in common: the state that several of them need, the
 * clock, and the log.
 *
 * The state is plain on purpose: it is read and written in one process, the master, and in the
 * order that fastreload.c gives. What only one module needs is that module's own.
 */
#ifndef FR_DOOR_H
#define FR_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "door/settings.h"
#include "reload/handover.h"

struct fr_backends;
struct fr_baseline;
struct fr_watcher;

struct fr_door {
	struct fr_watcher *watcher;   /* NULL: there is nothing to do in this instance */
	struct fr_backends *backends; /* which folder of it is watched by what */
	struct fr_baseline *baseline; /* contents that are still being read; NULL: none */
	struct fr_handover handover;  /* what the image before left; then what goes to the next */
	const char *no_swap;  /* why there are no generations in this instance; NULL: there are */
	bool is_workers_safe; /* nothing is known of that each load registers anew, or that workers
				 do not load */
	bool is_in_loop;      /* the master's loop has begun */
};

extern struct fr_door fr_door;

/* CLOCK_MONOTONIC, in ms. */
int64_t fr_door_now_ms(void);

/* Ends the start with one line. Never called later. */
__attribute__((noreturn)) void fr_door_out_of_memory(void);

/* One line of uWSGI's log, with the time; the second kind only with --fastreload-verbose. */
#define fr_log(...) uwsgi_log_verbose("[fastreload] " __VA_ARGS__)
#define fr_verbose(...)                                                                            \
	do {                                                                                       \
		if (fr_settings.is_verbose)                                                        \
			fr_log(__VA_ARGS__);                                                       \
	} while (0)

#endif
