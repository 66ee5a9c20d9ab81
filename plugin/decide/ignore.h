/*
 * ignore: one ignore file, read from its text: a .gitignore, a .reloadignore, or one that an option
 * names.
 *
 * Knows the lines of one file and which of them decides about a path. Knows no disk, and nothing of
 * other files: their order is decide/ignores.
 */
#ifndef FR_IGNORE_H
#define FR_IGNORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one file may cost: a pattern takes some forty times the memory of its text. One that is
 * larger is not honoured at all: half of it might ignore what the other half takes back. */
#define FR_IGNORE_MAX_BYTES (128 * 1024)
#define FR_IGNORE_MAX_LINES 4096

struct fr_ignore;

enum fr_ignore_syntax {
	FR_IGNORE_PATTERNS, /* gitignore(5) */
	FR_IGNORE_EITHER,   /* the same, unless the first line is "# regex": then a regular
			       expression a line (decide/regex), and '#' begins a comment */
};

/* A line that decides: of which file, counted from 1, and its text. All of it is the file's. */
struct fr_ignore_line {
	const char *file;
	const char *text;
	unsigned number;
	bool is_negated; /* "!…": takes back what a line before it has ignored */
	bool is_final;   /* of a file that is written for us: it holds whatever was loaded */
};

/* Told of each line that can match nothing, or is refused; line 0 is the file as a whole. reason is
 * static. */
typedef void fr_ignore_complain(void *ctx, const char *file, unsigned line, const char *reason);

/*
 * Reads the text (any bytes, borrowed) of the file of that name (borrowed; only shown to people).
 * Lines that cannot match are told to complain and left out; NULL: nobody wants to know. One that
 * is too large has no lines. 0 and *ret_ignore, which the caller owns, or -ENOMEM.
 *
 * As git reads it: a byte order mark at the start and a CR at the end of a line are no part of it,
 * and a line ends at a NUL in it.
 */
int fr_ignore_new(const char *name, const char *text, size_t text_len, enum fr_ignore_syntax syntax,
		  fr_ignore_complain *complain, void *ctx, struct fr_ignore **ret_ignore);

/* NULL is fine. */
void fr_ignore_free(struct fr_ignore *ignore);

/*
 * The last line that matches the first path_len bytes of path itself (not one of its parents), or
 * false for none. path is relative to the folder that the file speaks of, without a leading '/'. A
 * regular expression is searched in it; in that of a folder, with and without a '/' at its end.
 * Never blocks, allocates nothing.
 */
bool fr_ignore_match(const struct fr_ignore *ignore, const char *path, size_t path_len,
		     bool is_folder, struct fr_ignore_line *ret_line);

/* Was it read from this very text? */
bool fr_ignore_is_from(const struct fr_ignore *ignore, const char *text, size_t text_len);

/* How many bytes of text it was read from. */
size_t fr_ignore_bytes(const struct fr_ignore *ignore);

#endif
