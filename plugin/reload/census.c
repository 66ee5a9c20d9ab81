/*
 * census: which files a load has read. See census.h.
 *
 * It goes through a file in memory, because it may be long, and the master must not wait for it;
 * the master reads it into memory of its own, and believes nothing of it.
 */
#define _GNU_SOURCE /* memfd_create */

#include <uwsgi.h>

#include <sys/mman.h>

#include "decide/loaded.h"
#include "reload/census.h"
#include "reload/loader.h"
#include "reload/python.h"
#include "watch/content.h"
#include "watch/tree.h"
#include "watch/uses.h"

/* With each path goes an item. */
#define FR_CENSUS_MAX_BYTES (FR_LOADED_MAX_BYTES + FR_LOADED_MAX_PATHS * sizeof(struct item))

/* Then path_size bytes, with a NUL. */
struct item {
	uint32_t path_size;
	uint32_t has_stamp;
	struct fr_stamp stamp;
};

static const struct fr_census_hooks *hooks; /* NULL: nobody wants to know */
static void *hooks_ctx;
static int received = -1;

void fr_census_open(const struct fr_census_hooks *given, void *ctx)
{
	hooks = given;
	hooks_ctx = ctx;
}

/* ---- the loader's side ---- */

static void note_write(const char *path)
{
	hooks->writes(hooks_ctx, path);
}

void fr_census_begin(void)
{
	if (hooks)
		fr_python_note_writes(note_write);
}

/* A file in memory that is being filled; those that an ignore file names come first, because there
 * may be no room for all. */
struct census {
	FILE *file;
	size_t used, len;
	bool is_for_ignored;
};

/* With the content, if the file is still as it was when it was read; of a link nothing is known but
 * where it leads now. False: it is not there. */
static bool complete_stamp(const char *path, const struct fr_stamp *read,
			   struct fr_stamp *ret_stamp)
{
	if (fr_content_stamp(-1, path, true, ret_stamp) < 0) {
		if (read)
			*ret_stamp = *read;
		return read != NULL;
	}
	if (read && !fr_content_same_stamp(ret_stamp, read))
		*ret_stamp = *read;
	return true;
}

static void write_item(void *ctx, const char *path, const struct fr_stamp *stamp)
{
	struct census *census = ctx;
	struct item item = {.path_size = (uint32_t)strlen(path) + 1};
	bool is_ignored;

	if (!hooks->is_wanted(hooks_ctx, path, &is_ignored) ||
	    is_ignored != census->is_for_ignored || census->len == FR_LOADED_MAX_PATHS ||
	    census->used + sizeof(item) + item.path_size > FR_CENSUS_MAX_BYTES)
		return;
	item.has_stamp = is_ignored && complete_stamp(path, stamp, &item.stamp);
	(void)fwrite(&item, sizeof(item), 1, census->file);
	(void)fwrite(path, item.path_size, 1, census->file);
	census->used += sizeof(item) + item.path_size;
	census->len++;
}

static void send_fd(int talk, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = {0};
	struct fr_report report = {.kind = FR_REPORT_READ, .pid = getpid()};
	struct iovec iov = {&report, sizeof(report)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	(void)sendmsg(talk, &message, MSG_NOSIGNAL);
}

void fr_census_tell(const struct fr_uses *uses, int talk)
{
	struct census census = {.is_for_ignored = true};
	int fd = hooks ? memfd_create("fastreload-census", MFD_CLOEXEC) : -1;

	census.file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!census.file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	fr_uses_each_read(uses, write_item, &census);
	census.is_for_ignored = false;
	fr_uses_each_read(uses, write_item, &census);
	if (fflush(census.file) == 0)
		send_fd(talk, fd);
	fclose(census.file);
}

/* ---- the master's side ---- */

void fr_census_receive(int fd)
{
	if (received >= 0)
		close(received);
	received = fd;
}

void fr_census_close_in_child(void)
{
	if (received >= 0)
		close(received);
	received = -1;
}

/* All of it, for the caller to free; NULL: it is too much, or cannot be read. */
static char *read_all(int fd, size_t *ret_len)
{
	struct stat st;
	char *bytes;
	size_t len = 0;
	ssize_t part = 1;

	if (fstat(fd, &st) < 0 || st.st_size <= 0 || (size_t)st.st_size > FR_CENSUS_MAX_BYTES)
		return NULL;
	bytes = malloc((size_t)st.st_size);
	while (bytes && part > 0 && len < (size_t)st.st_size) {
		part = pread(fd, bytes + len, (size_t)st.st_size - len, (off_t)len);
		len += part > 0 ? (size_t)part : 0;
	}
	*ret_len = len;
	return bytes;
}

void fr_census_take(void (*visit)(void *ctx, const char *path, const struct fr_stamp *stamp),
		    void *ctx)
{
	size_t len = 0;
	char *bytes = received >= 0 ? read_all(received, &len) : NULL;

	for (size_t at = 0, size; bytes && len - at > sizeof(struct item); at += size) {
		struct item item;
		const char *path = bytes + at + sizeof(item);

		memcpy(&item, bytes + at, sizeof(item));
		if (item.path_size < 2 || item.path_size > PATH_MAX ||
		    item.path_size > len - at - sizeof(item) || path[0] != '/' ||
		    path[item.path_size - 1] != '\0')
			break;
		size = sizeof(item) + item.path_size;
		visit(ctx, path, item.has_stamp ? &item.stamp : NULL);
	}
	free(bytes);
	fr_census_receive(-1);
}
