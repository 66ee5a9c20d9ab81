/*
 * lines: a file, pipe or socket that whole lines are written to. See lines.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/lines.h"

struct fr_lines {
	int fd;
	int inherited; /* N of "fd:N", or -1 */
	bool is_socket;
	uint64_t dropped;
	size_t rest_len; /* of a line that was begun */
	char rest[];
};

/* ---- opening ---- */

static int refuse(int code, char *error, size_t error_size, const char *sentence)
{
	snprintf(error, error_size, "%s", sentence);
	return code;
}

static int refuse_errno(char *error, size_t error_size)
{
	int code = -errno;

	snprintf(error, error_size,
		 "cannot be opened for writing: %s; name a file, a named pipe, "
		 "or an open descriptor as in fd:3",
		 strerror(-code));
	return code;
}

/*
 * An open description of our own, so that O_NONBLOCK is not set for whoever else has it (a
 * terminal's belongs to the shell, too). Not for sockets, which send(2) need not wait for, and not
 * where the file is another user's by now.
 */
static int open_again(int inherited)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", inherited);
	fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	fd = fcntl(inherited, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

static int open_inherited(struct fr_lines *lines, const char *number, char *error,
			  size_t error_size)
{
	char *end;
	long fd = strtol(number, &end, 10);
	struct stat st;
	int flags;

	if (*number < '0' || *number > '9' || *end || fd > INT_MAX)
		return refuse(-EINVAL, error, error_size,
			      "is no descriptor; write its number, as in fd:3");
	flags = fcntl((int)fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat((int)fd, &st) < 0)
		return refuse(-EBADF, error, error_size,
			      "is no descriptor that is open for writing; open it in the shell, "
			      "as in 3>>events.jsonl");
	lines->inherited = (int)fd;
	lines->is_socket = S_ISSOCK(st.st_mode);
	lines->fd = lines->is_socket ? fcntl((int)fd, F_DUPFD_CLOEXEC, 3) : open_again((int)fd);
	if (lines->fd < 0)
		return refuse_errno(error, error_size);
	/* It is ours alone: no worker and no program that one runs shall hold it open. */
	if (fd > 2)
		(void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

static int open_path(struct fr_lines *lines, const char *path, char *error, size_t error_size)
{
	const int flags = O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct stat st;
	bool is_pipe = stat(path, &st) == 0 && S_ISFIFO(st.st_mode);

	/* A pipe that nobody reads yet cannot be opened for writing only, fifo(7). */
	lines->fd =
		is_pipe ? open(path, O_RDWR | flags) : open(path, O_WRONLY | O_CREAT | flags, 0640);
	if (lines->fd < 0)
		return refuse_errno(error, error_size);
	return 0;
}

int fr_lines_open(const char *value, size_t line_max, struct fr_lines **ret_lines, char *error,
		  size_t error_size)
{
	struct fr_lines *lines = calloc(1, sizeof(*lines) + line_max);
	int code;

	if (!lines)
		return refuse(-ENOMEM, error, error_size, "needs more memory than there is");
	lines->fd = lines->inherited = -1;
	code = strncmp(value, "fd:", 3) == 0 ? open_inherited(lines, value + 3, error, error_size)
					     : open_path(lines, value, error, error_size);
	if (code) {
		fr_lines_free(lines);
		return code;
	}
	*ret_lines = lines;
	return 0;
}

void fr_lines_free(struct fr_lines *lines)
{
	if (!lines)
		return;
	if (lines->fd >= 0)
		close(lines->fd);
	free(lines);
}

/* ---- writing ---- */

static ssize_t write_some(const struct fr_lines *lines, const char *bytes, size_t len)
{
	ssize_t written;

	do
		written = lines->is_socket
				  ? send(lines->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL)
				  : write(lines->fd, bytes, len); /* uWSGI ignores SIGPIPE */
	while (written < 0 && errno == EINTR);
	return written < 0 ? 0 : written;
}

void fr_lines_flush(struct fr_lines *lines)
{
	size_t written;

	if (lines->rest_len == 0)
		return;
	written = (size_t)write_some(lines, lines->rest, lines->rest_len);
	lines->rest_len -= written;
	memmove(lines->rest, lines->rest + written, lines->rest_len);
}

void fr_lines_write(struct fr_lines *lines, const char *line, size_t len)
{
	size_t written;

	fr_lines_flush(lines);
	if (lines->rest_len > 0) {
		lines->dropped++;
		return;
	}
	written = (size_t)write_some(lines, line, len);
	if (written == 0) {
		lines->dropped++;
		return;
	}
	lines->rest_len = len - written;
	memcpy(lines->rest, line + written, lines->rest_len);
}

/* ---- what others ask ---- */

uint64_t fr_lines_dropped(const struct fr_lines *lines)
{
	return lines->dropped;
}

size_t fr_lines_fds(const struct fr_lines *lines, int fds[FR_LINES_MAX_FDS])
{
	size_t len = 0;

	fds[len++] = lines->fd;
	if (lines->inherited > 2)
		fds[len++] = lines->inherited;
	return len;
}

int fr_lines_inherited(const struct fr_lines *lines)
{
	return lines->inherited;
}
