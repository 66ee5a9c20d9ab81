/*
 * lines: a file, pipe or socket that whole lines are written to, without ever waiting for it.
 *
 * What it cannot take is dropped and counted; no line is torn. Knows nothing of what they say.
 */
#ifndef FR_LINES_H
#define FR_LINES_H

#include <stddef.h>
#include <stdint.h>

struct fr_lines;

/*
 * Opens what `value` names: a file (appended to, made with mode 0640 if it is not there), a named
 * pipe, or "fd:N", a descriptor that was inherited. Lines are line_max bytes at most. 0, or a
 * negative errno with a sentence in error. Does not block.
 */
int fr_lines_open(const char *value, size_t line_max, struct fr_lines **ret_lines, char *error,
		  size_t error_size);

/* Closes it; NULL is fine. */
void fr_lines_free(struct fr_lines *lines);

/* Writes a line, which ends with a newline, or drops it. */
void fr_lines_write(struct fr_lines *lines, const char *line, size_t len);

/* Tries to write what is left of a line that only a part of could be written. */
void fr_lines_flush(struct fr_lines *lines);

/* How many were dropped, in all. */
uint64_t fr_lines_dropped(const struct fr_lines *lines);

/* The descriptors that are open, for a forked child to close: at most two. Async-signal-safe. */
#define FR_LINES_MAX_FDS 2
size_t fr_lines_fds(const struct fr_lines *lines, int fds[FR_LINES_MAX_FDS]);

/* The inherited descriptor that has to survive an exec, or -1. */
int fr_lines_inherited(const struct fr_lines *lines);

#endif
