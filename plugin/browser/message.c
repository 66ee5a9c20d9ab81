/*
 * message: what pages are told. See message.h.
 */
#include <jansson.h>
#include <string.h>

#include "browser/excerpt.h"
#include "browser/message.h"
#include "report/json.h"

/* ---- from the master ---- */

bool fr_news_is_numbered(uint32_t kind)
{
	return kind == FR_NEWS_RELOAD || kind == FR_NEWS_ASSETS;
}

size_t fr_news_size(const struct fr_news *news)
{
	return offsetof(struct fr_news, text) + news->text_len;
}

bool fr_news_check(struct fr_news *news, size_t size)
{
	if (size < offsetof(struct fr_news, text) || news->text_len > FR_NEWS_TEXT ||
	    size != fr_news_size(news) || news->kind > FR_NEWS_RESTORED)
		return false;
	news->reason[sizeof(news->reason) - 1] = '\0';
	news->file[sizeof(news->file) - 1] = '\0';
	news->path[sizeof(news->path) - 1] = '\0';
	news->error[sizeof(news->error) - 1] = '\0';
	news->serving[sizeof(news->serving) - 1] = '\0';
	return true;
}

/* ---- to pages ---- */

/* The end of the object is sure to fit. */
static void begin(struct fr_json *json, char *text, const char *type)
{
	fr_json_begin(json, text, FR_MESSAGE_SIZE - 8);
	fr_json_open(json, NULL, '{');
	fr_json_string(json, "type", type);
}

static size_t end(struct fr_json *json)
{
	json->size = FR_MESSAGE_SIZE;
	fr_json_close(json, '}');
	return json->len;
}

size_t fr_message_hello(char *text, int64_t generation, bool is_broken, int64_t since)
{
	struct fr_json json;

	begin(&json, text, "hello");
	fr_json_number(&json, "generation", generation);
	fr_json_string(&json, "state", is_broken ? "broken" : "serving");
	fr_json_number(&json, "since", since);
	return end(&json);
}

size_t fr_message_reload(char *text, int64_t generation, const char *reason)
{
	struct fr_json json;

	begin(&json, text, "reload");
	fr_json_number(&json, "generation", generation);
	fr_json_string(&json, "reason", reason);
	return end(&json);
}

size_t fr_message_restored(char *text)
{
	struct fr_json json;

	begin(&json, text, "restored");
	return end(&json);
}

size_t fr_message_assets(char *text, const struct fr_news *news)
{
	struct fr_json json;

	begin(&json, text, "assets");
	fr_json_open(&json, "files", '[');
	for (size_t at = 0; at < news->text_len; at += strlen(news->text + at) + 1)
		fr_json_string(&json, NULL, news->text + at);
	fr_json_close(&json, ']');
	return json.is_full ? 0 : end(&json);
}

/* Leaves the member out if it does not fit. Returns whether it does. */
static bool add_text(struct fr_json *json, const char *key, const char *value)
{
	struct fr_json_mark mark = fr_json_mark(json);

	if (!*value)
		return true;
	fr_json_string(json, key, value);
	if (!json->is_full)
		return true;
	fr_json_go_back(json, mark);
	return false;
}

static void add_excerpt(struct fr_json *json, const struct fr_excerpt *excerpt)
{
	struct fr_json_mark mark = fr_json_mark(json);

	if (excerpt->len == 0)
		return;
	fr_json_open(json, "source", '[');
	for (size_t i = 0; i < excerpt->len; i++) {
		fr_json_open(json, NULL, '{');
		fr_json_number(json, "line", excerpt->first + (long)i);
		fr_json_string(json, "text", excerpt->lines[i]);
		fr_json_close(json, '}');
	}
	fr_json_close(json, ']');
	if (json->is_full)
		fr_json_go_back(json, mark);
}

/* Of what was printed as much of the end as fits, from the beginning of a line on. */
static void add_output(struct fr_json *json, const struct fr_news *news)
{
	char output[FR_NEWS_TEXT + 1];
	const char *from = output;

	memcpy(output, news->text, news->text_len);
	output[news->text_len] = '\0';
	while (!add_text(json, "traceback", from)) {
		const char *line_end;

		from += (strlen(from) + 3) / 4;
		line_end = strchr(from, '\n');
		if (line_end)
			from = line_end + 1;
	}
}

/* "SyntaxError: invalid syntax" is a kind and a message; what has no such beginning is a message.
 */
static void add_error(struct fr_json *json, const char *error)
{
	size_t len = strspn(error, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.");
	char kind[128];

	if (len == 0 || len >= sizeof(kind) || (error[len] && strncmp(error + len, ": ", 2) != 0)) {
		(void)add_text(json, "message", error);
		return;
	}
	memcpy(kind, error, len);
	kind[len] = '\0';
	(void)add_text(json, "kind", kind);
	(void)add_text(json, "message", error[len] ? error + len + 2 : "");
}

size_t fr_message_broken(char *text, const struct fr_news *news, const struct fr_excerpt *excerpt)
{
	struct fr_json json;

	begin(&json, text, "broken");
	add_error(&json, news->error);
	(void)add_text(&json, "file", news->file);
	if (news->line > 0)
		fr_json_number(&json, "line", news->line);
	(void)add_text(&json, "serving", news->serving);
	add_excerpt(&json, excerpt);
	add_output(&json, news);
	return end(&json);
}

/* ---- LiveReload ---- */

size_t fr_message_livereload_hello(char *text)
{
	struct fr_json json;

	fr_json_begin(&json, text, FR_MESSAGE_SIZE);
	fr_json_open(&json, NULL, '{');
	fr_json_string(&json, "command", "hello");
	fr_json_open(&json, "protocols", '[');
	fr_json_string(&json, NULL, "http://livereload.com/protocols/official-7");
	fr_json_close(&json, ']');
	fr_json_string(&json, "serverName", "fastreload");
	fr_json_close(&json, '}');
	return json.len;
}

size_t fr_message_livereload_reload(char *text, const char *path)
{
	struct fr_json json;

	fr_json_begin(&json, text, FR_MESSAGE_SIZE);
	fr_json_open(&json, NULL, '{');
	fr_json_string(&json, "command", "reload");
	fr_json_string(&json, "path", path);
	fr_json_bool(&json, "liveCSS", true);
	fr_json_bool(&json, "liveImg", true);
	fr_json_close(&json, '}');
	return json.len;
}

bool fr_message_is_livereload_hello(const char *text, size_t len)
{
	json_t *message = json_loadb(text, len, 0, NULL);
	const char *command = json_string_value(json_object_get(message, "command"));
	bool is_hello = command && strcmp(command, "hello") == 0;

	json_decref(message);
	return is_hello;
}
