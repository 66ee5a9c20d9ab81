/*
 * push_line: what one line from another host says. See push_line.h.
 */
#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "watch/push_line.h"

/* What an event means, the strongest last. */
enum meaning {
	MEANS_UNKNOWN, /* no name of an event */
	MEANS_READING, /* opened, read, closed; or a word that only describes the file */
	MEANS_CHANGE,
	MEANS_LOSS, /* the sender has lost events */
};

struct event {
	const char *name;
	enum meaning meaning;
};

/* inotifywait(1), "Events". */
static const struct event inotify_events[] = {
	{"ACCESS", MEANS_READING},    {"OPEN", MEANS_READING},    {"CLOSE_NOWRITE", MEANS_READING},
	{"CLOSE", MEANS_READING},     {"ISDIR", MEANS_READING},   {"IGNORED", MEANS_READING},
	{"MODIFY", MEANS_CHANGE},     {"ATTRIB", MEANS_CHANGE},   {"CLOSE_WRITE", MEANS_CHANGE},
	{"MOVED_FROM", MEANS_CHANGE}, {"MOVED_TO", MEANS_CHANGE}, {"MOVE_SELF", MEANS_CHANGE},
	{"CREATE", MEANS_CHANGE},     {"DELETE", MEANS_CHANGE},   {"DELETE_SELF", MEANS_CHANGE},
	{"UNMOUNT", MEANS_CHANGE},    {"Q_OVERFLOW", MEANS_LOSS},
};

/*
 * fswatch(7), "EVENT TYPES". PlatformSpecific is an open or a read on Linux, but on macOS it may be
 * FSEvents' "must scan subdirectories": to look is right for both.
 */
static const struct event fswatch_events[] = {
	{"NoOp", MEANS_READING},         {"IsFile", MEANS_READING},
	{"IsDir", MEANS_READING},        {"IsSymLink", MEANS_READING},
	{"CloseWrite", MEANS_CHANGE},    {"PlatformSpecific", MEANS_CHANGE},
	{"Created", MEANS_CHANGE},       {"Updated", MEANS_CHANGE},
	{"Removed", MEANS_CHANGE},       {"Renamed", MEANS_CHANGE},
	{"OwnerModified", MEANS_CHANGE}, {"AttributeModified", MEANS_CHANGE},
	{"MovedFrom", MEANS_CHANGE},     {"MovedTo", MEANS_CHANGE},
	{"Link", MEANS_CHANGE},          {"Overflow", MEANS_LOSS},
};

/* In JSON, where everybody has words of their own, in any case; what is not here is a change. */
static const struct event json_events[] = {
	{"access", MEANS_READING},
	{"accessed", MEANS_READING},
	{"open", MEANS_READING},
	{"opened", MEANS_READING},
	{"read", MEANS_READING},
	{"close", MEANS_READING},
	{"closed", MEANS_READING},
	{"noop", MEANS_READING},
	{"close_nowrite", MEANS_READING},
	{"overflow", MEANS_LOSS},
	{"rescan", MEANS_LOSS},
	{"q_overflow", MEANS_LOSS},
	{"closed_no_write", MEANS_READING},
};

#define FR_LEN(array) (sizeof(array) / sizeof(*(array)))

static enum meaning look_up(const struct event *events, size_t len, const char *word,
			    size_t word_len)
{
	for (size_t i = 0; i < len; i++) {
		if (strlen(events[i].name) == word_len &&
		    memcmp(events[i].name, word, word_len) == 0)
			return events[i].meaning;
	}
	return MEANS_UNKNOWN;
}

static void say(enum meaning meaning, const char *path, const struct fr_push_sink *sink, void *ctx)
{
	if (meaning == MEANS_LOSS)
		sink->everything(ctx);
	else if (meaning == MEANS_CHANGE && *path)
		sink->path(ctx, path);
}

/* ---- paths alone ---- */

/* "DIR/ NAME", as of '%w %f', is "DIR/NAME"; a folder's name may begin with a space, too. */
static void say_joined(char *path, const struct fr_push_sink *sink, void *ctx)
{
	char *gap = strstr(path, "/ ");

	if (!gap)
		return;
	memmove(gap + 1, gap + 2, strlen(gap + 2) + 1);
	say(MEANS_CHANGE, path, sink, ctx);
}

static bool is_digits(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

/* Cuts off what stands before an absolute path, or one in the current folder: a time, as of
 * fswatch -t, or of '%T'. */
static char *skip_time(char *line)
{
	char *path = strstr(line, " /");

	if (!path)
		path = strstr(line, " ./");
	return line[0] == '/' || line[0] == '.' || !path ? line : path + 1;
}

static void say_plain(char *line, const struct fr_push_sink *sink, void *ctx)
{
	char *path = skip_time(line), *last;

	say(MEANS_CHANGE, path, sink, ctx);
	last = strrchr(path, ' ');
	if (last && is_digits(last + 1)) { /* fswatch -n: the events as a number */
		*last = '\0';
		say(MEANS_CHANGE, path, sink, ctx);
	}
	say_joined(path, sink, ctx);
}

/* ---- fswatch -x ---- */

/* "PATH EVENT EVENT …": the words at the end that are events go. */
static bool read_fswatch(char *line, const struct fr_push_sink *sink, void *ctx)
{
	enum meaning strongest = MEANS_UNKNOWN;
	char *space;

	while ((space = strrchr(line, ' ')) && space > line) {
		enum meaning meaning = look_up(fswatch_events, FR_LEN(fswatch_events), space + 1,
					       strlen(space + 1));

		if (meaning == MEANS_UNKNOWN)
			break;
		if (meaning > strongest)
			strongest = meaning;
		*space = '\0';
	}
	if (strongest == MEANS_UNKNOWN)
		return false;
	say(strongest, skip_time(line), sink, ctx);
	return true;
}

/* ---- inotifywait ---- */

/* "CLOSE_WRITE,CLOSE": all of them must be known. */
static enum meaning read_events(const char *word, size_t len)
{
	enum meaning strongest = MEANS_UNKNOWN;

	while (len > 0) {
		const char *comma = memchr(word, ',', len);
		size_t one = comma ? (size_t)(comma - word) : len;
		enum meaning meaning = look_up(inotify_events, FR_LEN(inotify_events), word, one);

		if (meaning == MEANS_UNKNOWN)
			return MEANS_UNKNOWN;
		if (meaning > strongest)
			strongest = meaning;
		one += comma != NULL;
		word += one;
		len -= one;
	}
	return strongest;
}

/* A word has a space before it, or is the first. */
static bool follows_folder(const char *line, const char *word)
{
	return word - line >= 2 && word[-2] == '/';
}

/*
 * Is the word at `word` a list of events, in a place where one can be? After "DIR/" (the default,
 * followed by the name), at the end ('%w%f %e', and a watched file has no name to follow), or at
 * the beginning and before a path that shows that it is one ('%e %w%f').
 */
static enum meaning read_word(const char *line, const char *word, const char *end)
{
	bool is_after_folder = follows_folder(line, word);
	bool is_last = word > line && end[strspn(end, " ")] == '\0';
	bool is_first = word == line && (strncmp(end, " /", 2) == 0 || strncmp(end, " .", 2) == 0);

	return is_after_folder || is_last || is_first ? read_events(word, (size_t)(end - word))
						      : MEANS_UNKNOWN;
}

static bool read_inotifywait(char *line, const struct fr_push_sink *sink, void *ctx)
{
	char *word = line, *end, *name;

	for (;; word = end + 1) {
		enum meaning meaning;

		end = word + strcspn(word, " ");
		meaning = read_word(line, word, end);
		if (meaning == MEANS_UNKNOWN && *end)
			continue;
		if (meaning == MEANS_UNKNOWN)
			return false;
		name = end + (*end == ' ');
		if (follows_folder(line, word))
			memmove(word - 1, name, strlen(name) + 1);
		else if (word > line)
			word[-1] = '\0';
		else
			line = name;
		line = skip_time(line);
		say(meaning, line, sink, ctx);
		if (meaning == MEANS_CHANGE)
			say_joined(line, sink, ctx); /* '%w %f %e' */
		return true;
	}
}

/* ---- JSON ---- */

/* The event of an object: a word, or none. */
static enum meaning json_meaning(const json_t *object)
{
	const char *event = json_string_value(json_object_get(object, "event"));

	for (size_t i = 0; event && i < FR_LEN(json_events); i++) {
		if (strcasecmp(json_events[i].name, event) == 0)
			return json_events[i].meaning;
	}
	return MEANS_CHANGE;
}

static void say_json_path(enum meaning meaning, const json_t *path, const struct fr_push_sink *sink,
			  void *ctx)
{
	const char *text = json_string_value(path);

	if (!text)
		return;
	if (meaning == MEANS_CHANGE && (strcmp(text, ".") == 0 || strcmp(text, "./") == 0))
		meaning = MEANS_LOSS;
	say(meaning, text, sink, ctx);
}

static const char *say_json(const json_t *object, const struct fr_push_sink *sink, void *ctx)
{
	const json_t *token = json_object_get(object, "token");
	const json_t *path = json_object_get(object, "path");
	const json_t *paths = json_object_get(object, "paths");
	enum meaning meaning = json_meaning(object);

	if ((token && !json_is_string(token)) || (path && !json_is_string(path)) ||
	    (paths && !json_is_array(paths)))
		return "\"path\" and \"token\" are strings, \"paths\" is a list of strings";
	if (!token && !path && !paths && meaning != MEANS_LOSS)
		return "a JSON object needs \"path\", \"paths\" or \"token\"";
	if (token)
		sink->token(ctx, json_string_value(token));
	if (meaning == MEANS_LOSS) {
		sink->everything(ctx);
		return NULL;
	}
	say_json_path(meaning, path, sink, ctx);
	for (size_t i = 0; i < json_array_size(paths); i++)
		say_json_path(meaning, json_array_get(paths, i), sink, ctx);
	return NULL;
}

/* jansson's recursion is bounded (2,048 levels), and so is what it allocates, by the line. */
static const char *read_json(const char *line, size_t len, const struct fr_push_sink *sink,
			     void *ctx)
{
	json_t *object = json_loadb(line, len, 0, NULL);
	const char *error;

	if (!object)
		return "the line begins with \"{\" and is no JSON object";
	error = say_json(object, sink, ctx);
	json_decref(object);
	return error;
}

/* ---- any line ---- */

static const char word_token[] = "token ";

const char *fr_push_line_read(char *line, size_t len, const struct fr_push_sink *sink, void *ctx)
{
	if (len > 0 && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	if (memchr(line, '\0', len))
		return "a line holds a NUL byte";
	if (line[0] == '{')
		return read_json(line, len, sink, ctx);
	if (strncmp(line, word_token, sizeof(word_token) - 1) == 0) {
		sink->token(ctx, line + sizeof(word_token) - 1);
		return NULL;
	}
	if (strcmp(line, ".") == 0 || strcmp(line, "./") == 0 || is_digits(line)) {
		sink->everything(ctx);
		return NULL;
	}
	if (line[strspn(line, " \t")] == '\0' || strcmp(line, "NoOp") == 0) /* --batch-marker */
		return NULL;
	if (!read_inotifywait(line, sink, ctx) && !read_fswatch(line, sink, ctx))
		say_plain(line, sink, ctx);
	return NULL;
}
