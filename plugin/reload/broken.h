/*
 * broken: while the new code does not load, browsers that ask for a page get one that says so;
 * everything else gets the last good code's answer.
 */
#ifndef FR_BROKEN_H
#define FR_BROKEN_H

#include <stddef.h>

/* In the starting process, before the first fork, if such a page is wanted. 0 or a negative errno.
 */
int fr_broken_open(void);

/* Master: shows the page (copied, at most FR_BROKEN_MAX_BYTES), or takes it away. Nothing happens
 * without fr_broken_open. */
void fr_broken_show(const char *html, size_t len);
void fr_broken_hide(void);

/* In a worker, before it accepts: puts itself before the applications. */
void fr_broken_take_over(void);

#define FR_BROKEN_MAX_BYTES (64 * 1024)

#endif
