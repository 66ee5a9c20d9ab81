/*
 * loop: how a worker accepts requests, and how it leaves without losing one.
 *
 * uWSGI's own loop (core/loop.c, simple_loop_run) leaves when a signal handler calls exit(): whoever had been accepted but not
 * read from yet is cut off, and threads other than the first hear nothing. This one does the same work in the same order with uWSGI's own functions, but
 * has one more descriptor in each thread's queue, which becomes readable when it is time to leave.
 */
#ifndef FR_LOOP_H
#define FR_LOOP_H

#include <stdbool.h>

/* Can the workers of this instance use it? Not with another loop engine (gevent, asyncio, …) or async cores. */
bool fr_loop_is_usable(void);

/* In the starting process: makes it known to uWSGI under a name. */
void fr_loop_register(void);

/* In a worker, just before it accepts (hijack_worker): uWSGI is to use this loop. */
void fr_loop_take_over(void);

#endif
