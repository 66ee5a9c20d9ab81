/*
 * request: the head of an HTTP request. See request.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "browser/request.h"

static bool is(struct fr_http_text text, const char *word)
{
	return text.len == strlen(word) && strncasecmp(text.text, word, text.len) == 0;
}

static struct fr_http_text trim(struct fr_http_text text)
{
	while (text.len > 0 && (text.text[0] == ' ' || text.text[0] == '\t')) {
		text.text++;
		text.len--;
	}
	while (text.len > 0 && strchr(" \t\r", text.text[text.len - 1]))
		text.len--;
	return text;
}

/* Is the word one of those between commas? */
static bool has_word(struct fr_http_text list, const char *word)
{
	while (list.len > 0) {
		const char *comma = memchr(list.text, ',', list.len);
		size_t len = comma ? (size_t)(comma - list.text) : list.len;

		if (is(trim((struct fr_http_text){list.text, len}), word))
			return true;
		len += comma != NULL;
		list.text += len;
		list.len -= len;
	}
	return false;
}

/* "GET /path?query HTTP/1.1" */
static int read_first_line(struct fr_http_text line, struct fr_http_request *request)
{
	const char *first, *second;
	size_t len;

	line = trim(line);
	first = memchr(line.text, ' ', line.len);
	if (!first)
		return -EINVAL;
	second = memchr(first + 1, ' ', line.len - (size_t)(first + 1 - line.text));
	if (!second || first[1] != '/' ||
	    line.len - (size_t)(second + 1 - line.text) != strlen("HTTP/1.1") ||
	    strncmp(second + 1, "HTTP/1.", 7) != 0)
		return -EINVAL;
	request->is_get = first - line.text == 3 && memcmp(line.text, "GET", 3) == 0;
	len = (size_t)(second - first) - 1;
	request->path.text = first + 1;
	request->path.len = len;
	for (size_t i = 0; i < len; i++) {
		if (first[1 + i] == '?') {
			request->path.len = i;
			break;
		}
	}
	return 0;
}

/* What is wanted of an upgrade. */
struct upgrade {
	bool has_upgrade, has_connection, has_version;
};

static int read_field(struct fr_http_text line, struct fr_http_request *request,
		      struct upgrade *upgrade)
{
	const char *colon = memchr(line.text, ':', line.len);
	struct fr_http_text name, value, *wanted = NULL;

	if (!colon || colon == line.text || line.text[0] == ' ' || line.text[0] == '\t')
		return -EINVAL;
	name = (struct fr_http_text){line.text, (size_t)(colon - line.text)};
	value = trim((struct fr_http_text){colon + 1, line.len - name.len - 1});
	if (is(name, "Host"))
		wanted = &request->host;
	else if (is(name, "Origin"))
		wanted = &request->origin;
	else if (is(name, "Sec-WebSocket-Key"))
		wanted = &request->key;
	else if (is(name, "Upgrade"))
		upgrade->has_upgrade |= has_word(value, "websocket");
	else if (is(name, "Connection"))
		upgrade->has_connection |= has_word(value, "upgrade");
	else if (is(name, "Sec-WebSocket-Version"))
		upgrade->has_version |= is(value, "13");
	if (!wanted)
		return 0;
	if (wanted->text)
		return -EINVAL;
	*wanted = value;
	return 0;
}

/* The end of the head: an empty line. */
static const char *find_end(const char *bytes, size_t len, size_t *ret_len)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);

	*ret_len = end ? (size_t)(end + 4 - bytes) : 0;
	return end ? end + 2 : NULL;
}

int fr_http_read(const char *bytes, size_t len, struct fr_http_request *ret_request)
{
	struct upgrade upgrade = {false, false, false};
	size_t head_len;
	const char *end = find_end(bytes, len, &head_len), *at = bytes;

	memset(ret_request, 0, sizeof(*ret_request));
	if (memchr(bytes, '\0', end ? head_len : len))
		return -EINVAL;
	if (!end)
		return len >= FR_HTTP_MAX_HEAD ? -EINVAL : 0;
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		struct fr_http_text line = {at, (size_t)(line_end - at)};
		int error = at == bytes ? read_first_line(line, ret_request)
					: read_field(line, ret_request, &upgrade);

		if (error)
			return error;
		at = line_end + 1;
	}
	ret_request->is_upgrade = upgrade.has_upgrade && upgrade.has_connection &&
				  upgrade.has_version && ret_request->key.text;
	return (int)head_len;
}
