/*
 * json: writes JSON into a bounded text, and reads one flat object. See json.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report/json.h"
#include "report/sentence.h"

/* ---- writing ---- */

void fr_json_begin(struct fr_json *json, char *text, size_t size)
{
	*json = (struct fr_json){.text = text, .size = size};
	text[0] = '\0';
}

static void put(struct fr_json *json, const char *bytes, size_t len)
{
	if (json->is_full || len >= json->size - json->len) {
		json->is_full = true;
		return;
	}
	memcpy(json->text + json->len, bytes, len);
	json->len += len;
	json->text[json->len] = '\0';
}

void fr_json_raw(struct fr_json *json, const char *text)
{
	put(json, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct fr_json *json,
							     const char *format, ...)
{
	char text[64];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fr_json_raw(json, text);
}

/* '"', '\\' and control bytes in the forms that every reader knows; DEL and C1 controls could move
 * the cursor of a terminal. */
static void put_string(struct fr_json *json, const char *value)
{
	const unsigned char *bytes = (const unsigned char *)value;
	size_t left = strlen(value);

	put(json, "\"", 1);
	while (left > 0 && !json->is_full) {
		size_t len = fr_sentence_utf8_len(bytes, left);

		if (len == 0)
			put_format(json, "\\udc%02x", bytes[0]);
		else if (len == 1 && (bytes[0] == '"' || bytes[0] == '\\'))
			put_format(json, "\\%c", bytes[0]);
		else if (len == 1 && (bytes[0] < 0x20 || bytes[0] == 0x7f))
			put_format(json, "\\u%04x", bytes[0]);
		else if (len == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0)
			put_format(json, "\\u%04x", bytes[1]);
		else
			put(json, (const char *)bytes, len);
		bytes += len > 0 ? len : 1;
		left -= len > 0 ? len : 1;
	}
	put(json, "\"", 1);
}

static void begin_item(struct fr_json *json, const char *key)
{
	if (json->has_item)
		put(json, ",", 1);
	json->has_item = true;
	if (!key)
		return;
	put_string(json, key);
	put(json, ":", 1);
}

void fr_json_open(struct fr_json *json, const char *key, char bracket)
{
	begin_item(json, key);
	put(json, &bracket, 1);
	json->has_item = false;
}

void fr_json_close(struct fr_json *json, char bracket)
{
	put(json, &bracket, 1);
	json->has_item = true;
}

void fr_json_string(struct fr_json *json, const char *key, const char *value)
{
	begin_item(json, key);
	if (value)
		put_string(json, value);
	else
		fr_json_raw(json, "null");
}

void fr_json_number(struct fr_json *json, const char *key, int64_t value)
{
	begin_item(json, key);
	put_format(json, "%" PRId64, value);
}

void fr_json_bool(struct fr_json *json, const char *key, bool value)
{
	begin_item(json, key);
	fr_json_raw(json, value ? "true" : "false");
}

void fr_json_seconds(struct fr_json *json, const char *key, int64_t value_ms)
{
	begin_item(json, key);
	put_format(json, "%" PRId64 ".%03d", value_ms / 1000, (int)(value_ms % 1000));
}

struct fr_json_mark fr_json_mark(const struct fr_json *json)
{
	return (struct fr_json_mark){.len = json->len, .has_item = json->has_item};
}

void fr_json_go_back(struct fr_json *json, struct fr_json_mark mark)
{
	json->len = mark.len;
	json->has_item = mark.has_item;
	json->is_full = false;
	json->text[mark.len] = '\0';
}

/* ---- reading ---- */

struct reader {
	const char *start, *at, *end;
	const char *error; /* the first one, or NULL */
};

static void fail(struct reader *reader, const char *error)
{
	if (!reader->error)
		reader->error = error;
}

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4))
		reader->at++;
}

static bool take(struct reader *reader, char byte)
{
	skip_space(reader);
	if (reader->error || reader->at >= reader->end || *reader->at != byte)
		return false;
	reader->at++;
	return true;
}

static unsigned take_hex(struct reader *reader)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = reader->at < reader->end && *reader->at
					    ? strchr(digits, *reader->at | 0x20)
					    : NULL;

		if (!digit || (*reader->at < 'A' && *reader->at > '9') || !*digit) {
			fail(reader, "\\u is not followed by four hexadecimal digits");
			return 0;
		}
		value = value * 16 + (unsigned)(digit - digits);
		reader->at++;
	}
	return value;
}

static size_t write_utf8(unsigned code, char bytes[4])
{
	if (code < 0x80) {
		bytes[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		bytes[0] = (char)(0xc0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		bytes[0] = (char)(0xe0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	bytes[0] = (char)(0xf0 | code >> 18);
	bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
	bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
	bytes[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* Behind "\u". Pairs of surrogates are one character, and a single one of \udc80 to \udcff is a
 * byte. */
static size_t take_code(struct reader *reader, char bytes[4])
{
	unsigned code = take_hex(reader), low;

	if (code == 0)
		fail(reader, "a string holds a NUL");
	if (code >= 0xdc80 && code <= 0xdcff) {
		bytes[0] = (char)(code - 0xdc00);
		return 1;
	}
	if (code < 0xd800 || code > 0xdfff)
		return write_utf8(code, bytes);
	if (code < 0xdc00 && reader->end - reader->at >= 2 && reader->at[0] == '\\' &&
	    reader->at[1] == 'u') {
		reader->at += 2;
		low = take_hex(reader);
		if (low >= 0xdc00 && low <= 0xdfff)
			return write_utf8(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00),
					  bytes);
	}
	fail(reader, "a surrogate has no second half");
	return 0;
}

/* Behind "\". */
static size_t take_escape(struct reader *reader, char bytes[4])
{
	static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	char name = reader->at < reader->end ? *reader->at++ : '\0';
	const char *found = name ? strchr(names, name) : NULL;

	if (name == 'u')
		return take_code(reader, bytes);
	if (!found) {
		fail(reader, "a backslash is followed by nothing that JSON knows");
		return 0;
	}
	bytes[0] = meant[found - names];
	return 1;
}

/* One character, or one byte that is none. */
static size_t take_character(struct reader *reader, char bytes[4])
{
	size_t len = fr_sentence_utf8_len((const unsigned char *)reader->at,
					  (size_t)(reader->end - reader->at));

	if (*reader->at == '\\') {
		reader->at++;
		return take_escape(reader, bytes);
	}
	if ((unsigned char)*reader->at < 0x20) {
		fail(reader, "a string holds a control character");
		return 0;
	}
	len = len > 0 ? len : 1;
	memcpy(bytes, reader->at, len);
	reader->at += len;
	return len;
}

static void take_string(struct reader *reader, char *value, size_t size)
{
	size_t used = 0;

	while (!reader->error && reader->at < reader->end && *reader->at != '"') {
		char bytes[4];
		size_t len = take_character(reader, bytes);

		if (!reader->error && len >= size - used)
			fail(reader, "a string is too long");
		if (reader->error)
			break;
		memcpy(value + used, bytes, len);
		used += len;
	}
	value[used] = '\0';
	if (reader->at >= reader->end)
		fail(reader, "a string has no end");
	else
		reader->at++;
}

static bool is_number(const char *text, size_t len)
{
	size_t digits;
	const char *end = text + len;

	if (text < end && *text == '-')
		text++;
	digits = strspn(text, "0123456789");
	if (digits == 0 || (digits > 1 && *text == '0'))
		return false;
	text += digits;
	if (text < end && *text == '.') {
		digits = strspn(text + 1, "0123456789");
		text += 1 + digits;
		if (digits == 0)
			return false;
	}
	if (text < end && (*text == 'e' || *text == 'E')) {
		text++;
		text += *text == '+' || *text == '-';
		digits = strspn(text, "0123456789");
		text += digits;
		if (digits == 0)
			return false;
	}
	return text == end;
}

/* true, false, null or a number. */
static void take_word(struct reader *reader, char *value, size_t size)
{
	size_t len = 0;

	while (reader->at + len < reader->end && !memchr(" \t\r\n,:{}[]\"", reader->at[len], 11))
		len++;
	if (len >= size || len >= 64) {
		fail(reader, "a value is too long");
		return;
	}
	memcpy(value, reader->at, len);
	value[len] = '\0';
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0 &&
	    strcmp(value, "null") != 0 && !(strlen(value) == len && is_number(value, len)))
		fail(reader, "there is neither a string nor a number nor true, false or null");
	else
		reader->at += len;
}

static void take_member(struct reader *reader, struct fr_json_member *members, size_t members_len)
{
	struct fr_json_member *member = members;
	char key[64];

	if (!take(reader, '"')) {
		fail(reader, "there is no key in quotes");
		return;
	}
	take_string(reader, key, sizeof(key));
	while (member < members + members_len && strcmp(member->key, key) != 0)
		member++;
	if (member == members + members_len)
		fail(reader, "the key is unknown");
	else if (member->is_there)
		fail(reader, "the key is there twice");
	if (!take(reader, ':'))
		fail(reader, "there is no colon behind a key");
	skip_space(reader);
	if (reader->error)
		return;
	member->is_there = true;
	member->is_string = take(reader, '"');
	if (member->is_string)
		take_string(reader, member->value, member->size);
	else
		take_word(reader, member->value, member->size);
}

int fr_json_read(const char *text, size_t len, struct fr_json_member *members, size_t members_len,
		 char *error, size_t error_size)
{
	struct reader reader = {.start = text, .at = text, .end = text + len};

	for (size_t i = 0; i < members_len; i++)
		members[i].is_there = false;
	if (!take(&reader, '{'))
		fail(&reader, "this is no JSON object");
	if (!take(&reader, '}')) {
		do
			take_member(&reader, members, members_len);
		while (take(&reader, ','));
		if (!take(&reader, '}'))
			fail(&reader, "the object has no end");
	}
	skip_space(&reader);
	if (reader.at != reader.end)
		fail(&reader, "there is something behind the object");
	if (!reader.error)
		return 0;
	snprintf(error, error_size, "%s (at byte %zu)", reader.error,
		 (size_t)(reader.at - reader.start));
	return -EINVAL;
}
