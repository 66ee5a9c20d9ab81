/*
 * bytecode: Python's cached .pyc files, where they could hide an edit. See bytecode.h.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "watch/bytecode.h"
#include "watch/tree.h"
#include "watch/walk.h"

#define FR_BYTECODE_RECENT_NS 2000000000LL

static bool ends_with(const char *text, const char *end)
{
	size_t text_len = strlen(text), end_len = strlen(end);

	return text_len > end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* Where the caches of the sources in `folder` are: beside them, or below PYTHONPYCACHEPREFIX
 * (Python 3.8). false: the path is too long. */
static bool cache_folder(const char *folder, size_t folder_len, char *ret_path, size_t size)
{
	const char *prefix = getenv("PYTHONPYCACHEPREFIX");
	int len;

	if (prefix && *prefix)
		len = snprintf(ret_path, size, "%s%.*s", prefix, (int)folder_len, folder);
	else
		len = snprintf(ret_path, size, "%.*s/__pycache__", (int)folder_len, folder);
	return len > 0 && (size_t)len < size;
}

/* Removes the caches whose names begin with stem ("views.", or "" for all). */
static void drop_all(const char *path, const char *name, const char *stem, size_t stem_len)
{
	char folder[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	if (!cache_folder(path, (size_t)(name - path), folder, sizeof(folder)))
		return;
	dir = opendir(folder);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, stem, stem_len) == 0 && ends_with(entry->d_name, ".pyc"))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

/* One source has a cache for each interpreter and level of optimisation:
 * "views.cpython-311.opt-1.pyc". */
void fr_bytecode_drop(const char *path)
{
	const char *name = strrchr(path, '/');

	if (name && ends_with(path, ".py"))
		drop_all(path, name, name + 1, strlen(name + 1) - strlen("py"));
}

void fr_bytecode_drop_beside(const char *path)
{
	const char *name = strrchr(path, '/');

	if (name && ends_with(path, ".py"))
		drop_all(path, name, "", 0);
}

void fr_bytecode_drop_recent(struct fr_tree *tree)
{
	struct timespec now;
	struct fr_walk walk;
	int64_t now_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	now_ns = (int64_t)now.tv_sec * 1000000000LL + now.tv_nsec;
	fr_walk_begin(&walk, tree);
	while (fr_walk_next(&walk)) {
		const char *path;

		if (now_ns - walk.stamp.mtime_ns > FR_BYTECODE_RECENT_NS)
			continue;
		path = fr_tree_path_in(tree, walk.folder, walk.name, NULL);
		if (path)
			fr_bytecode_drop(path);
	}
}
