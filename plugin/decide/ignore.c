/*
 * ignore: one ignore file. See ignore.h. How lines are told apart is git's way (dir.c,
 * add_patterns_from_buffer); tests/unit/compare_ignore.py asks git itself.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "decide/ignore.h"
#include "decide/pattern.h"
#include "decide/regex.h"
#include "hash.h"

#define FR_IGNORE_MAX_STATES (4 * FR_REGEX_MAX_STATES)

static const char REASON_SIZE[] =
	"the file is not honoured: it is larger than 128 KiB, or has more than 4096 lines";
static const char REASON_STATES[] =
	"the regular expressions of this file are too large together: leave some out";

struct line {
	unsigned number;
	struct fr_pattern *pattern; /* or NULL, and then text and regex are set */
	char *text;
	struct fr_regex *regex;
};

struct fr_ignore {
	char *name;
	uint64_t text_hash;
	size_t text_len;
	struct line *lines;
	size_t lines_len, lines_size;
	size_t states; /* of all regular expressions */
};

/* What is needed while the text is being read. */
struct reader {
	struct fr_ignore *ignore;
	fr_ignore_complain *complain;
	void *ctx;
	unsigned number;
	bool is_regex;
};

static void complain(const struct reader *reader, const char *reason)
{
	if (reader->complain)
		reader->complain(reader->ctx, reader->ignore->name, reader->number, reason);
}

/* ---- reading ---- */

static int reserve_line(struct fr_ignore *ignore)
{
	size_t size = ignore->lines_size ? 2 * ignore->lines_size : 8;
	struct line *grown;

	if (ignore->lines_len < ignore->lines_size)
		return 0;
	grown = realloc(ignore->lines, size * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ignore->lines = grown;
	ignore->lines_size = size;
	return 0;
}

/* 0, -ENOMEM, or -EINVAL with *ret_reason. */
static int compile(struct reader *reader, const char *text, struct line *line,
		   const char **ret_reason)
{
	int r = fr_regex_new(text, &line->regex, ret_reason);

	if (r < 0)
		return r;
	reader->ignore->states += fr_regex_states(line->regex);
	line->text = strdup(text);
	if (line->text && reader->ignore->states <= FR_IGNORE_MAX_STATES)
		return 0;
	*ret_reason = REASON_STATES;
	r = line->text ? -EINVAL : -ENOMEM;
	fr_regex_free(line->regex);
	free(line->text);
	return r;
}

/* One line that is neither empty nor a comment. 0 or -ENOMEM. */
static int add_line(struct reader *reader, const char *text)
{
	struct fr_ignore *ignore = reader->ignore;
	struct line line = {.number = reader->number};
	const char *reason = NULL;
	int r = reserve_line(ignore);

	if (r < 0)
		return r;
	r = reader->is_regex ? compile(reader, text, &line, &reason)
			     : fr_pattern_new(text, &line.pattern, &reason);
	if (r == -EINVAL)
		complain(reader, reason);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	ignore->lines[ignore->lines_len++] = line;
	return 0;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " ")] == '\0';
}

/* "# regex", with any blanks around the word. */
static bool is_regex_mark(const char *text)
{
	size_t len;

	if (*text != '#')
		return false;
	text++;
	text += strspn(text, " \t");
	len = strcspn(text, " \t");
	return len == 5 && strncmp(text, "regex", len) == 0 && is_blank(text + len);
}

/* git takes only spaces off; for a regular expression tabs go, too. */
static void trim(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && strchr(" \t", text[len - 1]))
		len--;
	text[len] = '\0';
}

/* Takes the text, which ends with a '\n', apart; writes NULs into it. */
static int read_lines(struct reader *reader, char *text, size_t text_len, bool may_be_regex)
{
	char *end = text + text_len, *line_end;
	int r = 0;

	if (text_len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (; r == 0 && text < end; text = line_end + 1) {
		line_end = memchr(text, '\n', (size_t)(end - text));
		reader->number++;
		*line_end = '\0';
		if (line_end > text && line_end[-1] == '\r')
			line_end[-1] = '\0';
		if (reader->is_regex)
			trim(text);
		if (reader->number == 1 && may_be_regex && is_regex_mark(text))
			reader->is_regex = true;
		else if (*text != '#' && !is_blank(text))
			r = add_line(reader, text);
	}
	return r;
}

static bool is_too_large(const char *text, size_t text_len)
{
	size_t lines = 0;

	if (text_len > FR_IGNORE_MAX_BYTES)
		return true;
	for (size_t i = 0; i < text_len; i++)
		lines += text[i] == '\n';
	return lines > FR_IGNORE_MAX_LINES;
}

/* Reads a copy, which has a '\n' at its end. */
static int read_text(struct reader *reader, const char *text, size_t text_len, bool may_be_regex)
{
	char *copy;
	int r;

	if (is_too_large(text, text_len)) {
		complain(reader, REASON_SIZE);
		return 0;
	}
	copy = malloc(text_len + 1);
	if (!copy)
		return -ENOMEM;
	if (text_len > 0)
		memcpy(copy, text, text_len);
	copy[text_len] = '\n';
	r = read_lines(reader, copy, text_len + 1, may_be_regex);
	free(copy);
	return r;
}

int fr_ignore_new(const char *name, const char *text, size_t text_len, enum fr_ignore_syntax syntax,
		  fr_ignore_complain *complain_to, void *ctx, struct fr_ignore **ret_ignore)
{
	struct fr_ignore *ignore = calloc(1, sizeof(*ignore));
	struct reader reader = {.ignore = ignore, .complain = complain_to, .ctx = ctx};
	int r = -ENOMEM;

	if (!ignore)
		return r;
	ignore->text_len = text_len;
	ignore->text_hash = fr_hash_bytes(FR_HASH_START, text, text_len);
	ignore->name = strdup(name);
	if (ignore->name)
		r = read_text(&reader, text, text_len, syntax == FR_IGNORE_EITHER);
	if (r < 0)
		fr_ignore_free(ignore);
	else
		*ret_ignore = ignore;
	return r;
}

void fr_ignore_free(struct fr_ignore *ignore)
{
	if (!ignore)
		return;
	for (size_t i = 0; i < ignore->lines_len; i++) {
		struct line *line = &ignore->lines[i];

		fr_pattern_free(line->pattern);
		fr_regex_free(line->regex);
		free(line->text);
	}
	free(ignore->lines);
	free(ignore->name);
	free(ignore);
}

/* ---- matching ---- */

/* A folder's path is searched with the '/' at its end, too: "^build/" takes all that is in it. */
static bool finds(const struct line *line, const char *path, size_t path_len, bool is_folder)
{
	char with_slash[PATH_MAX];

	if (fr_regex_finds(line->regex, path, path_len))
		return true;
	if (!is_folder || path_len + 1 > sizeof(with_slash))
		return false;
	memcpy(with_slash, path, path_len);
	with_slash[path_len] = '/';
	return fr_regex_finds(line->regex, with_slash, path_len + 1);
}

bool fr_ignore_match(const struct fr_ignore *ignore, const char *path, size_t path_len,
		     bool is_folder, struct fr_ignore_line *ret_line)
{
	for (size_t i = ignore->lines_len; i > 0; i--) {
		const struct line *line = &ignore->lines[i - 1];

		if (line->pattern
			    ? !fr_pattern_matches_span(line->pattern, path, path_len, is_folder)
			    : !finds(line, path, path_len, is_folder))
			continue;
		*ret_line = (struct fr_ignore_line){
			.file = ignore->name,
			.text = line->pattern ? fr_pattern_text(line->pattern) : line->text,
			.number = line->number,
			.is_negated = line->pattern && fr_pattern_is_negated(line->pattern),
		};
		return true;
	}
	return false;
}

bool fr_ignore_is_from(const struct fr_ignore *ignore, const char *text, size_t text_len)
{
	return ignore->text_len == text_len &&
	       ignore->text_hash == fr_hash_bytes(FR_HASH_START, text, text_len);
}

size_t fr_ignore_bytes(const struct fr_ignore *ignore)
{
	return ignore->text_len;
}
