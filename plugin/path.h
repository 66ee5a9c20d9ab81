/*
 * path: what can be said of a path without a look at the disk.
 */
#ifndef FR_PATH_H
#define FR_PATH_H

#include <stdbool.h>
#include <string.h>

/*
 * Is it absolute, without an empty name, "." and ".."? What a stranger names and is not plain is
 * not resolved: that would look at what nobody watches, and may take for ever.
 */
static inline bool fr_path_is_plain(const char *path)
{
	if (*path != '/')
		return false;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (len == 0 || (path[0] == '.' && (len == 1 || (len == 2 && path[1] == '.'))))
			return false;
		path += len;
	}
	return true;
}

#endif
