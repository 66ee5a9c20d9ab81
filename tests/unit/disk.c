/*
 * disk: folders and files for tests. See disk.h.
 */
#define _GNU_SOURCE /* nftw */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

char *fr_disk_new(void)
{
	const char *above = getenv("TMPDIR");
	char template[PATH_MAX];
	char *path;

	snprintf(template, sizeof(template), "%s/fastreload.XXXXXX",
		 above && *above ? above : "/tmp");
	ck_assert_msg(mkdtemp(template) != NULL, "mkdtemp(\"%s\"): %s", template, strerror(errno));
	path = realpath(template, NULL);
	ck_assert_ptr_nonnull(path);
	return path;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int fr_disk_remove(const char *path)
{
	if (nftw(path, remove_entry, 64, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

void fr_disk_free(char *folder)
{
	if (!folder)
		return;
	if (fr_disk_remove(folder) < 0)
		fprintf(stderr, "cannot remove %s: %s\n", folder, strerror(errno));
	free(folder);
}

const char *fr_disk_at(const char *folder, const char *name)
{
	static char buffers[16][PATH_MAX * 2];
	static unsigned turn;
	char *buffer = buffers[turn++ % 16];

	ck_assert_int_lt(snprintf(buffer, sizeof(buffers[0]), "%s/%s", folder, name),
			 (int)sizeof(buffers[0]));
	return buffer;
}

void fr_disk_mkdir(const char *path)
{
	char copy[PATH_MAX];

	ck_assert_int_lt(snprintf(copy, sizeof(copy), "%s", path), (int)sizeof(copy));
	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(copy, 0777);
		*slash = '/';
	}
	ck_assert_msg(mkdir(copy, 0777) == 0 || errno == EEXIST, "mkdir(\"%s\"): %s", copy,
		      strerror(errno));
}

void fr_disk_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t len = strlen(text);

	ck_assert_msg(fd >= 0, "open(\"%s\"): %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	ck_assert_int_eq(close(fd), 0);
}

/* A log is renamed again and again: each name is another. inotify(7) joins what is the same as the
 * one before, fanotify(7) all that happens to one name. */
void fr_disk_make_events(const char *folder, long len)
{
	char from[PATH_MAX], to[PATH_MAX];

	snprintf(from, sizeof(from), "%s/0.log", folder);
	fr_disk_write(from, "");
	for (long n = 1; n < len; n++) {
		ck_assert_int_lt(snprintf(to, sizeof(to), "%s/%ld.log", folder, n),
				 (int)sizeof(to));
		ck_assert_int_eq(rename(from, to), 0);
		memcpy(from, to, sizeof(from));
	}
	ck_assert_int_eq(unlink(from), 0);
}

void fr_disk_set_time(const char *path, long seconds)
{
	struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

	ck_assert_int_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}
