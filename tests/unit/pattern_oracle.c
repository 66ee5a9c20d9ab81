/*
 * pattern_oracle: what compare_gitignore.py asks. It answers for a list of patterns as git does for
 * a .gitignore, with nothing but pattern.c below it.
 *
 * Each line of the input is a letter, a space and a text:
 *   R            forget all patterns
 *   P pattern    add a pattern; one that is refused keeps its number and never matches
 *   F path       a file: prints the number of the pattern that decides (from 1), or 0
 *   D path       the same for a folder
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide/pattern.h"

enum { MAX_PATTERNS = 256 };

struct oracle {
	struct fr_pattern *patterns[MAX_PATTERNS];
	size_t count;
};

static void forget(struct oracle *oracle)
{
	size_t i;

	for (i = 0; i < oracle->count; i++)
		fr_pattern_free(oracle->patterns[i]);
	oracle->count = 0;
}

static void add(struct oracle *oracle, const char *text)
{
	struct fr_pattern *pattern = NULL;
	const char *reason = NULL;

	if (oracle->count == MAX_PATTERNS) {
		fprintf(stderr, "too many patterns\n");
		exit(2);
	}
	if (fr_pattern_new(text, &pattern, &reason) < 0 && !reason) {
		fprintf(stderr, "no reason given for \"%s\"\n", text);
		exit(2);
	}
	oracle->patterns[oracle->count++] = pattern;
}

static size_t last_match(const struct oracle *oracle, const char *path, bool is_folder)
{
	size_t i;

	for (i = oracle->count; i > 0; i--) {
		if (oracle->patterns[i - 1] &&
		    fr_pattern_matches(oracle->patterns[i - 1], path, is_folder))
			return i;
	}
	return 0;
}

/* A parent that is excluded decides for all that it holds: git never looks inside. */
static size_t decide(const struct oracle *oracle, char *path, bool is_folder)
{
	char *slash;
	size_t found;

	for (slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		found = last_match(oracle, path, true);
		*slash = '/';
		if (found > 0 && !fr_pattern_is_negated(oracle->patterns[found - 1]))
			return found;
	}
	return last_match(oracle, path, is_folder);
}

int main(void)
{
	struct oracle oracle = {.count = 0};
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, stdin)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		if (line[0] == 'R')
			forget(&oracle);
		else if (line[0] == 'P')
			add(&oracle, line + 2);
		else
			printf("%zu\n", decide(&oracle, line + 2, line[0] == 'D'));
	}
	forget(&oracle);
	free(line);
	return 0;
}
