/*
 * config_file: the options in a file of JSON. See config_file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decide/config.h"
#include "decide/config_file.h"
#include "decide/pattern.h"
#include "decide/reactions.h"

enum kind {
	KIND_TEXT,
	KIND_NUMBER,
	KIND_SWITCH,
	KIND_TEXTS, /* a text, or a list of texts */
	KIND_RULES, /* a list of objects with "pattern" and "action" */
	KIND_NOTE,  /* a text that is for others */
};

/* What is wrong with a text, in error; 0 if nothing is. */
typedef int check_function(const char *text, char *error, size_t error_size);

struct key {
	const char *name;
	enum kind kind;
	check_function *check; /* NULL: what can be checked needs the disk, or uWSGI */
};

struct parser {
	struct fr_config_place place; /* where we are */
	struct fr_config_file *file;
	size_t room; /* for values in the file */
	char *error;
	size_t error_size;
};

/* ---- the keys ---- */

static int check_pattern(const char *text, char *error, size_t error_size)
{
	struct fr_pattern *pattern;
	const char *reason;
	int r = fr_pattern_new(text, &pattern, &reason);

	if (r < 0)
		snprintf(error, error_size, "%s", reason);
	else
		fr_pattern_free(pattern);
	return r;
}

static int check_rule(const char *text, char *error, size_t error_size)
{
	struct fr_reactions *reactions;
	const char *pattern;
	bool ignores;
	int r = fr_reactions_new(&reactions);

	if (r < 0) {
		snprintf(error, error_size, "out of memory");
		return r;
	}
	r = fr_reactions_add(reactions, text, &pattern, &ignores, error, error_size);
	fr_reactions_free(reactions);
	return r;
}

static int check_action(const char *text, char *error, size_t error_size)
{
	enum fr_action action;
	const char *argument;

	return fr_config_parse_action(text, &action, &argument, error, error_size);
}

static int check_settle(const char *text, char *error, size_t error_size)
{
	int64_t ms;

	return fr_config_parse_settle(text, &ms, error, error_size);
}

static int check_seconds(const char *text, char *error, size_t error_size)
{
	int64_t ms;

	return fr_config_parse_seconds(text, &ms, error, error_size);
}

static int check_snapshots(const char *text, char *error, size_t error_size)
{
	int number;

	return fr_config_parse_snapshots(text, &number, error, error_size);
}

static int check_strategy(const char *text, char *error, size_t error_size)
{
	enum fr_pin pin;

	return fr_config_parse_strategy(text, &pin, error, error_size);
}

static int check_memory(const char *text, char *error, size_t error_size)
{
	int64_t kib;

	return fr_config_parse_memory(text, &kib, error, error_size);
}

static int check_broken(const char *text, char *error, size_t error_size)
{
	if (strcmp(text, "old") == 0 || strcmp(text, "page") == 0)
		return 0;
	snprintf(error, error_size, "is unknown; there are old and page");
	return -EINVAL;
}

static int check_browser(const char *text, char *error, size_t error_size)
{
	if (strcmp(text, "on") == 0 || strcmp(text, "off") == 0 || strcmp(text, "force") == 0)
		return 0;
	snprintf(error, error_size, "is unknown; there are on, off and force");
	return -EINVAL;
}

static const struct key keys[] = {
	{"$schema", KIND_NOTE, NULL},
	{"dir", KIND_TEXTS, NULL},
	{"include", KIND_TEXTS, check_pattern},
	{"exclude", KIND_TEXTS, check_pattern},
	{"on", KIND_RULES, check_rule},
	{"ignore-file", KIND_TEXTS, NULL},
	{"no-gitignore", KIND_SWITCH, NULL},
	{"backend", KIND_TEXT, NULL},
	{"action", KIND_TEXT, check_action},
	{"strategy", KIND_TEXT, check_strategy},
	{"settle", KIND_NUMBER, check_settle},
	{"hold", KIND_TEXTS, NULL},
	{"mercy", KIND_NUMBER, check_seconds},
	{"timeout", KIND_NUMBER, check_seconds},
	{"snapshots", KIND_NUMBER, check_snapshots},
	{"memory", KIND_NUMBER, check_memory},
	{"preload", KIND_TEXTS, fr_config_check_module},
	{"broken", KIND_TEXT, check_broken},
	{"browser", KIND_TEXT, check_browser},
	{"browser-path", KIND_TEXT, NULL},
	{"browser-host", KIND_TEXTS, NULL},
	{"livereload", KIND_TEXT, NULL},
	{"verbose", KIND_SWITCH, NULL},
};

#define KEYS (sizeof(keys) / sizeof(*keys))

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

/* ---- places: jansson forgets them, so they are looked for in the text, which is known to be JSON
 * ---- */

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++) {
		if (*at == '\\' && at[1])
			at++;
	}
	return *at ? at + 1 : at;
}

static const char *skip_value(const char *at)
{
	size_t depth = 0;

	do {
		if (*at == '"') {
			at = skip_string(at);
			continue;
		}
		depth += *at == '{' || *at == '[';
		depth -= (*at == '}' || *at == ']') && depth > 0;
		at++;
	} while (*at && (depth > 0 || !strchr(",]} \t\r\n", *at)));
	return at;
}

/* The start of the member's key or value, or of the element, with this number. */
static const char *enter(const char *at, size_t number, bool is_at_key)
{
	bool is_object = *at == '{';

	at = skip_blanks(at + 1);
	for (;; number--) {
		const char *key = at;

		if (is_object) {
			at = skip_blanks(skip_string(at));
			at = skip_blanks(*at == ':' ? at + 1 : at);
		}
		if (number == 0)
			return is_object && is_at_key ? key : at;
		at = skip_blanks(skip_value(at));
		at = skip_blanks(*at == ',' ? at + 1 : at);
	}
}

void fr_config_file_locate(const struct fr_config_file *file, const struct fr_config_place *place,
			   unsigned *ret_line, unsigned *ret_column)
{
	const char *end = skip_blanks(file->source);

	for (size_t i = 0; i < place->depth; i++)
		end = enter(end, place->at[i], place->is_at_key && i + 1 == place->depth);
	*ret_line = *ret_column = 1;
	for (const char *at = file->source; at < end; at++) {
		if (*at == '\n') {
			(*ret_line)++;
			*ret_column = 1;
		} else if ((*at & 0xc0) != 0x80) { /* characters, as jansson counts them */
			(*ret_column)++;
		}
	}
}

__attribute__((format(printf, 2, 3))) static int refuse(const struct parser *parser,
							const char *format, ...)
{
	unsigned line, column;
	va_list arguments;
	int used;

	fr_config_file_locate(parser->file, &parser->place, &line, &column);
	used = snprintf(parser->error, parser->error_size, "line %u, column %u: ", line, column);
	if (used < 0 || (size_t)used >= parser->error_size)
		return -EINVAL;
	va_start(arguments, format);
	vsnprintf(parser->error + used, parser->error_size - (size_t)used, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static int no_memory(const struct parser *parser)
{
	snprintf(parser->error, parser->error_size, "out of memory");
	return -ENOMEM;
}

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "a whole number";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_NULL:
		return "null";
	default:
		return "true or false";
	}
}

/* ---- values ---- */

/* Takes text, also where it fails. */
static int add_value(struct parser *parser, const struct key *key, char *text)
{
	struct fr_config_file *file = parser->file;
	struct fr_config_value value = {.key = key->name, .text = text, .place = parser->place};
	char reason[512];
	int r;

	if (!text)
		return no_memory(parser);
	r = key->check ? key->check(text, reason, sizeof(reason)) : 0;
	if (r < 0) {
		r = r == -ENOMEM ? no_memory(parser)
				 : refuse(parser, "\"%s\": \"%.200s\" %s", key->name, text, reason);
		free(text);
		return r;
	}
	if (file->len == parser->room) {
		size_t room = parser->room ? 2 * parser->room : 16;
		struct fr_config_value *grown = realloc(file->values, room * sizeof(*grown));

		if (!grown) {
			free(text);
			return no_memory(parser);
		}
		file->values = grown;
		parser->room = room;
	}
	file->values[file->len++] = value;
	return 0;
}

static int add_text(struct parser *parser, const struct key *key, const json_t *value)
{
	if (!json_is_string(value))
		return refuse(parser, "\"%s\" is %s; expected a string", key->name,
			      type_name(value));
	return add_value(parser, key, strdup(json_string_value(value)));
}

static int add_number(struct parser *parser, const struct key *key, const json_t *value)
{
	char text[32];

	if (!json_is_integer(value))
		return refuse(parser, "\"%s\" is %s; expected a whole number", key->name,
			      type_name(value));
	snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	return add_value(parser, key, strdup(text));
}

static int add_switch(struct parser *parser, const struct key *key, const json_t *value)
{
	if (!json_is_boolean(value))
		return refuse(parser, "\"%s\" is %s; expected true or false", key->name,
			      type_name(value));
	return add_value(parser, key, strdup(json_is_true(value) ? "true" : "false"));
}

/* "PATTERN ACTION", with the blanks of the pattern escaped. NULL: no memory. */
static char *join_rule(const char *pattern, const char *action)
{
	char *text = malloc(2 * strlen(pattern) + strlen(action) + 2), *at = text;

	for (; text && *pattern; pattern++) {
		bool is_escaped = *pattern == '\\' && pattern[1];

		if (*pattern == ' ' || *pattern == '\t')
			*at++ = '\\';
		*at++ = *pattern;
		if (is_escaped)
			*at++ = *++pattern;
	}
	if (text)
		snprintf(at, strlen(action) + 2, " %s", action);
	return text;
}

static int add_rule(struct parser *parser, const struct key *key, const json_t *rule)
{
	const char *pattern = NULL, *action = NULL, *name;
	json_t *value;
	size_t number = 0;

	if (!json_is_object(rule))
		return refuse(parser,
			      "\"%s\" has %s in it; expected an object with \"pattern\" and "
			      "\"action\"",
			      key->name, type_name(rule));
	parser->place.depth++;
	json_object_foreach((json_t *)rule, name, value)
	{
		const char **found = strcmp(name, "pattern") == 0  ? &pattern
				     : strcmp(name, "action") == 0 ? &action
								   : NULL;

		parser->place.at[parser->place.depth - 1] = number++;
		parser->place.is_at_key = !found;
		if (!found)
			return refuse(parser,
				      "\"%.100s\" is unknown here; expected \"pattern\" or "
				      "\"action\"",
				      name);
		if (!json_is_string(value) || !*json_string_value(value))
			return refuse(parser,
				      "\"%s\" is %s; expected a string with something in it", name,
				      json_is_string(value) ? "empty" : type_name(value));
		*found = json_string_value(value);
	}
	parser->place.depth--;
	if (!pattern || !action)
		return refuse(parser, "a rule has no \"%s\"", pattern ? "action" : "pattern");
	return add_value(parser, key, join_rule(pattern, action));
}

static int add_list(struct parser *parser, const struct key *key, const json_t *list)
{
	size_t number;
	json_t *value;
	int r = 0;

	if (!json_is_array(list) && key->kind == KIND_TEXTS)
		return json_is_string(list)
			       ? add_text(parser, key, list)
			       : refuse(parser, "\"%s\" is %s; expected a string or a list of them",
					key->name, type_name(list));
	if (!json_is_array(list))
		return refuse(parser, "\"%s\" is %s; expected a list of rules", key->name,
			      type_name(list));
	parser->place.depth++;
	json_array_foreach(list, number, value)
	{
		parser->place.at[parser->place.depth - 1] = number;
		r = key->kind == KIND_RULES ? add_rule(parser, key, value)
					    : add_text(parser, key, value);
		if (r < 0)
			return r;
	}
	parser->place.depth--;
	return 0;
}

static int add_key(struct parser *parser, const char *name, const json_t *value)
{
	const struct key *key = find_key(name);
	char known[512] = "";

	if (!key) {
		for (size_t i = 0, used = 0; i < KEYS && used < sizeof(known); i++)
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
						 i > 0 ? ", " : "", keys[i].name);
		parser->place.is_at_key = true;
		return refuse(parser, "\"%.100s\" is unknown; expected one of %s", name, known);
	}
	switch (key->kind) {
	case KIND_TEXT:
		return add_text(parser, key, value);
	case KIND_NUMBER:
		return add_number(parser, key, value);
	case KIND_SWITCH:
		return add_switch(parser, key, value);
	case KIND_NOTE:
		return json_is_string(value) ? 0
					     : refuse(parser, "\"%s\" is %s; expected a string",
						      key->name, type_name(value));
	default:
		return add_list(parser, key, value);
	}
}

static int add_keys(struct parser *parser, const json_t *root)
{
	size_t number = 0;
	const char *name;
	json_t *value;
	int r;

	if (!json_is_object(root))
		return refuse(parser, "this is %s; expected an object, as in {\"settle\": 10}",
			      type_name(root));
	parser->place.depth = 1;
	json_object_foreach((json_t *)root, name, value)
	{
		parser->place.at[0] = number++;
		r = add_key(parser, name, value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the file ---- */

int fr_config_file_parse(const char *text, size_t len, struct fr_config_file **ret_file,
			 char *error, size_t error_size)
{
	struct parser parser = {.error = error, .error_size = error_size};
	json_error_t json_error;
	json_t *root = NULL;
	int r = -ENOMEM;

	parser.file = calloc(1, sizeof(*parser.file));
	if (parser.file)
		parser.file->source = malloc(len + 1);
	if (!parser.file || !parser.file->source) {
		no_memory(&parser);
		goto out;
	}
	memcpy(parser.file->source, text, len);
	parser.file->source[len] = '\0';
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &json_error);
	if (!root) {
		r = json_error_code(&json_error) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
		snprintf(error, error_size, "line %d, column %d: %s", json_error.line,
			 json_error.column, json_error.text);
		goto out;
	}
	r = add_keys(&parser, root);
out:
	json_decref(root);
	if (r < 0)
		fr_config_file_free(parser.file);
	else
		*ret_file = parser.file;
	return r;
}

void fr_config_file_free(struct fr_config_file *file)
{
	if (!file)
		return;
	for (size_t i = 0; i < file->len; i++)
		free(file->values[i].text);
	free(file->values);
	free(file->source);
	free(file);
}

const struct fr_config_value *fr_config_file_find(const struct fr_config_file *file,
						  const char *key, const char *text)
{
	for (size_t i = 0; i < file->len; i++) {
		if (strcmp(file->values[i].key, key) == 0 &&
		    (!text || strcmp(file->values[i].text, text) == 0))
			return &file->values[i];
	}
	return NULL;
}

/* All of an open file. */
static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	char *text = malloc(FR_CONFIG_FILE_MAX_BYTES + 1);
	size_t used = 0;
	ssize_t len;

	if (!text)
		return -ENOMEM;
	do {
		len = read(fd, text + used, FR_CONFIG_FILE_MAX_BYTES + 1 - used);
		if (len > 0)
			used += (size_t)len;
	} while (len > 0 || (len < 0 && errno == EINTR));
	if (len < 0 || used > FR_CONFIG_FILE_MAX_BYTES) {
		int error = len < 0 ? errno : EFBIG;

		free(text);
		return -error;
	}
	*ret_text = text;
	*ret_len = used;
	return 0;
}

int fr_config_file_load(const char *path, char **ret_text, size_t *ret_len, char *error,
			size_t error_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r = -errno;
	struct stat st;

	if (fd >= 0) {
		r = fstat(fd, &st) < 0 ? -errno : 0;
		if (r == 0 && !S_ISREG(st.st_mode)) {
			close(fd);
			snprintf(error, error_size, "is no file; name a file of JSON");
			return -EINVAL;
		}
		if (r == 0)
			r = read_all(fd, ret_text, ret_len);
		close(fd);
	}
	if (r == -EFBIG)
		snprintf(error, error_size, "is larger than 1 MiB; that is no configuration");
	else if (r < 0)
		snprintf(error, error_size, "cannot be read: %s", strerror(-r));
	return r;
}
