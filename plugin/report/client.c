/*
 * client: asks at --fastreload-control once. See client.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* struct ucred */
#endif
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "report/client.h"
#include "report/server.h"
#include "report/json.h"
#include "report/request.h"

#define FR_CLIENT_PATIENCE_S 10

static int fail(FILE *err, const char *path, const char *reason)
{
	fprintf(err, "[fastreload] %s: %s\n", path, reason);
	return -1;
}

static int connect_to(const char *path, FILE *err)
{
	struct timeval patience = {.tv_sec = FR_CLIENT_PATIENCE_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return fail(err, path, "is too long for a Unix socket");
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(err, path, strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		fail(err, path,
		     errno == ENOENT         ? "there is no such socket; it is the one that the "
					       "instance has in fastreload-control"
		     : errno == ECONNREFUSED ? "nobody listens there any more"
					     : strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int send_request(int fd, const char *path, const struct fr_request *request, FILE *err)
{
	char line[FR_REQUEST_LINE_MAX + 1];
	size_t len = fr_request_write(request, line);

	for (size_t sent = 0; sent < len;) {
		ssize_t now = send(fd, line + sent, len - sent, MSG_NOSIGNAL);

		/* Whoever is turned away finds the reason in what can be read. */
		if (now < 0 && errno == EPIPE)
			return 0;
		if (now < 0 && errno != EINTR)
			return fail(err, path, strerror(errno));
		sent += now > 0 ? (size_t)now : 0;
	}
	return 0;
}

/* Reads one line into text. Returns its length without the end, or -1. */
static ssize_t receive(int fd, const char *path, char *text, size_t size, FILE *err)
{
	size_t len = 0;

	while (len < size) {
		ssize_t now = recv(fd, text + len, size - len, 0);
		char *end;

		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0)
			return fail(err, path,
				    errno == EAGAIN ? "there is no answer" : strerror(errno));
		if (now == 0)
			break;
		end = memchr(text + len, '\n', (size_t)now);
		if (end)
			return end - text;
		len += (size_t)now;
	}
	return fail(err, path, "the answer has no end");
}

static int print_answer(const char *path, const char *line, size_t len, char *text, FILE *out,
			FILE *err)
{
	char version[16], ok[16] = "", error[512] = "", reason[256];
	struct fr_json_member members[] = {
		{.key = "v", .value = version, .size = sizeof(version)},
		{.key = "ok", .value = ok, .size = sizeof(ok)},
		{.key = "error", .value = error, .size = sizeof(error)},
		{.key = "text", .value = text, .size = FR_SERVER_ANSWER_SIZE},
	};

	if (fr_json_read(line, len, members, 4, reason, sizeof(reason)) < 0)
		return fail(err, path, "the answer is not one of fastreload's");
	if (members[1].is_there && strcmp(ok, "true") == 0 && members[3].is_there) {
		fputs(text, out);
		return 0;
	}
	return fail(err, path,
		    members[2].is_there ? error : "the answer is not one of fastreload's");
}

int fr_client_ask(const char *path, const struct fr_request *request, FILE *out, FILE *err)
{
	char *line = malloc(FR_SERVER_ANSWER_SIZE), *text = malloc(FR_SERVER_ANSWER_SIZE);
	int fd = line && text ? connect_to(path, err) : fail(err, path, strerror(ENOMEM));
	ssize_t len = -1;
	int status = 1;

	if (fd >= 0 && send_request(fd, path, request, err) == 0)
		len = receive(fd, path, line, FR_SERVER_ANSWER_SIZE, err);
	if (len >= 0 && print_answer(path, line, (size_t)len, text, out, err) == 0)
		status = 0;
	if (fd >= 0)
		close(fd);
	free(line);
	free(text);
	return status;
}
