/*
 * push_path: paths that another host wrote, as this one has them. Text only: it never touches the
 * disk, so nothing can be learnt by naming a path.
 */
#ifndef FR_PUSH_PATH_H
#define FR_PUSH_PATH_H

#include <stddef.h>

/* One path prefix of the other host, and what it is here. */
struct fr_push_map {
	struct fr_push_map *next;
	size_t from_len;
	char *to;
	char from[];
};

/*
 * Adds a translation, written as "FROM=TO" with an absolute TO ("/Users/me/code=/vagrant",
 * "C:\code=/vagrant"). 0, or -EINVAL or -ENOMEM with a sentence in error.
 */
int fr_push_map_add(struct fr_push_map **maps, const char *value, char *error, size_t error_size);

/* Frees all; NULL is fine. */
void fr_push_map_free(struct fr_push_map *maps);

/*
 * Translates by the longest FROM that holds the path, and writes the plain form: no "//", no ".",
 * no
 * "/" at the end. "" is the current folder, whichever that is. 0; -EINVAL for a path with ".." in
 * it, which means something only to who can see the links on the way; -ENAMETOOLONG.
 */
int fr_push_path_translate(const struct fr_push_map *maps, const char *path, char *ret_path,
			   size_t size);

#endif
