/*
 * reactions: what a change of a file leads to. See reactions.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide/config.h"
#include "decide/pattern.h"
#include "decide/reactions.h"

struct rule {
	char *text; /* what the pattern's text and the argument point into */
	struct fr_pattern *pattern;
	struct fr_reaction reaction;
	size_t same_as; /* the first rule that says the same: mostly this one */
};

struct fr_reactions {
	struct rule rules[FR_REACTIONS_MAX];
	size_t len;
};

int fr_reactions_new(struct fr_reactions **ret_reactions)
{
	struct fr_reactions *reactions = calloc(1, sizeof(*reactions));

	if (!reactions)
		return -ENOMEM;
	*ret_reactions = reactions;
	return 0;
}

void fr_reactions_free(struct fr_reactions *reactions)
{
	if (!reactions)
		return;
	for (size_t i = 0; i < reactions->len; i++) {
		fr_pattern_free(reactions->rules[i].pattern);
		free(reactions->rules[i].text);
	}
	free(reactions);
}

/* ---- adding ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *skip_blanks(char *text)
{
	while (is_blank(*text))
		text++;
	return text;
}

/* Cuts the pattern off, and returns what follows it. */
static char *split(char *pattern)
{
	char *end = pattern;

	while (*end && !is_blank(*end))
		end += *end == '\\' && end[1] ? 2 : 1;
	if (*end)
		*end++ = '\0';
	return skip_blanks(end);
}

static bool is_same(const struct fr_reaction *a, const struct fr_reaction *b)
{
	return a->action == b->action &&
	       (a->argument ? b->argument && strcmp(a->argument, b->argument) == 0 : !b->argument);
}

static size_t find_same(const struct fr_reactions *reactions, const struct fr_reaction *reaction)
{
	for (size_t i = 0; i < reactions->len; i++) {
		if (is_same(&reactions->rules[i].reaction, reaction))
			return i;
	}
	return reactions->len;
}

static int parse(struct rule *rule, char *text, char *error, size_t error_size)
{
	char *pattern = skip_blanks(text), *action = split(pattern);
	const char *reason;
	int r;

	if (*pattern == '\0' || *action == '\0') {
		snprintf(error, error_size,
			 "is no rule; write a pattern and an action, as in *.html signal:17");
		return -EINVAL;
	}
	if (*pattern == '!') {
		snprintf(error, error_size,
			 "has a pattern with a \"!\"; write the action \"ignore\" for files that "
			 "do not count");
		return -EINVAL;
	}
	r = fr_config_parse_reaction(action, &rule->reaction, error, error_size);
	if (r < 0)
		return r;
	r = fr_pattern_new(pattern, &rule->pattern, &reason);
	if (r < 0)
		snprintf(error, error_size, "has the pattern \"%s\", which %s", pattern, reason);
	return r;
}

int fr_reactions_add(struct fr_reactions *reactions, const char *text, const char **ret_pattern,
		     bool *ret_ignores, char *error, size_t error_size)
{
	struct rule rule = {0};
	int r;

	if (reactions->len == FR_REACTIONS_MAX) {
		snprintf(error, error_size, "is one rule too many; there can be %d",
			 FR_REACTIONS_MAX);
		return -EINVAL;
	}
	rule.text = strdup(text);
	if (!rule.text) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	r = parse(&rule, rule.text, error, error_size);
	if (r < 0) {
		free(rule.text);
		return r;
	}
	rule.same_as = find_same(reactions, &rule.reaction);
	reactions->rules[reactions->len++] = rule;
	*ret_pattern = fr_pattern_text(rule.pattern);
	*ret_ignores = rule.reaction.action == FR_ACTION_IGNORE;
	return 0;
}

/* ---- asking ---- */

const struct fr_reaction *fr_reactions_find(const struct fr_reactions *reactions, const char *path)
{
	for (size_t i = reactions->len; i > 0; i--) {
		const struct rule *rule = &reactions->rules[i - 1];

		if (rule->reaction.action != FR_ACTION_IGNORE &&
		    fr_pattern_matches_with_parents(rule->pattern, path, false))
			return &reactions->rules[rule->same_as].reaction;
	}
	return NULL;
}

bool fr_reactions_have(const struct fr_reactions *reactions, enum fr_action action)
{
	for (size_t i = 0; i < reactions->len; i++) {
		if (reactions->rules[i].reaction.action == action)
			return true;
	}
	return false;
}
