/*
 * pattern: see pattern.h. A pattern becomes an array of tokens once; matching walks the tokens and
 * the path side by side and keeps two places to return to, one for "*" and one for "**".
 *
 * The verdicts are git's, oddities included (tests/unit/compare_gitignore.py asks git itself).
 * No ctype.h here: its answers change with the locale that the application sets.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "decide/byteset.h"
#include "decide/pattern.h"

static const char REASON_MEMORY[] = "out of memory";
static const char REASON_EMPTY[] =
	"the pattern is empty: write a name such as \"*.html\" or a folder such as \"templates/\"";
static const char REASON_SLASHES[] =
	"two slashes in a row match nothing: write one '/' between two names";
static const char REASON_BACKSLASH[] =
	"nothing follows the last backslash: write '\\\\' for a backslash in a name";
static const char REASON_UNCLOSED[] =
	"a '[' without its ']': close the brackets, or write '\\[' for a bracket in a name";
static const char REASON_CLASS[] =
	"unknown name in \"[: :]\": alnum, alpha, blank, cntrl, digit, graph, lower, print, punct, "
	"space, upper and xdigit exist";
static const char REASON_NOTHING[] =
	"the brackets match nothing: a name never holds a '/', write it outside of them";

enum fr_token_kind {
	FR_TOKEN_BYTE,    /* this byte */
	FR_TOKEN_ANY,     /* '?': any byte but '/' */
	FR_TOKEN_SET,     /* brackets: any byte of the set, which never holds '/' */
	FR_TOKEN_STAR,    /* '*': any bytes but '/' */
	FR_TOKEN_FOLDERS, /* "**" and its '/': nothing, or anything that ends with a '/' */
	FR_TOKEN_ALL,     /* "**" at the end: anything */
};

struct fr_token {
	enum fr_token_kind kind;
	unsigned char byte;
	struct fr_byteset set;
};

struct fr_pattern {
	char *text;
	bool is_negated;
	bool is_folder_only;
	bool is_anchored;
	char *tail; /* the bytes that whatever it matches ends with: those after the last wildcard
		     */
	size_t tail_len; /* 0: any */
	bool is_kind;    /* only one star and the tail: "*.py" */
	size_t token_count;
	struct fr_token tokens[];
};

/* Reads the body of a pattern: without '!', leading '/', trailing '/' and trailing spaces. */
struct fr_parser {
	const char *start;
	const char *at;
	const char *end;
	bool has_special; /* a wildcard or a backslash came before */
	bool at_name;     /* a name must begin here: no path has a '/' at this place, or its end */
};

/* ---- parsing ---- */

/* The byte `ahead` bytes after the current one, or 0 behind the end. */
static unsigned char look(const struct fr_parser *parser, size_t ahead)
{
	if (ahead >= (size_t)(parser->end - parser->at))
		return '\0';
	return (unsigned char)parser->at[ahead];
}

/* Consumes a byte, or a backslash and the byte behind it. Returns 0 where there is none. */
static unsigned char take_byte(struct fr_parser *parser)
{
	unsigned char byte;

	if (look(parser, 0) == '\\')
		parser->at++;
	byte = look(parser, 0);
	if (byte)
		parser->at++;
	return byte;
}

/*
 * At "[:" inside brackets: consumes "[:name:]" and adds its bytes. *ret_is_class is false, and
 * nothing consumed, where the next ']' has no ':' before it: that '[' is a byte like any other.
 */
static const char *parse_class(struct fr_parser *parser, struct fr_byteset *set, bool *ret_is_class)
{
	const char *name = parser->at + 2;
	const char *close = memchr(name, ']', (size_t)(parser->end - name));

	*ret_is_class = false;
	if (!close)
		return REASON_UNCLOSED;
	if (close == name || close[-1] != ':')
		return NULL;
	if (!fr_byteset_add_class(set, name, (size_t)(close - 1 - name), true))
		return REASON_CLASS;
	parser->at = close + 1;
	*ret_is_class = true;
	return NULL;
}

/*
 * Adds one member of the brackets to the set: a byte, a class, or the rest of a range whose first
 * byte was the member before this one (*low; 0 where that was no single byte).
 */
static const char *parse_member(struct fr_parser *parser, struct fr_byteset *set,
				unsigned char *low)
{
	const char *reason;
	unsigned char byte;
	bool is_class;

	if (look(parser, 0) == '-' && *low && look(parser, 1) && look(parser, 1) != ']') {
		parser->at++;
		byte = take_byte(parser);
		if (!byte)
			return REASON_UNCLOSED;
		fr_byteset_add(set, *low, byte);
		*low = 0;
		return NULL;
	}
	if (look(parser, 0) == '[' && look(parser, 1) == ':') {
		reason = parse_class(parser, set, &is_class);
		if (reason || is_class) {
			*low = 0;
			return reason;
		}
	}
	byte = take_byte(parser);
	if (!byte)
		return REASON_UNCLOSED;
	fr_byteset_add(set, byte, byte);
	*low = byte;
	return NULL;
}

/* At '['. The first member may be ']' itself, hence do … while. */
static const char *parse_brackets(struct fr_parser *parser, struct fr_token *token)
{
	const char *reason;
	unsigned char low = 0;
	bool is_negated;

	token->kind = FR_TOKEN_SET;
	parser->at++;
	is_negated = look(parser, 0) == '!' || look(parser, 0) == '^';
	if (is_negated)
		parser->at++;
	do {
		reason = parse_member(parser, &token->set, &low);
		if (reason)
			return reason;
	} while (look(parser, 0) != ']');
	parser->at++;

	if (is_negated)
		fr_byteset_invert(&token->set);
	fr_byteset_remove(&token->set, '/');
	fr_byteset_remove(&token->set, '\0');
	parser->at_name = false;
	return fr_byteset_is_empty(&token->set) ? REASON_NOTHING : NULL;
}

/*
 * At '*'. Two or more of them cross folders only as a whole name. git cuts the part before the
 * first wildcard off and compares it by itself, so that a "**" right behind that part is a whole
 * name for it as well: "lib**" followed by "/x" matches "lib/a/x", and "libx".
 */
static void parse_stars(struct fr_parser *parser, struct fr_token *token)
{
	const char *first = parser->at;
	bool is_whole_before;

	is_whole_before = first == parser->start || first[-1] == '/' || !parser->has_special;
	while (look(parser, 0) == '*')
		parser->at++;

	if (parser->at - first == 1 || !is_whole_before) {
		token->kind = FR_TOKEN_STAR;
	} else if (look(parser, 0) == '/') {
		token->kind = FR_TOKEN_FOLDERS;
		parser->at++;
		return; /* it may match nothing: at_name stays what it was */
	} else if (!look(parser, 0) || (look(parser, 0) == '\\' && look(parser, 1) == '/')) {
		token->kind = FR_TOKEN_ALL;
	} else {
		token->kind = FR_TOKEN_STAR;
	}
	parser->at_name = false;
}

static const char *parse_plain(struct fr_parser *parser, struct fr_token *token)
{
	token->kind = FR_TOKEN_BYTE;
	token->byte = take_byte(parser);
	if (!token->byte)
		return REASON_BACKSLASH;
	if (token->byte == '/' && parser->at_name)
		return REASON_SLASHES;
	parser->at_name = token->byte == '/';
	return NULL;
}

static const char *parse_token(struct fr_parser *parser, struct fr_token *token)
{
	const char *reason = NULL;
	bool is_special = true;

	switch (look(parser, 0)) {
	case '*':
		parse_stars(parser, token);
		break;
	case '?':
		token->kind = FR_TOKEN_ANY;
		parser->at++;
		parser->at_name = false;
		break;
	case '[':
		reason = parse_brackets(parser, token);
		break;
	case '\\':
		reason = parse_plain(parser, token);
		break;
	default:
		reason = parse_plain(parser, token);
		is_special = false;
	}
	parser->has_special |= is_special;
	return reason;
}

/* Fills the tokens from the body. Returns NULL, or what is wrong with it. */
static const char *parse_body(struct fr_pattern *pattern, const char *body, size_t body_len)
{
	struct fr_parser parser = {
		.start = body,
		.at = body,
		.end = body + body_len,
		.at_name = true,
	};
	const char *reason;

	while (parser.at < parser.end) {
		reason = parse_token(&parser, &pattern->tokens[pattern->token_count]);
		if (reason)
			return reason;
		pattern->token_count++;
	}
	if (parser.at_name)
		return REASON_SLASHES;
	return NULL;
}

/* The length of text without the spaces at its end, save those behind a backslash. */
static size_t trimmed_len(const char *text)
{
	size_t len = 0;
	size_t i;

	for (i = 0; text[i]; i++) {
		if (text[i] == '\\' && text[i + 1])
			i++;
		else if (text[i] == ' ')
			continue;
		len = i + 1;
	}
	return len;
}

/* Takes what surrounds the body off, then parses the body. */
static const char *parse_text(struct fr_pattern *pattern)
{
	const char *body = pattern->text;
	size_t body_len = trimmed_len(body);

	if (body_len > 0 && *body == '!') {
		pattern->is_negated = true;
		body++;
		body_len--;
	}
	if (body_len > 0 && body[body_len - 1] == '/') {
		pattern->is_folder_only = true;
		body_len--;
	}
	if (body_len == 0)
		return REASON_EMPTY;
	pattern->is_anchored = memchr(body, '/', body_len);
	if (*body == '/') {
		body++;
		body_len--;
	}
	return parse_body(pattern, body, body_len);
}

/* Most patterns are kinds ("*.py"), and most names of another kind: for the cheap answers. */
static int note_tail(struct fr_pattern *pattern)
{
	size_t first = pattern->token_count;

	while (first > 0 && pattern->tokens[first - 1].kind == FR_TOKEN_BYTE)
		first--;
	pattern->tail_len = pattern->token_count - first;
	pattern->tail = malloc(pattern->tail_len + 1);
	if (!pattern->tail)
		return -ENOMEM;
	for (size_t i = 0; i < pattern->tail_len; i++)
		pattern->tail[i] = (char)pattern->tokens[first + i].byte;
	pattern->is_kind =
		first == 1 && pattern->tokens[0].kind == FR_TOKEN_STAR && !pattern->is_anchored;
	return 0;
}

int fr_pattern_new(const char *text, struct fr_pattern **ret_pattern, const char **ret_reason)
{
	struct fr_pattern *pattern;
	const char *reason = REASON_MEMORY;
	int r = -ENOMEM;

	/* No token is shorter than one byte of the text. */
	pattern = calloc(1, sizeof(*pattern) + strlen(text) * sizeof(pattern->tokens[0]));
	if (!pattern)
		goto out;
	pattern->text = strdup(text);
	if (!pattern->text)
		goto out;
	reason = parse_text(pattern);
	if (reason) {
		r = -EINVAL;
		goto out;
	}
	reason = REASON_MEMORY;
	if (note_tail(pattern) < 0)
		goto out;
	*ret_pattern = pattern;
	return 0;
out:
	fr_pattern_free(pattern);
	*ret_reason = reason;
	return r;
}

void fr_pattern_free(struct fr_pattern *pattern)
{
	if (!pattern)
		return;
	free(pattern->text);
	free(pattern->tail);
	free(pattern);
}

/* ---- matching ---- */

/* Where to go on after a mismatch: token is the one behind the star, at the path's byte for it. */
struct fr_retry {
	bool is_set;
	enum fr_token_kind kind;
	size_t token;
	size_t at;
};

/* Lets the star take as little more as it can, up to the byte that must follow it if that is a
 * certain one (next: the token behind the star, or NULL). Returns false where it can take no more.
 */
static bool extend(struct fr_retry *retry, const struct fr_token *next, const char *path,
		   size_t path_len)
{
	bool is_certain = next && next->kind == FR_TOKEN_BYTE;
	const char *slash;

	if (!retry->is_set || retry->at == path_len)
		return false;
	if (retry->kind == FR_TOKEN_FOLDERS) {
		slash = memchr(path + retry->at, '/', path_len - retry->at);
		if (!slash)
			return false;
		retry->at = (size_t)(slash - path) + 1;
		return true;
	}
	do {
		if (retry->kind == FR_TOKEN_STAR && path[retry->at] == '/')
			return false;
		retry->at++;
		if (is_certain && retry->at == path_len)
			return false;
	} while (is_certain && (unsigned char)path[retry->at] != next->byte);
	return true;
}

/* The token behind the star, or NULL. */
static const struct fr_token *behind(const struct fr_token *tokens, size_t count,
				     const struct fr_retry *retry)
{
	return retry->token < count ? &tokens[retry->token] : NULL;
}

static bool matches_byte(const struct fr_token *token, unsigned char byte)
{
	if (token->kind == FR_TOKEN_BYTE)
		return byte == token->byte;
	if (token->kind == FR_TOKEN_ANY)
		return byte != '/';
	return fr_byteset_has(&token->set, byte);
}

/* Is it a "**" that crosses folders? */
static bool is_open_ended(const struct fr_token *token)
{
	return token->kind == FR_TOKEN_FOLDERS || token->kind == FR_TOKEN_ALL;
}

/*
 * Only the latest star of a name and the latest "**" are ever tried again: what an earlier one
 * could take in addition, the later one can take as well. A star is forgotten at each '/', which
 * it cannot pass. So there are at most path_len ways to extend each, and no exponential case.
 */
static bool matches_tokens(const struct fr_token *tokens, size_t count, const char *path,
			   size_t path_len)
{
	struct fr_retry star = {.is_set = false};
	struct fr_retry folders = {.is_set = false};
	size_t token = 0;
	size_t at = 0;

	while (token < count || at < path_len) {
		if (token < count && tokens[token].kind == FR_TOKEN_STAR) {
			star = (struct fr_retry){true, FR_TOKEN_STAR, ++token, at};
		} else if (token < count && is_open_ended(&tokens[token])) {
			folders = (struct fr_retry){true, tokens[token].kind, token + 1, at};
			star.is_set = false;
			token++;
		} else if (token < count && at < path_len &&
			   matches_byte(&tokens[token], (unsigned char)path[at])) {
			if (path[at] == '/')
				star.is_set = false;
			token++;
			at++;
		} else if (extend(&star, behind(tokens, count, &star), path, path_len)) {
			token = star.token;
			at = star.at;
		} else if (extend(&folders, behind(tokens, count, &folders), path, path_len)) {
			star.is_set = false;
			token = folders.token;
			at = folders.at;
		} else {
			return false;
		}
	}
	return true;
}

bool fr_pattern_matches_span(const struct fr_pattern *pattern, const char *path, size_t path_len,
			     bool is_folder)
{
	size_t name_at = path_len, tail_len = pattern->tail_len;

	if (path_len == 0 || (pattern->is_folder_only && !is_folder))
		return false;
	if (tail_len > path_len || memcmp(path + path_len - tail_len, pattern->tail, tail_len) != 0)
		return false;
	if (pattern->is_kind)
		return true;
	if (pattern->is_anchored) {
		name_at = 0;
	} else {
		while (name_at > 0 && path[name_at - 1] != '/')
			name_at--;
	}
	return matches_tokens(pattern->tokens, pattern->token_count, path + name_at,
			      path_len - name_at);
}

bool fr_pattern_matches(const struct fr_pattern *pattern, const char *path, bool is_folder)
{
	return fr_pattern_matches_span(pattern, path, strlen(path), is_folder);
}

bool fr_pattern_matches_with_parents(const struct fr_pattern *pattern, const char *path,
				     bool is_folder)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		if (fr_pattern_matches_span(pattern, path, (size_t)(slash - path), true))
			return true;
	}
	return fr_pattern_matches(pattern, path, is_folder);
}

/*
 * The number of tokens up to the next '/' of the pattern, or up to its end. *ret_has_folders says
 * that a "**" is among them, so that they do not stand for one name.
 */
static size_t name_token_count(const struct fr_token *tokens, size_t count, bool *ret_has_folders)
{
	size_t i;

	*ret_has_folders = false;
	for (i = 0; i < count; i++) {
		if (tokens[i].kind == FR_TOKEN_BYTE && tokens[i].byte == '/')
			break;
		if (is_open_ended(&tokens[i]))
			*ret_has_folders = true;
	}
	return i;
}

bool fr_pattern_may_match_below(const struct fr_pattern *pattern, const char *path)
{
	const struct fr_token *token = pattern->tokens;
	size_t left = pattern->token_count;
	size_t name_count;
	size_t name_len;
	bool has_folders;

	if (!pattern->is_anchored || token->kind == FR_TOKEN_FOLDERS)
		return false;
	for (;;) {
		name_count = name_token_count(token, left, &has_folders);
		if (has_folders)
			return true;
		name_len = strcspn(path, "/");
		if (!matches_tokens(token, name_count, path, name_len))
			return false;
		/* Where the pattern ends it takes the folder itself, not what is below. */
		if (name_count == left)
			return false;
		token += name_count + 1;
		left -= name_count + 1;
		path += name_len;
		if (!*path)
			return true;
		path++;
	}
}

static bool may_take(const struct fr_token *token, unsigned char byte)
{
	return token->kind == FR_TOKEN_STAR || is_open_ended(token) || matches_byte(token, byte);
}

bool fr_pattern_may_begin(const struct fr_pattern *pattern, unsigned char byte)
{
	return pattern->is_anchored || may_take(&pattern->tokens[0], byte);
}

bool fr_pattern_may_end(const struct fr_pattern *pattern, unsigned char byte)
{
	return may_take(&pattern->tokens[pattern->token_count - 1], byte);
}

bool fr_pattern_is_negated(const struct fr_pattern *pattern)
{
	return pattern->is_negated;
}

bool fr_pattern_is_blanket(const struct fr_pattern *pattern)
{
	const struct fr_token *token;
	bool has_star = false;
	size_t i;

	if (pattern->is_folder_only)
		return true;
	for (i = pattern->token_count; i > 0; i--) {
		token = &pattern->tokens[i - 1];
		if (token->kind == FR_TOKEN_FOLDERS)
			break;
		if (token->kind == FR_TOKEN_BYTE && token->byte == '/')
			break;
		if (token->kind == FR_TOKEN_SET)
			return false;
		if (token->kind == FR_TOKEN_BYTE && token->byte != '.')
			return false;
		if (token->kind == FR_TOKEN_STAR || token->kind == FR_TOKEN_ALL)
			has_star = true;
	}
	return has_star;
}

const char *fr_pattern_text(const struct fr_pattern *pattern)
{
	return pattern->text;
}
