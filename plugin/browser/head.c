/*
 * head: the header of an answer. See head.h.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "browser/head.h"

/* A piece of text that does not end with a NUL. */
struct piece {
	const char *text;
	size_t len;
};

static bool is(struct piece piece, const char *text)
{
	return piece.len == strlen(text) && strncasecmp(piece.text, text, piece.len) == 0;
}

static bool begins(struct piece piece, const char *text)
{
	return piece.len >= strlen(text) && strncasecmp(piece.text, text, strlen(text)) == 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static struct piece trim(struct piece piece)
{
	while (piece.len > 0 && is_blank(piece.text[0])) {
		piece.text++;
		piece.len--;
	}
	while (piece.len > 0 && is_blank(piece.text[piece.len - 1]))
		piece.len--;
	return piece;
}

/* Takes what stands before the next separator off *rest. False: there is no more. */
static bool next(struct piece *rest, char separator, struct piece *ret_piece)
{
	const char *end;

	if (!rest->text)
		return false;
	end = memchr(rest->text, separator, rest->len);
	*ret_piece = *rest;
	if (!end) {
		*rest = (struct piece){NULL, 0};
	} else {
		ret_piece->len = (size_t)(end - rest->text);
		*rest = (struct piece){end + 1, rest->len - ret_piece->len - 1};
	}
	return true;
}

static bool split_line(struct piece line, struct piece *ret_name, struct piece *ret_value)
{
	const char *colon = memchr(line.text, ':', line.len);

	if (!colon)
		return false;
	*ret_name = trim((struct piece){line.text, (size_t)(colon - line.text)});
	*ret_value = trim((struct piece){colon + 1, line.len - (size_t)(colon + 1 - line.text)});
	return true;
}

/* ---- the type ---- */

/* In which the bytes of a tag are those of ASCII, and are no part of anything else. */
static bool is_like_ascii(struct piece charset)
{
	static const char *const starts[] = {
		"utf-8",     "utf8", "us-ascii", "ascii",     "iso-8859-", "iso8859", "latin",
		"windows-",  "cp12", "koi8",     "gb2312",    "gbk",       "gb18030", "big5",
		"shift_jis", "sjis", "euc-",     "macintosh", "tis-620",
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		if (begins(charset, starts[i]))
			return true;
	}
	return false;
}

static bool is_html(struct piece type)
{
	struct piece part, name, value;

	if (!next(&type, ';', &part) || !is(trim(part), "text/html"))
		return false;
	while (next(&type, ';', &part)) {
		const char *equals = memchr(part.text, '=', part.len);

		if (!equals)
			continue;
		name = trim((struct piece){part.text, (size_t)(equals - part.text)});
		value = trim(
			(struct piece){equals + 1, part.len - (size_t)(equals + 1 - part.text)});
		if (value.len >= 2 && value.text[0] == '"')
			value = (struct piece){value.text + 1, value.len - 2};
		if (is(name, "charset") && !is_like_ascii(value))
			return false;
	}
	return true;
}

/* ---- Content-Security-Policy ---- */

/* The sources of a directive in a policy; false: it has none of that name. The first one counts. */
static bool find_directive(struct piece policy, const char *wanted, struct piece *ret_sources)
{
	struct piece directive;

	while (next(&policy, ';', &directive)) {
		struct piece rest = trim(directive), name;

		if (next(&rest, ' ', &name) && is(name, wanted)) {
			*ret_sources = rest.text ? rest : (struct piece){"", 0};
			return true;
		}
	}
	return false;
}

static bool has_source(struct piece sources, const char *wanted)
{
	struct piece source;

	while (next(&sources, ' ', &source)) {
		if (is(trim(source), wanted))
			return true;
	}
	return false;
}

/* Do the sources take in whatever comes from where the page came from? A scheme does, since a page
 * that it does not fit would be none of http. */
static bool have_origin(struct piece sources)
{
	return has_source(sources, "'self'") || has_source(sources, "*") ||
	       has_source(sources, "http:") || has_source(sources, "https:");
}

/* Only what can stand in an attribute as it is. */
static bool find_nonce(struct piece sources, char *ret_nonce)
{
	static const char start[] = "'nonce-";
	struct piece source;

	while (next(&sources, ' ', &source)) {
		source = trim(source);
		if (!begins(source, start) || source.len < sizeof(start) + 1)
			continue;
		source.text += strlen(start);
		source.len -= strlen(start) + 1; /* and the quote behind it */
		if (source.len > FR_HEAD_MAX_NONCE)
			continue;
		memcpy(ret_nonce, source.text, source.len);
		ret_nonce[source.len] = '\0';
		if (strspn(ret_nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789+/=_-") == source.len)
			return true;
	}
	ret_nonce[0] = '\0';
	return false;
}

static bool may_run(struct piece policy, struct fr_head *head)
{
	char nonce[FR_HEAD_MAX_NONCE + 1];
	struct piece sources;

	if (!find_directive(policy, "script-src-elem", &sources) &&
	    !find_directive(policy, "script-src", &sources) &&
	    !find_directive(policy, "default-src", &sources))
		return true;
	if (!find_nonce(sources, nonce))
		return have_origin(sources) && !has_source(sources, "'strict-dynamic'");
	if (head->nonce[0] && strcmp(head->nonce, nonce) != 0) /* of another policy */
		return have_origin(sources) && !has_source(sources, "'strict-dynamic'");
	strcpy(head->nonce, nonce);
	return true;
}

static bool may_connect(struct piece policy)
{
	struct piece sources;

	return (!find_directive(policy, "connect-src", &sources) &&
		!find_directive(policy, "default-src", &sources)) ||
	       have_origin(sources);
}

/* A sandbox has no origin, unless it is given one. */
static bool is_free(struct piece policy)
{
	struct piece words;

	return !find_directive(policy, "sandbox", &words) ||
	       (has_source(words, "allow-scripts") && has_source(words, "allow-same-origin"));
}

/* All policies have to agree. */
static bool do_policies_agree(struct piece policies, struct fr_head *head)
{
	struct piece policy;

	while (next(&policies, ',', &policy)) {
		if (!may_run(policy, head) || !may_connect(policy) || !is_free(policy))
			return false;
	}
	return true;
}

/* ---- the header ---- */

/* What is found on the way. */
struct look {
	struct fr_head *head;
	bool is_html, is_other, is_forbidden;
};

static void look_at_line(struct look *look, struct piece line)
{
	struct piece name, value;

	if (!split_line(line, &name, &value))
		return;
	if (is(name, "Content-Type"))
		look->is_html = is_html(value);
	else if (is(name, "Content-Encoding"))
		look->is_other |= value.len > 0 && !is(value, "identity");
	else if (is(name, "Transfer-Encoding") || is(name, "Content-Range") ||
		 is(name, "X-Sendfile") || is(name, "X-Accel-Redirect"))
		look->is_other = true;
	else if (is(name, "Content-Disposition"))
		look->is_other |= begins(value, "attachment");
	else if (is(name, "Content-Length"))
		look->head->has_length = true;
}

static void look_at_policy(struct look *look, struct piece line)
{
	struct piece name, value;

	if (split_line(line, &name, &value) && is(name, "Content-Security-Policy"))
		look->is_forbidden |= !do_policies_agree(value, look->head);
}

static bool has_page(int status)
{
	return status >= 200 && status != 204 && status != 205 && status != 206 &&
	       (status < 300 || status >= 400);
}

void fr_head_look(int status, const char *text, size_t len, const char *const *extra,
		  size_t extra_len, struct fr_head *ret_head)
{
	struct look look = {.head = ret_head};
	struct piece rest = {text, len}, line;

	*ret_head = (struct fr_head){.verdict = FR_HEAD_OTHER};
	(void)next(&rest, '\n', &line); /* of the status */
	while (next(&rest, '\n', &line)) {
		look_at_line(&look, line);
		look_at_policy(&look, line);
	}
	for (size_t i = 0; i < extra_len; i++)
		look_at_policy(&look, (struct piece){extra[i], strlen(extra[i])});
	if (has_page(status) && look.is_html && !look.is_other)
		ret_head->verdict = look.is_forbidden ? FR_HEAD_FORBIDDEN : FR_HEAD_FITS;
}

/* In a page a sandbox is none (Content Security Policy Level 3, 3.3). */
void fr_head_heed(struct fr_head *head, const char *policies)
{
	struct piece rest = {policies, strlen(policies)}, policy;

	while (head->verdict == FR_HEAD_FITS && next(&rest, ',', &policy)) {
		if (!may_run(policy, head) || !may_connect(policy))
			head->verdict = FR_HEAD_FORBIDDEN;
	}
}

/* ---- rewriting ---- */

static bool is_of_identity(struct piece name)
{
	static const char *const names[] = {"ETag",       "Last-Modified",  "Accept-Ranges",
					    "Digest",     "Content-Digest", "Repr-Digest",
					    "Content-MD5"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (is(name, names[i]))
			return true;
	}
	return false;
}

/* Writes "Content-Length: 123\r\n" for that plus `added`, and returns its length; 0: it is no
 * number, and stays. */
static size_t write_length(struct piece value, size_t added, char *line, size_t line_size)
{
	char digits[24];
	char *end;
	unsigned long long number;

	if (value.len == 0 || value.len >= sizeof(digits) - 4)
		return 0;
	memcpy(digits, value.text, value.len);
	digits[value.len] = '\0';
	number = strtoull(digits, &end, 10);
	if (*end || digits[0] < '0' || digits[0] > '9')
		return 0;
	return (size_t)snprintf(line, line_size, "Content-Length: %llu\r\n", number + added);
}

size_t fr_head_rewrite(char *text, size_t len, size_t added)
{
	size_t at = 0;

	while (at < len) {
		char *end = memchr(text + at, '\n', len - at);
		size_t line_len = end ? (size_t)(end + 1 - (text + at)) : len - at, new_len;
		struct piece name, value;
		char line[48];

		if (!split_line((struct piece){text + at, line_len}, &name, &value)) {
			at += line_len;
			continue;
		}
		new_len = is_of_identity(name) ? 0 : line_len;
		if (is(name, "Content-Length"))
			new_len = write_length(value, added, line, sizeof(line));
		if (new_len == 0 && is(name, "Content-Length"))
			new_len = line_len;
		else if (is(name, "Content-Length") || new_len == 0) {
			memmove(text + at + new_len, text + at + line_len, len - at - line_len);
			memcpy(text + at, line, new_len);
			len = len - line_len + new_len;
		}
		at += new_len;
	}
	return len;
}
