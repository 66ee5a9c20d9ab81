/*
 * tail: see tail.h.
 */
#include <string.h>

#include "report/tail.h"

size_t fr_tail_append(char *text, size_t len, size_t size, const char *bytes, size_t bytes_len)
{
	if (len + bytes_len >= size) {
		size_t half = (size - 1) / 2;

		memmove(text, text + len - half, half);
		len = half;
	}
	memcpy(text + len, bytes, bytes_len);
	text[len + bytes_len] = '\0';
	return len + bytes_len;
}
