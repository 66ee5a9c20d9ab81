/*
 * traceback: finds, in what a language printed when the code did not load, the place and the error.
 *
 * Text in, text out. Knows how Python, Perl, Ruby and Lua write such places, and nothing else.
 */
#ifndef FR_TRACEBACK_H
#define FR_TRACEBACK_H

#include <stdbool.h>
#include <stddef.h>

/* Where it went wrong; all point into the text that was given, and are not NUL-terminated. */
struct fr_traceback {
	const char *file;
	size_t file_len; /* 0: no place was found */
	long line;
	const char *error; /* "SyntaxError: '(' was never closed" */
	size_t error_len;  /* 0: none was found */
};

/* Is a file one of the user's own? They are preferred to a library's that merely ran into it. */
typedef bool fr_traceback_is_own(void *ctx, const char *file, size_t file_len);

/* Looks at the last traceback in text (NUL-terminated). is_own may be NULL. Returns whether
 * anything was found. */
bool fr_traceback_find(const char *text, fr_traceback_is_own *is_own, void *ctx,
		       struct fr_traceback *ret_traceback);

#endif
