/*
 * meta: the Content-Security-Policy that a <meta> tag sets. See meta.h.
 *
 * What may be a policy is written behind those that are known, and stays if it turns out to be one.
 */
#include <stdlib.h>
#include <string.h>

#include "browser/meta.h"

enum state {
	STATE_BEFORE_NAME,
	STATE_NAME,
	STATE_AFTER_NAME,
	STATE_BEFORE_VALUE,
	STATE_QUOTED,
	STATE_UNQUOTED,
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool is_attribute(const struct fr_meta *meta, const char *name)
{
	return meta->name_len == strlen(name) && memcmp(meta->name, name, meta->name_len) == 0;
}

static void note_name(struct fr_meta *meta, char c)
{
	if (meta->name_len < sizeof(meta->name))
		meta->name[meta->name_len] = lower(c);
	meta->name_len++;
}

static void begin_name(struct fr_meta *meta, char c)
{
	meta->state = STATE_NAME;
	meta->name_len = 0;
	note_name(meta, c);
}

static void note_value(struct fr_meta *meta, char c)
{
	if (is_attribute(meta, "http-equiv") && !meta->has_equiv) {
		if (meta->equiv_len < sizeof(meta->equiv))
			meta->equiv[meta->equiv_len] = lower(c);
		meta->equiv_len++;
	} else if (is_attribute(meta, "content") && !meta->has_content) {
		if (meta->len + meta->content_len < FR_META_MAX_POLICIES)
			meta->policies[meta->len + meta->content_len] = c;
		meta->content_len++;
	}
}

static void end_value(struct fr_meta *meta)
{
	meta->has_equiv |= is_attribute(meta, "http-equiv");
	meta->has_content |= is_attribute(meta, "content");
	meta->state = STATE_BEFORE_NAME;
}

static void read_between(struct fr_meta *meta, char c)
{
	if (meta->state == STATE_AFTER_NAME && c == '=')
		meta->state = STATE_BEFORE_VALUE;
	else if (c == '/')
		meta->state = STATE_BEFORE_NAME;
	else if (!is_blank(c))
		begin_name(meta, c);
}

static void read_name(struct fr_meta *meta, char c)
{
	if (is_blank(c) || c == '/' || c == '=') {
		meta->state = STATE_AFTER_NAME;
		read_between(meta, c);
	} else {
		note_name(meta, c);
	}
}

static void read_before_value(struct fr_meta *meta, char c)
{
	if (c == '"' || c == '\'') {
		meta->state = STATE_QUOTED;
		meta->quote = c;
	} else if (!is_blank(c)) {
		meta->state = STATE_UNQUOTED;
		note_value(meta, c);
	}
}

void fr_meta_feed(struct fr_meta *meta, char c)
{
	switch ((enum state)meta->state) {
	case STATE_BEFORE_NAME:
	case STATE_AFTER_NAME:
		read_between(meta, c);
		break;
	case STATE_NAME:
		read_name(meta, c);
		break;
	case STATE_BEFORE_VALUE:
		read_before_value(meta, c);
		break;
	case STATE_QUOTED:
	case STATE_UNQUOTED:
		if (meta->state == STATE_QUOTED ? c == meta->quote : is_blank(c))
			end_value(meta);
		else
			note_value(meta, c);
		break;
	}
}

void fr_meta_begin(struct fr_meta *meta)
{
	meta->state = STATE_BEFORE_NAME;
	meta->has_equiv = meta->has_content = false;
	meta->name_len = meta->equiv_len = meta->content_len = 0;
}

/* Reads "&#39;", "&#x27;", "&apos;", "&quot;" or "&amp;", which is what templates write for what
 * stands in a policy. Returns the length; 0: it is none of those. */
static size_t read_reference(const char *text, char *ret_c)
{
	static const struct {
		const char *name;
		char c;
	} names[] = {{"&apos;", '\''}, {"&quot;", '"'}, {"&amp;", '&'}};
	bool is_hex = text[0] == '&' && text[1] == '#' && (text[2] == 'x' || text[2] == 'X');
	char *end;
	unsigned long code;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strncmp(text, names[i].name, strlen(names[i].name)) == 0) {
			*ret_c = names[i].c;
			return strlen(names[i].name);
		}
	}
	if (text[1] != '#')
		return 0;
	text += is_hex ? 3 : 2;
	code = strtoul(text, &end, is_hex ? 16 : 10);
	if (end == text || *end != ';' || code < ' ' || code > '~')
		return 0;
	*ret_c = (char)code;
	return (size_t)(end + 1 - text) + (is_hex ? 3 : 2);
}

/* In place: a reference is longer than what it stands for. Returns the new length. */
static size_t decode(char *text)
{
	char *to = text, c;

	for (const char *from = text; *from; to++) {
		size_t len = *from == '&' ? read_reference(from, &c) : 0;

		*to = len > 0 ? c : *from;
		from += len > 0 ? len : 1;
	}
	*to = '\0';
	return (size_t)(to - text);
}

static bool is_policy(const struct fr_meta *meta)
{
	static const char equiv[] = "content-security-policy";

	return meta->equiv_len == strlen(equiv) && memcmp(meta->equiv, equiv, strlen(equiv)) == 0 &&
	       meta->content_len > 0;
}

void fr_meta_end(struct fr_meta *meta)
{
	char *content = meta->policies + meta->len;

	if (is_policy(meta) && meta->len + meta->content_len >= FR_META_MAX_POLICIES)
		meta->is_cut = true;
	if (is_policy(meta) && !meta->is_cut) {
		content[meta->content_len] = '\0';
		meta->len += decode(content);
		meta->policies[meta->len++] = ',';
	}
	meta->policies[meta->len] = '\0';
}
