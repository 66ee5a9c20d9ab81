/*
 * request: one line of --fastreload-control, understood; and what people type, made into one.
 *
 * {"command": "status"}, and with "path" for "explain"; "as": "text" asks for an answer for people.
 * Text in, text out.
 */
#ifndef FR_REQUEST_H
#define FR_REQUEST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* A line is no longer than this: a path of which each byte is escaped, and the rest. */
#define FR_REQUEST_LINE_MAX (PATH_MAX * 6 + 256)

enum fr_command {
	FR_COMMAND_STATUS,
	FR_COMMAND_PAUSE,
	FR_COMMAND_RESUME,
	FR_COMMAND_RELOAD,
	FR_COMMAND_EXPLAIN,
	FR_COMMAND_JOURNAL,
	FR_COMMANDS,
};

struct fr_request {
	enum fr_command command;
	bool is_for_people;
	char path[PATH_MAX]; /* absolute; "": the command needs none */
};

/* Its name as it is written; static. */
const char *fr_command_name(enum fr_command command);

/* Which command a word is; FR_COMMANDS: none. */
enum fr_command fr_command_of(const char *word);

/* Understands a line of len bytes, without its end. 0, or -EINVAL with a sentence in error. */
int fr_request_read(const char *line, size_t len, struct fr_request *ret_request, char *error,
		    size_t error_size);

/* Writes one, with its newline. Returns its length. */
size_t fr_request_write(const struct fr_request *request, char text[FR_REQUEST_LINE_MAX + 1]);

#endif
