/*
 * loop: how a worker accepts requests, and how it leaves without losing one.
 *
 * uWSGI's own loop (core/loop.c, simple_loop_run) leaves when a signal handler calls exit():
 * whoever had been accepted but not read from yet is cut off, and threads other than the first hear
 * nothing. This one does the same work in the same order with uWSGI's own functions, but has one
 * more descriptor in each thread's queue, which becomes readable when it is time to leave.
 */
#ifndef FR_LOOP_H
#define FR_LOOP_H

#include <stdbool.h>

/* Can the workers of this instance use it? Not with another loop engine (gevent, asyncio, …) or
 * async cores. */
bool fr_loop_is_usable(void);

/* In the starting process: makes it known to uWSGI under a name. */
void fr_loop_register(void);

/*
 * In a worker that is another process's child for a moment: with no-orphans, uWSGI would let it be
 * killed when that one ends (prctl(2), PR_SET_PDEATHSIG). This puts that off until the worker is
 * the master's.
 */
void fr_loop_adopt_orphans(void);

/*
 * In a worker that has just been forked from a process that had loaded: pages (borrowed for ever;
 * NULL: none), those that a worker needs for its first request. The first one of a generation is
 * awaited, and notes them when it has answered; the others make them their own before they begin.
 */
struct fr_pages;
void fr_loop_use_pages(struct fr_pages *pages, bool is_first);

/* In a worker, before it loads: what is in the way of it ending at once is taken away, until it
 * accepts. */
void fr_loop_begin_load(void);

/* In a worker, just before it accepts (hijack_worker): uWSGI is to use this loop. */
void fr_loop_take_over(void);

#endif
