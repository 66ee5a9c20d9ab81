/*
 * traceback: finds the place and the error in what a language printed. See traceback.h.
 */
#include <stdlib.h>
#include <string.h>

#include "report/traceback.h"

/* A place in a line of text. */
struct place {
	const char *file;
	size_t file_len;
	long line;
};

static bool starts_with(const char *text, size_t len, const char *start)
{
	return len >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

/* Python: ^  File "/srv/app/views.py", line 12[, in <module>]$ */
static bool find_python_place(const char *text, size_t len, struct place *ret_place)
{
	static const char middle[] = "\", line ";
	size_t indent = strspn(text, " |");
	const char *end;

	if (indent >= len || !starts_with(text + indent, len - indent, "File \""))
		return false;
	text += indent + strlen("File \"");
	end = strstr(text, middle);
	if (!end || memchr(text, '\n', (size_t)(end - text)))
		return false;
	*ret_place = (struct place){text, (size_t)(end - text), atol(end + strlen(middle))};
	return true;
}

/* Perl: … at /srv/app/app.psgi line 3, near "x" */
static bool find_perl_place(const char *text, size_t len, struct place *ret_place)
{
	for (size_t i = 0; i + 4 < len; i++) {
		const char *file, *end;

		if (!starts_with(text + i, len - i, " at /"))
			continue;
		file = text + i + strlen(" at ");
		end = strstr(file, " line ");
		if (!end || end >= text + len || atol(end + strlen(" line ")) <= 0)
			continue;
		*ret_place =
			(struct place){file, (size_t)(end - file), atol(end + strlen(" line "))};
		return true;
	}
	return false;
}

/* Ruby and Lua: /srv/app/config.ru:3: error, also behind a few words */
static bool find_colon_place(const char *text, size_t len, struct place *ret_place)
{
	for (size_t i = 0; i < len; i++) {
		size_t file_len;

		if (text[i] != '/' || (i > 0 && text[i - 1] != ' ' && text[i - 1] != '\''))
			continue;
		file_len = strcspn(text + i, ":\n ");
		if (i + file_len >= len || text[i + file_len] != ':' ||
		    atol(text + i + file_len + 1) <= 0)
			continue;
		*ret_place = (struct place){text + i, file_len, atol(text + i + file_len + 1)};
		return true;
	}
	return false;
}

/* Python's last line: a dotted name, then nothing or a colon and a message. */
static bool is_python_error(const char *text, size_t len)
{
	size_t indent = strspn(text, " |");
	size_t name_len;

	if (indent > 0 && (indent >= len || text[indent - 1] != ' ' || !memchr(text, '|', indent)))
		return false; /* only groups of exceptions are drawn with a line before them */
	text += indent;
	len -= indent;
	name_len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789_.");

	if (name_len == 0 || name_len > len || (text[0] >= '0' && text[0] <= '9'))
		return false;
	return name_len == len || (text[name_len] == ':' && text[name_len + 1] == ' ');
}

bool fr_traceback_find(const char *text, fr_traceback_is_own *is_own, void *ctx,
		       struct fr_traceback *ret_traceback)
{
	struct fr_traceback found = {0};
	bool has_own = false, is_in_python = false;

	while (*text) {
		size_t len = strcspn(text, "\n");
		struct place place;
		bool is_python = find_python_place(text, len, &place);

		if (starts_with(text, len, "Traceback (most recent call last)")) {
			found = (struct fr_traceback){0}; /* a later one explains more */
			has_own = false;
		}
		if (is_python || (!is_in_python && (find_perl_place(text, len, &place) ||
						    find_colon_place(text, len, &place)))) {
			bool own = is_own && is_own(ctx, place.file, place.file_len);

			is_in_python = is_python;
			if (own || !has_own) {
				found.file = place.file;
				found.file_len = place.file_len;
				found.line = place.line;
				has_own |= own;
			}
			if (!is_in_python) {
				found.error = text;
				found.error_len = len;
			}
		} else if (is_in_python && is_python_error(text, len)) {
			found.error = text;
			found.error_len = len;
			is_in_python = false;
		}
		text += len + (text[len] == '\n');
	}
	*ret_traceback = found;
	return found.file_len > 0 || found.error_len > 0;
}
