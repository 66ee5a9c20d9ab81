/*
 * push_line: what one line from another host says. It takes the output of fswatch and inotifywait
 * as it is, single words, and JSON objects.
 *
 * It knows no socket, no folder and no file: a line is bytes from anybody.
 */
#ifndef FR_PUSH_LINE_H
#define FR_PUSH_LINE_H

#include <stddef.h>

/* Longer lines are for the caller to refuse: a path has 4 KiB at most, a list of paths may be cut
 * into several lines. */
#define FR_PUSH_LINE_MAX 65536

/* What a line can say. The strings are borrowed for the call. */
struct fr_push_sink {
	/* Something happened at that path, or below it. The bytes are as the line had them: nothing
	 * is known of the path, but that it is not empty. */
	void (*path)(void *ctx, const char *path);
	/* Anything may have changed. */
	void (*everything)(void *ctx);
	/* The sender shows a token; before anything else that the line says. */
	void (*token)(void *ctx, const char *token);
};

/*
 * Reads one line, without its end, of at most FR_PUSH_LINE_MAX bytes; line[len] is writable, and
 *the line is changed. Returns NULL, or what is wrong with the line: a sentence for the sender, for
 * ever. A line that says nothing (it is blank, a file was only read) is right, too.
 *
 *	/code/app.py                    a path; fswatch -r (and -0), inotifywait --format '%w%f'
 *	/code/app.py Updated IsFile     fswatch -x; also with -t and -n
 *	/code/ CLOSE_WRITE,CLOSE app.py inotifywait -m; also '%e %w%f', '%w%f %e' and '%w %f'
 *	.                               everything; also a number alone, fswatch -o
 *	token SECRET
 *	{"path": "/code/app.py", "event": "modified"}
 *	{"paths": ["/code/a.py", "/code/b.py"]}
 *	{"token": "SECRET"}
 *
 * An event that is only about reading says nothing. A line can be understood in two ways where a
 * name ends in a number or holds "/ ": then both paths are given.
 */
const char *fr_push_line_read(char *line, size_t len, const struct fr_push_sink *sink, void *ctx);

#endif
