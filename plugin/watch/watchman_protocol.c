/*
 * watchman_protocol: what is said between Watchman's daemon and us. See watchman_protocol.h.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "watch/watchman_protocol.h"

#define FR_WATCHMAN_FIRST_SIZE (16u * 1024)
#define FR_WATCHMAN_MIN_ROOM   (4u * 1024)

/*
 * Watchman 4.9 cannot write a name that is not UTF-8 as JSON, and says nothing at all on that
 * connection from then on (its listener.cpp: send_ok stays false). So such names are kept out of
 * the one subscription, and another one tells of them without naming them. This matches UTF-8 as
 * thirdparty/jansson/utf.c there has it; the escapes are for PCRE, which looks at bytes.
 */
#define FR_WATCHMAN_UTF8                                                                           \
	"^(?:[\\x01-\\x7f]|[\\xc2-\\xdf][\\x80-\\xbf]|\\xe0[\\xa0-\\xbf][\\x80-\\xbf]|"            \
	"[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}|\\xed[\\x80-\\x9f][\\x80-\\xbf]|"                 \
	"\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}|[\\xf1-\\xf3][\\x80-\\xbf]{3}|"                        \
	"\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2})*$"

/* ---- the stream ---- */

void fr_watchman_stream_clear(struct fr_watchman_stream *stream)
{
	free(stream->bytes);
	*stream = (struct fr_watchman_stream){0};
}

/* Moves what has no end yet to the front. A buffer that a storm has made large goes back. */
static void compact(struct fr_watchman_stream *stream)
{
	size_t left = stream->len - stream->at;

	if (left == 0 && stream->size > FR_WATCHMAN_FIRST_SIZE) {
		free(stream->bytes);
		stream->bytes = NULL;
		stream->size = 0;
	} else if (left > 0 && stream->at > 0) {
		memmove(stream->bytes, stream->bytes + stream->at, left);
	}
	stream->scanned -= stream->at;
	stream->len = left;
	stream->at = 0;
}

int fr_watchman_stream_room(struct fr_watchman_stream *stream, char **ret_room, size_t *ret_len)
{
	compact(stream);
	if (stream->size - stream->len < FR_WATCHMAN_MIN_ROOM) {
		size_t size = stream->size ? stream->size * 2 : FR_WATCHMAN_FIRST_SIZE;
		char *larger = realloc(stream->bytes, size);

		if (!larger)
			return -ENOMEM;
		stream->bytes = larger;
		stream->size = size;
	}
	*ret_room = stream->bytes + stream->len;
	*ret_len = stream->size - stream->len;
	return 0;
}

void fr_watchman_stream_filled(struct fr_watchman_stream *stream, size_t len)
{
	stream->len += len;
}

/* No newline is in sight. Is this more than any message that we want? */
static int need_more(struct fr_watchman_stream *stream)
{
	stream->scanned = stream->len;
	if (stream->is_skipping) {
		stream->at = stream->len;
		return 0;
	}
	if (stream->len - stream->at <= FR_WATCHMAN_MAX_MESSAGE)
		return 0;
	stream->is_skipping = true;
	stream->at = stream->len;
	return -EMSGSIZE;
}

int fr_watchman_stream_next(struct fr_watchman_stream *stream, const char **ret_text,
			    size_t *ret_len)
{
	while (stream->len > stream->scanned) {
		char *end = memchr(stream->bytes + stream->scanned, '\n',
				   stream->len - stream->scanned);
		size_t at = stream->at;

		if (!end)
			return need_more(stream);
		stream->at = stream->scanned = (size_t)(end - stream->bytes) + 1;
		if (!stream->is_skipping) {
			*ret_text = stream->bytes + at;
			*ret_len = stream->at - 1 - at;
			return *ret_len > FR_WATCHMAN_MAX_MESSAGE ? -EMSGSIZE : 1;
		}
		stream->is_skipping = false;
	}
	return 0;
}

/* ---- messages ---- */

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)); /* NULL for anything else */
}

static enum fr_watchman_kind kind_of(const struct fr_watchman_message *message)
{
	if (message->error)
		return FR_WATCHMAN_ERROR;
	if (message->subscription && json_is_true(json_object_get(message->json, "canceled")))
		return FR_WATCHMAN_CANCELED;
	if (message->subscription && message->files)
		return FR_WATCHMAN_CHANGES;
	if (message->subscription || json_object_get(message->json, "unilateral") ||
	    json_object_get(message->json, "log"))
		return FR_WATCHMAN_OTHER;
	return FR_WATCHMAN_ANSWER;
}

int fr_watchman_message_read(const char *text, size_t len, struct fr_watchman_message *ret_message)
{
	struct fr_watchman_message message = {0};
	json_error_t error;

	message.json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!message.json)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	if (!json_is_object(message.json)) {
		json_decref(message.json);
		return -EBADMSG;
	}
	message.error = string_of(message.json, "error");
	message.warning = string_of(message.json, "warning");
	message.subscription = string_of(message.json, "subscription");
	message.watch = string_of(message.json, "watch");
	message.relative_path = string_of(message.json, "relative_path");
	message.clock = string_of(message.json, "clock");
	if (message.clock && strlen(message.clock) >= FR_WATCHMAN_MAX_CLOCK)
		message.clock = NULL;
	message.is_fresh = json_is_true(json_object_get(message.json, "is_fresh_instance"));
	message.has_pcre = json_is_true(
		json_object_get(json_object_get(message.json, "capabilities"), "term-pcre"));
	message.files = json_object_get(message.json, "files");
	if (!json_is_array(message.files))
		message.files = NULL;
	message.files_len = json_array_size(message.files);
	message.kind = kind_of(&message);
	*ret_message = message;
	return 0;
}

void fr_watchman_message_clear(struct fr_watchman_message *message)
{
	json_decref(message->json);
	*message = (struct fr_watchman_message){0};
}

/* Does the name lie below the folder that it is relative to, and can a path be that long? */
static bool is_below(const char *name)
{
	size_t len = strlen(name);

	if (len >= PATH_MAX)
		return false;
	for (const char *word = name; word; word = strchr(word, '/')) {
		size_t word_len;

		word += word != name;
		word_len = strcspn(word, "/");
		if (word_len == 0 || strncmp(word, ".", word_len) == 0 ||
		    strncmp(word, "..", word_len) == 0)
			return false;
	}
	return true;
}

int fr_watchman_message_file(const struct fr_watchman_message *message, size_t i,
			     struct fr_watchman_file *ret_file)
{
	const json_t *entry = json_array_get(message->files, i);
	const char *name = string_of(entry, "name");
	const char *type = string_of(entry, "type");

	if (!name || !is_below(name))
		return -EBADMSG;
	ret_file->name = name;
	ret_file->exists = json_is_true(json_object_get(entry, "exists"));
	ret_file->is_new = json_is_true(json_object_get(entry, "new"));
	ret_file->is_folder = type && strcmp(type, "d") == 0;
	return 0;
}

int fr_watchman_read_sockname(const char *text, size_t len, char *ret_path, size_t path_size)
{
	json_t *json = json_loadb(text, len, 0, NULL);
	const char *path = string_of(json, "sockname");
	int error = 0;

	if (!path || path[0] != '/')
		error = -EBADMSG;
	else if (strlen(path) >= path_size)
		error = -ENAMETOOLONG;
	else
		memcpy(ret_path, path, strlen(path) + 1);
	json_decref(json);
	return error;
}

/* ---- commands ---- */

/* Takes the command. */
static char *line_of(json_t *command)
{
	char *text = command ? json_dumps(command, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	char *line = text ? malloc(len + 2) : NULL;

	if (line) {
		memcpy(line, text, len);
		memcpy(line + len, "\n", 2);
	}
	free(text);
	json_decref(command);
	return line;
}

char *fr_watchman_write_greeting(void)
{
	return line_of(json_pack("[s, {s: [s]}]", "version", "optional", "term-pcre"));
}

char *fr_watchman_write_watch(const char *path)
{
	return line_of(json_pack("[s, s]", "watch-project", path));
}

char *fr_watchman_write_query(const char *watch, const char *clock, int sync_ms)
{
	json_t *query = json_pack("{s: [s], s: [s], s: b, s: i}", "expression", "false", "fields",
				  "name", "empty_on_fresh_instance", 1, "sync_timeout", sync_ms);

	if (query && clock)
		(void)json_object_set_new(query, "since", json_string(clock));
	return line_of(json_pack("[s, s, o]", "query", watch, query));
}

static json_t *expression_of(enum fr_watchman_names names)
{
	json_t *is_text = json_pack("[s, s, s]", "pcre", FR_WATCHMAN_UTF8, "wholename");

	return names == FR_WATCHMAN_TEXT_NAMES ? is_text : json_pack("[s, o]", "not", is_text);
}

/*
 * No "empty_on_fresh_instance": a notification without files is not sent at all
 * (cmds/subscribe.cpp, buildSubscriptionResults), and then nobody would say that there is a fresh
 * instance. No "defer_vcs": what a checkout holds back is decided in one place for all sources.
 */
char *fr_watchman_write_subscribe(const char *watch, const char *relative, const char *name,
				  const char *clock, enum fr_watchman_names names)
{
	json_t *fields = names == FR_WATCHMAN_OTHER_NAMES
				 ? json_pack("[s]", "type")
				 : json_pack("[s, s, s, s]", "name", "exists", "new", "type");
	json_t *query = json_pack("{s: o, s: b, s: [s, s]}", "fields", fields, "defer_vcs", 0,
				  "defer", "hg.update", "hg.transaction");

	if (query && names != FR_WATCHMAN_ALL_NAMES)
		(void)json_object_set_new(query, "expression", expression_of(names));
	if (query && clock)
		(void)json_object_set_new(query, "since", json_string(clock));
	if (query && relative && relative[0])
		(void)json_object_set_new(query, "relative_root", json_string(relative));
	return line_of(json_pack("[s, s, s, o]", "subscribe", watch, name, query));
}

char *fr_watchman_write_unsubscribe(const char *watch, const char *name)
{
	return line_of(json_pack("[s, s, s]", "unsubscribe", watch, name));
}
