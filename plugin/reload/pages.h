/*
 * pages: which pages of memory a copy of a process comes to need, so that the next copy has them
 * before it goes on.
 *
 * A copy shares its memory with the process that it was forked from, page by page, until it writes
 * there; each first write costs the time of a page fault (some microseconds in a virtual machine),
 * and a load that goes on makes thousands. They are the same ones each time. Knows neither uWSGI
 * nor Python; Linux only, and where the kernel does not tell (pagemap, proc(5)) or has no
 * MADV_POPULATE_WRITE (before 5.14), nothing is gained and nothing is wrong.
 */
#ifndef FR_PAGES_H
#define FR_PAGES_H

#include <stdbool.h>
#include <stddef.h>

struct fr_pages;

/* Memory that all copies of this process share. NULL: there is none; the others then do nothing. */
struct fr_pages *fr_pages_new(void);

/* In this process; others may go on with it. NULL is fine. */
void fr_pages_free(struct fr_pages *pages);

/* Has some copy noted its pages? */
bool fr_pages_are_known(const struct fr_pages *pages);

/* In a copy: notes the pages that are its own by now, and those of files that it has looked at.
 * Takes a millisecond or so. */
void fr_pages_note(struct fr_pages *pages);

/* In another copy of the same process: makes them its own ahead, and returns how many KiB that
 * are. */
size_t fr_pages_prepare(const struct fr_pages *pages);

#endif
