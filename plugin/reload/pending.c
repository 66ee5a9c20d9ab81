/*
 * pending: the files whose change no generation has loaded yet. See pending.h.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reload/pending.h"

/* With more changed files than this, it does not matter any more which they are: everything is
 * loaded from the beginning. */
#define FR_PENDING_NAMED 100

static struct {
	char *text;         /* the paths behind each other, each with its NUL; NULL: none, or
			       anything may have changed */
	const char **paths; /* they point into it */
	size_t len;         /* without paths: 0: none, else anything may have changed */
} pending;

static void replace(char *text, const char **paths, size_t len)
{
	free(pending.text);
	free(pending.paths);
	pending.text = text;
	pending.paths = paths;
	pending.len = len;
}

/* A few, as people edit; a storm is not told by name (see FR_PENDING_NAMED). */
static bool is_among(const char *path, const char **paths, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (strcmp(paths[i], path) == 0)
			return true;
	}
	return false;
}

void fr_pending_add(const char *const *paths, size_t paths_len)
{
	size_t size = 1, used = 0, len = 0;
	const char **all = NULL;
	char *text = NULL;

	if (!pending.text && pending.len > 0) /* anything may have changed, and still may */
		return;
	for (size_t i = 0; paths && i < paths_len; i++)
		size += strlen(paths[i]) + 1;
	for (size_t i = 0; i < pending.len; i++)
		size += strlen(pending.paths[i]) + 1;
	if (paths && paths_len + pending.len <= FR_PENDING_NAMED)
		text = malloc(size);
	if (text)
		all = calloc(pending.len + paths_len + 1, sizeof(*all));
	for (size_t i = 0; all && i < paths_len + pending.len; i++) {
		const char *path = i < paths_len ? paths[i] : pending.paths[i - paths_len];

		if (is_among(path, all, len))
			continue;
		all[len++] = strcpy(text + used, path);
		used += strlen(path) + 1;
	}
	if (all) {
		replace(text, all, len);
	} else {
		free(text);
		replace(NULL, NULL, 1);
	}
}

const char *const *fr_pending_paths(size_t *ret_len)
{
	*ret_len = pending.len;
	return pending.paths;
}

void fr_pending_forget(void)
{
	replace(NULL, NULL, 0);
}
