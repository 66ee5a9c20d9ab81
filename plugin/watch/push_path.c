/*
 * push_path: paths that another host wrote, as this one has them. See push_path.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/push_path.h"

static int bad_map(char *error, size_t error_size)
{
	snprintf(
		error, error_size,
		"is no translation; write the other host's path, \"=\" and the absolute path here, "
		"as in /Users/me/code=/vagrant");
	return -EINVAL;
}

/* Without the separators at the end; "/" stays. */
static size_t trimmed_len(const char *path, size_t len)
{
	while (len > 1 && (path[len - 1] == '/' || path[len - 1] == '\\'))
		len--;
	return len;
}

int fr_push_map_add(struct fr_push_map **maps, const char *value, char *error, size_t error_size)
{
	const char *to = strstr(value, "=/"); /* a name may hold "=" */
	struct fr_push_map *map;

	if (!to || to == value)
		return bad_map(error, error_size);
	map = calloc(1, sizeof(*map) + (size_t)(to - value) + 1);
	if (map)
		map->to = strdup(to + 1);
	if (!map || !map->to) {
		free(map);
		snprintf(error, error_size, "needs more memory than there is");
		return -ENOMEM;
	}
	map->from_len = trimmed_len(value, (size_t)(to - value));
	memcpy(map->from, value, map->from_len);
	map->next = *maps;
	*maps = map;
	return 0;
}

void fr_push_map_free(struct fr_push_map *maps)
{
	while (maps) {
		struct fr_push_map *next = maps->next;

		free(maps->to);
		free(maps);
		maps = next;
	}
}

static bool holds(const struct fr_push_map *map, const char *path)
{
	const char *rest = path + map->from_len;
	bool is_root = map->from_len == 1 && map->from[0] == '/';

	return strncmp(path, map->from, map->from_len) == 0 &&
	       (is_root || *rest == '\0' || *rest == '/' || *rest == '\\');
}

static const struct fr_push_map *find_map(const struct fr_push_map *maps, const char *path)
{
	const struct fr_push_map *longest = NULL;

	for (; maps; maps = maps->next) {
		if (holds(maps, path) && (!longest || maps->from_len > longest->from_len))
			longest = maps;
	}
	return longest;
}

/* Appends the components of path, which is absolute where nothing was written yet or what was
 * written is. */
static int append(const char *path, bool has_backslashes, char *text, size_t *used, size_t size)
{
	const char *separators = has_backslashes ? "/\\" : "/";

	while (*path) {
		size_t len = strcspn(path, separators);

		if (len == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (len > 0 && !(len == 1 && path[0] == '.')) {
			bool is_joined = *used > 0 && text[*used - 1] != '/';

			if (*used + is_joined + len + 1 > size)
				return -ENAMETOOLONG;
			if (is_joined)
				text[(*used)++] = '/';
			memcpy(text + *used, path, len);
			*used += len;
		}
		path += len;
		path += strspn(path, separators);
	}
	text[*used] = '\0';
	return 0;
}

int fr_push_path_translate(const struct fr_push_map *maps, const char *path, char *ret_path,
			   size_t size)
{
	const struct fr_push_map *map = find_map(maps, path);
	size_t used = 0;
	int error;

	if (map || path[0] == '/')
		ret_path[used++] = '/';
	ret_path[used] = '\0';
	error = map ? append(map->to, false, ret_path, &used, size) : 0;
	if (error)
		return error;
	return append(path + (map ? map->from_len : 0), map && strchr(map->from, '\\'), ret_path,
		      &used, size);
}
