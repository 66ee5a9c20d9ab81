/*
 * names: the names in a folder. See names.h.
 */
#define _GNU_SOURCE /* getdents64 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch/names.h"

#define FR_NAMES_BUFFER_SIZE ((size_t)32 * 1024)

/* The largest record, with what it is aligned to. */
#define FR_NAMES_MAX_RECORD (sizeof(struct dirent64) + 8)

void fr_names_init(struct fr_names *names)
{
	*names = (struct fr_names){.fd = -1};
}

void fr_names_clear(struct fr_names *names)
{
	fr_names_close(names);
	free(names->records);
	names->records = NULL;
}

void fr_names_close(struct fr_names *names)
{
	if (names->fd >= 0)
		close(names->fd);
	names->fd = -1;
}

/* Reads behind what is there. A folder that was deleted has no more names. */
static size_t read_more(struct fr_names *names)
{
	ssize_t len = getdents64(names->fd, names->records + names->len,
				 FR_NAMES_BUFFER_SIZE - names->len);

	if (len < 0 && errno != ENOENT)
		names->error = -errno;
	if (len <= 0)
		return 0;
	names->len += (size_t)len;
	return (size_t)len;
}

/* Goes on until it is known that nothing more comes: that a buffer has room left says nothing. */
static void read_first(struct fr_names *names)
{
	names->len = names->at = 0;
	names->error = 0;
	names->is_whole = false;
	while (!names->is_whole && !names->error &&
	       FR_NAMES_BUFFER_SIZE - names->len >= FR_NAMES_MAX_RECORD)
		names->is_whole = read_more(names) == 0 && !names->error;
}

int fr_names_open(struct fr_names *names, const char *path)
{
	if (!names->records)
		names->records = malloc(FR_NAMES_BUFFER_SIZE);
	if (!names->records)
		return -ENOMEM;
	names->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (names->fd < 0)
		return -errno;
	read_first(names);
	return 0;
}

static const struct dirent64 *record_at(const struct fr_names *names, size_t at)
{
	return (const struct dirent64 *)(const void *)(names->records + at);
}

int fr_names_next(struct fr_names *names, struct fr_name *ret_name)
{
	const struct dirent64 *record;

	do {
		if (names->at == names->len && !names->is_whole && !names->error) {
			names->at = names->len = 0;
			(void)read_more(names);
		}
		if (names->at == names->len)
			return names->error;
		record = record_at(names, names->at);
		names->at += record->d_reclen;
	} while (strcmp(record->d_name, ".") == 0 || strcmp(record->d_name, "..") == 0);
	*ret_name = (struct fr_name){.text = record->d_name, .type = record->d_type};
	return 1;
}

bool fr_names_may_have(const struct fr_names *names, const char *name)
{
	if (!names->is_whole)
		return true;
	for (size_t at = 0; at < names->len; at += record_at(names, at)->d_reclen) {
		if (strcmp(record_at(names, at)->d_name, name) == 0)
			return true;
	}
	return false;
}
