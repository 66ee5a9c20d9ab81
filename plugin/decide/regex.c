/*
 * regex: see regex.h. The expression becomes a program of states; a search follows all ways through
 * it side by side (Thompson, 1968), so that no way is ever gone twice at the same byte.
 *
 * States refer to each other by distance, so that a group is repeated by copying its states.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decide/byteset.h"
#include "decide/regex.h"

#define FR_REGEX_MAX_DEPTH 32

static const char REASON_MEMORY[] = "out of memory";
static const char REASON_SIZE[] =
	"the regular expression is too large: repeat fewer times, or use '*' or '+'";
static const char REASON_DEPTH[] = "too many parentheses inside each other: 32 are allowed";
static const char REASON_PARENTHESIS[] =
	"a parenthesis without its partner: close it, or write '\\(' for one in a name";
static const char REASON_BRACKET[] =
	"a '[' without its ']': close the brackets, or write '\\[' for a bracket in a name";
static const char REASON_CLASS[] = "unknown name in \"[: :]\", or one of \"[. .]\" and \"[= =]\", "
				   "which are not known here";
static const char REASON_RANGE[] = "a range in brackets ends before it begins";
static const char REASON_REPEAT[] = "nothing stands before the repetition: write '\\*', '\\+', "
				    "'\\?' or '\\{' for the character";
static const char REASON_BOUNDS[] =
	"'{' needs numbers, as in \"{2}\", \"{2,}\" or \"{2,5}\"; write '\\{' for one in a name";
static const char REASON_EMPTY[] = "an empty alternative matches everything: remove the '|' or "
				   "the parentheses, or write '?' behind the group";
static const char REASON_BACKSLASH[] = "nothing follows the last backslash: write '\\\\' for one";
static const char REASON_BACK_REFERENCE[] =
	"back-references are not possible: write the alternatives out";

enum op {
	OP_SET,   /* a byte of the set, and on to the next state */
	OP_BEGIN, /* at the start of the text */
	OP_END,   /* at its end */
	OP_SPLIT, /* on to both */
	OP_JUMP,  /* on to the first */
	OP_MATCH,
};

struct state {
	enum op op;
	int first, second; /* distances */
	struct fr_byteset set;
};

struct fr_regex {
	size_t states_len;
	struct state states[];
};

struct parser {
	const char *at;
	unsigned depth;
	size_t len;
	struct state states[FR_REGEX_MAX_STATES];
};

/* ---- parsing: each returns NULL, or what is wrong ---- */

static const char *emit(struct parser *parser, enum op op, struct state **ret_state)
{
	struct state *state = &parser->states[parser->len];

	if (parser->len == FR_REGEX_MAX_STATES)
		return REASON_SIZE;
	parser->len++;
	*state = (struct state){.op = op};
	if (ret_state)
		*ret_state = state;
	return NULL;
}

static const char *emit_jump(struct parser *parser, enum op op, int first, int second)
{
	struct state *state;
	const char *reason = emit(parser, op, &state);

	if (!reason) {
		state->first = first;
		state->second = second;
	}
	return reason;
}

static const char *emit_copy(struct parser *parser, const struct state *states, size_t len)
{
	if (parser->len + len > FR_REGEX_MAX_STATES)
		return REASON_SIZE;
	memcpy(parser->states + parser->len, states, len * sizeof(*states));
	parser->len += len;
	return NULL;
}

/* Makes room for a split in front of the states from `start` on. */
static const char *insert_split(struct parser *parser, size_t start, int second)
{
	const char *reason = emit(parser, OP_SPLIT, NULL);
	struct state *at = parser->states + start;

	if (reason)
		return reason;
	memmove(at + 1, at, (parser->len - 1 - start) * sizeof(*at));
	*at = (struct state){.op = OP_SPLIT, .first = 1, .second = second};
	return NULL;
}

/* In brackets, at "[:": adds the class. */
static const char *parse_class(struct parser *parser, struct fr_byteset *set)
{
	const char *name = parser->at + 2;
	const char *close = strstr(name, ":]");

	if (!close || !fr_byteset_add_class(set, name, (size_t)(close - name), false))
		return REASON_CLASS;
	parser->at = close + 2;
	return NULL;
}

/* In brackets: a byte, a range or a class. */
static const char *parse_member(struct parser *parser, struct fr_byteset *set)
{
	unsigned char low = (unsigned char)*parser->at, high = low;

	if (!low)
		return REASON_BRACKET;
	if (low == '[' && parser->at[1] == ':')
		return parse_class(parser, set);
	if (low == '[' && (parser->at[1] == '.' || parser->at[1] == '='))
		return REASON_CLASS;
	parser->at++;
	if (parser->at[0] == '-' && parser->at[1] && parser->at[1] != ']') {
		high = (unsigned char)parser->at[1];
		parser->at += 2;
		if (high < low)
			return REASON_RANGE;
	}
	fr_byteset_add(set, low, high);
	return NULL;
}

/* At '['. The first member may be ']' itself, hence do … while. */
static const char *parse_brackets(struct parser *parser)
{
	const char *reason;
	struct state *state;
	bool is_negated;

	reason = emit(parser, OP_SET, &state);
	if (reason)
		return reason;
	is_negated = *++parser->at == '^';
	if (is_negated)
		parser->at++;
	do {
		reason = parse_member(parser, &state->set);
	} while (!reason && *parser->at != ']');
	if (reason)
		return reason;
	parser->at++;
	if (is_negated)
		fr_byteset_invert(&state->set);
	return NULL;
}

/* At a backslash. */
static const char *parse_escape(struct parser *parser)
{
	unsigned char byte = (unsigned char)parser->at[1];
	struct state *state;
	const char *reason = emit(parser, OP_SET, &state);

	if (reason || !byte)
		return reason ? reason : REASON_BACKSLASH;
	if (byte >= '1' && byte <= '9')
		return REASON_BACK_REFERENCE;
	parser->at += 2;
	switch (byte) {
	case 'd':
		(void)fr_byteset_add_class(&state->set, "digit", 5, false);
		break;
	case 's':
		(void)fr_byteset_add_class(&state->set, "space", 5, false);
		break;
	case 'w':
		(void)fr_byteset_add_class(&state->set, "alnum", 5, false);
		fr_byteset_add(&state->set, '_', '_');
		break;
	default:
		fr_byteset_add(&state->set, byte, byte);
	}
	return NULL;
}

static const char *parse_alternatives(struct parser *parser);

static const char *parse_group(struct parser *parser)
{
	const char *reason;

	parser->at++;
	if (++parser->depth > FR_REGEX_MAX_DEPTH)
		return REASON_DEPTH;
	reason = parse_alternatives(parser);
	if (!reason && *parser->at != ')')
		reason = REASON_PARENTHESIS;
	parser->at++;
	parser->depth--;
	return reason;
}

static const char *parse_atom(struct parser *parser)
{
	unsigned char byte = (unsigned char)*parser->at;
	const char *reason;
	struct state *state;

	switch (byte) {
	case '(':
		return parse_group(parser);
	case '[':
		return parse_brackets(parser);
	case '\\':
		return parse_escape(parser);
	case '*':
	case '+':
	case '?':
	case '{':
		return REASON_REPEAT;
	case '^':
	case '$':
		parser->at++;
		return emit(parser, byte == '^' ? OP_BEGIN : OP_END, NULL);
	default:
		break;
	}
	parser->at++;
	reason = emit(parser, OP_SET, &state);
	if (reason)
		return reason;
	fr_byteset_add(&state->set, byte == '.' ? 1 : byte, byte == '.' ? UCHAR_MAX : byte);
	return NULL;
}

/* A number of a "{…}"; larger ones than can be had are cut. -1: there is none. */
static int parse_number(struct parser *parser)
{
	int number = -1;

	for (; *parser->at >= '0' && *parser->at <= '9'; parser->at++) {
		number = (number < 0 ? 0 : number) * 10 + (*parser->at - '0');
		if (number > FR_REGEX_MAX_STATES)
			number = FR_REGEX_MAX_STATES + 1;
	}
	return number;
}

/* At a repetition. *ret_most is -1 where there is no end. */
static const char *parse_bounds(struct parser *parser, int *ret_least, int *ret_most)
{
	char mark = *parser->at++;

	*ret_least = mark == '+';
	*ret_most = mark == '?' ? 1 : -1;
	if (mark != '{')
		return NULL;
	*ret_least = *ret_most = parse_number(parser);
	if (*parser->at == ',') {
		parser->at++;
		*ret_most = parse_number(parser);
	}
	if (*ret_least < 0 || *parser->at != '}' || (*ret_most >= 0 && *ret_most < *ret_least))
		return REASON_BOUNDS;
	parser->at++;
	return NULL;
}

/* Replaces the states from `start` on by their repetition. */
static const char *repeat(struct parser *parser, size_t start, int least, int most)
{
	size_t len = parser->len - start;
	struct state *block = malloc((len + 1) * sizeof(*block));
	const char *reason = NULL;
	int size = (int)len;

	if (!block)
		return REASON_MEMORY;
	memcpy(block, parser->states + start, len * sizeof(*block));
	parser->len = start;
	for (int i = 0; i < least && !reason; i++)
		reason = emit_copy(parser, block, len);
	for (int i = least; i < most && !reason; i++) {
		reason = emit_jump(parser, OP_SPLIT, 1, size + 1);
		reason = reason ? reason : emit_copy(parser, block, len);
	}
	if (most < 0 && least > 0 && !reason)
		reason = emit_jump(parser, OP_SPLIT, -size, 1);
	if (most < 0 && least == 0 && !reason) {
		reason = emit_jump(parser, OP_SPLIT, 1, size + 2);
		reason = reason ? reason : emit_copy(parser, block, len);
		reason = reason ? reason : emit_jump(parser, OP_JUMP, -(size + 1), 0);
	}
	free(block);
	return reason;
}

static bool is_repetition(char byte)
{
	return byte && strchr("*+?{", byte);
}

static const char *parse_sequence(struct parser *parser)
{
	const char *reason = NULL, *first = parser->at;
	int least, most;

	while (!reason && *parser->at && *parser->at != '|' && *parser->at != ')') {
		bool is_anchor = *parser->at == '^' || *parser->at == '$';
		size_t start = parser->len;

		reason = parse_atom(parser);
		if (!reason && is_anchor && is_repetition(*parser->at))
			reason = REASON_REPEAT;
		while (!reason && is_repetition(*parser->at)) {
			reason = parse_bounds(parser, &least, &most);
			reason = reason ? reason : repeat(parser, start, least, most);
		}
	}
	if (!reason && parser->at == first)
		return REASON_EMPTY;
	return reason;
}

/* Each alternative but the last: a split before it, to the next one, and a jump to the end behind
 * it. */
static const char *parse_alternatives(struct parser *parser)
{
	size_t first_jump = 0, jump = 0, start = parser->len;
	const char *reason = parse_sequence(parser);

	while (!reason && *parser->at == '|') {
		parser->at++;
		reason = insert_split(parser, start, (int)(parser->len - start) + 2);
		/* Until the end is known, a jump says where the one before it is. */
		jump = parser->len;
		reason = reason ? reason : emit_jump(parser, OP_JUMP, (int)first_jump, 0);
		first_jump = jump;
		start = parser->len;
		reason = reason ? reason : parse_sequence(parser);
	}
	while (!reason && jump > 0) {
		size_t before = (size_t)parser->states[jump].first;

		parser->states[jump].first = (int)(parser->len - jump);
		jump = before;
	}
	return reason;
}

int fr_regex_new(const char *text, struct fr_regex **ret_regex, const char **ret_reason)
{
	struct parser *parser = calloc(1, sizeof(*parser));
	struct fr_regex *regex = NULL;
	const char *reason = REASON_MEMORY;

	if (!parser)
		goto out;
	parser->at = text;
	reason = parse_alternatives(parser);
	if (!reason && *parser->at)
		reason = REASON_PARENTHESIS;
	if (!reason)
		reason = emit(parser, OP_MATCH, NULL);
	if (reason)
		goto out;
	regex = malloc(sizeof(*regex) + parser->len * sizeof(regex->states[0]));
	if (!regex) {
		reason = REASON_MEMORY;
		goto out;
	}
	regex->states_len = parser->len;
	memcpy(regex->states, parser->states, parser->len * sizeof(regex->states[0]));
	*ret_regex = regex;
out:
	free(parser);
	*ret_reason = reason;
	return !reason ? 0 : reason == REASON_MEMORY ? -ENOMEM : -EINVAL;
}

void fr_regex_free(struct fr_regex *regex)
{
	free(regex);
}

size_t fr_regex_states(const struct fr_regex *regex)
{
	return regex->states_len;
}

/* ---- searching ---- */

/* The states that wait for the next byte, and those met at this one. */
struct front {
	uint16_t waiting[FR_REGEX_MAX_STATES];
	size_t len;
};

struct search {
	const struct fr_regex *regex;
	uint32_t met[FR_REGEX_MAX_STATES]; /* 1 + the byte's place at which it was met last */
	uint16_t stack[FR_REGEX_MAX_STATES];
	size_t stack_len;
};

static void push(struct search *search, size_t state, size_t at)
{
	if (search->met[state] == at + 1)
		return;
	search->met[state] = (uint32_t)at + 1;
	search->stack[search->stack_len++] = (uint16_t)state;
}

/* Goes on from the state as far as that takes no byte. Returns whether it comes to the end. */
static bool follow(struct search *search, size_t from, size_t at, bool is_end, struct front *front)
{
	push(search, from, at);
	while (search->stack_len > 0) {
		size_t index = search->stack[--search->stack_len];
		const struct state *state = &search->regex->states[index];

		switch (state->op) {
		case OP_MATCH:
			return true;
		case OP_SET:
			front->waiting[front->len++] = (uint16_t)index;
			break;
		case OP_BEGIN:
		case OP_END:
			if (state->op == OP_BEGIN ? at == 0 : is_end)
				push(search, index + 1, at);
			break;
		case OP_SPLIT:
			push(search, (size_t)((int)index + state->second), at);
			push(search, (size_t)((int)index + state->first), at);
			break;
		case OP_JUMP:
			push(search, (size_t)((int)index + state->first), at);
			break;
		}
	}
	return false;
}

bool fr_regex_finds(const struct fr_regex *regex, const char *text, size_t text_len)
{
	struct search search;
	struct front fronts[2], *now = &fronts[0], *next = &fronts[1], *swapped;

	search.regex = regex;
	search.stack_len = 0;
	memset(search.met, 0, regex->states_len * sizeof(search.met[0]));
	now->len = 0;
	for (size_t at = 0; at <= text_len; at++) {
		if (follow(&search, 0, at, at == text_len, now))
			return true;
		next->len = 0;
		for (size_t i = 0; i < now->len && at < text_len; i++) {
			const struct state *state = &regex->states[now->waiting[i]];

			if (fr_byteset_has(&state->set, (unsigned char)text[at]) &&
			    follow(&search, now->waiting[i] + 1u, at + 1, at + 1 == text_len, next))
				return true;
		}
		swapped = now;
		now = next;
		next = swapped;
	}
	return false;
}
