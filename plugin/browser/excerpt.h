/*
 * excerpt: the lines of a source file around the one that is wrong. Reads the file, and so may
 * block with its disk: not for the master.
 */
#ifndef FR_EXCERPT_H
#define FR_EXCERPT_H

#include <stddef.h>

#define FR_EXCERPT_AROUND 3 /* lines before, and as many behind */
#define FR_EXCERPT_LINES  (2 * FR_EXCERPT_AROUND + 1)
#define FR_EXCERPT_LINE   200 /* bytes of a line that are shown */

struct fr_excerpt {
	long first; /* number of the first line */
	size_t len;
	char lines[FR_EXCERPT_LINES][FR_EXCERPT_LINE + 1]; /* without their ends */
};

/* Reads what is there of it: nothing, if it is no regular file that can be read, or ends before. */
void fr_excerpt_read(const char *path, long line, struct fr_excerpt *ret_excerpt);

#endif
