/*
 * tail: the end of what a program prints, for a text of bounded size. That is where an error is.
 */
#ifndef FR_TAIL_H
#define FR_TAIL_H

#include <stddef.h>

/*
 * Appends the bytes to a text of len bytes, in a place of size bytes; returns the new length. Where
 * there is no room for all, the later half of what was there is kept. The text ends with a NUL.
 * bytes_len is less than half of size.
 */
size_t fr_tail_append(char *text, size_t len, size_t size, const char *bytes, size_t bytes_len);

#endif
