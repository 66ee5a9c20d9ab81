/*
 * fuzz_pattern: any bytes as a pattern and a path (split at the first NUL). Besides memory errors
 * and hangs it looks for answers that contradict each other.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decide/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops the fuzzer also where assert() is compiled out. */
static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Do names stand between single slashes, as in every path that the plugin builds? */
static bool is_relative_path(const char *path)
{
	size_t len = strlen(path);

	return len > 0 && path[0] != '/' && path[len - 1] != '/' && !strstr(path, "//");
}

/* Is it certainly anchored by a '/' in its middle, and not by a "**" at its start? */
static bool has_anchored_start(const char *text)
{
	const char *slash;

	if (*text == '!')
		text++;
	slash = strchr(*text == '/' ? text + 1 : text, '/');
	return slash && slash[1] != '\0' && slash[1] != ' ' && text[0] != '*' && text[0] != '/';
}

/* What matches lies below each of its parents. */
static void check_parents(const struct fr_pattern *pattern, const char *path)
{
	char *parent = strdup(path);
	char *slash;

	while (parent && (slash = strrchr(parent, '/'))) {
		*slash = '\0';
		require(fr_pattern_may_match_below(pattern, parent));
	}
	free(parent);
}

static void check_answers(const struct fr_pattern *pattern, const char *text, const char *path)
{
	bool matches_file = fr_pattern_matches(pattern, path, false);
	bool matches_folder = fr_pattern_matches(pattern, path, true);

	require(!matches_file || matches_folder);
	require(strcmp(fr_pattern_text(pattern), text) == 0);
	require(fr_pattern_is_negated(pattern) == (text[0] == '!'));
	fr_pattern_is_blanket(pattern);
	fr_pattern_may_match_below(pattern, path);
	if (matches_folder && is_relative_path(path) && has_anchored_start(text))
		check_parents(pattern, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fr_pattern *pattern = NULL;
	const char *reason = NULL;
	const char *path;
	char *text;

	text = malloc(size + 2);
	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	text[size + 1] = '\0';
	path = text + strlen(text) + 1;

	if (fr_pattern_new(text, &pattern, &reason) == 0) {
		check_answers(pattern, text, path);
		fr_pattern_free(pattern);
	} else {
		require(reason && *reason);
	}
	free(text);
	return 0;
}
