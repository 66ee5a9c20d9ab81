/*
 * Anything at all through the control socket: each line gets one answer, which is whole, and a
 * request that is understood is written and read again as the same.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "report/json.h"
#include "report/request.h"
#include "report/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *answer(void *ctx, const struct fr_request *request, struct fr_json *json)
{
	static char line[FR_REQUEST_LINE_MAX + 1];
	struct fr_request again;
	char error[256];
	size_t len = fr_request_write(request, line);

	(void)ctx;
	if (fr_request_read(line, len - 1, &again, error, sizeof(error)) < 0 ||
	    again.command != request->command || again.is_for_people != request->is_for_people ||
	    strcmp(again.path, request->path) != 0)
		abort();
	fr_json_string(json, "path", request->path);
	return NULL;
}

static void refused(void *ctx, uid_t uid)
{
	(void)ctx;
	(void)uid;
	abort();
}

static const struct fr_server_hooks hooks = {.answer = answer, .refused = refused};

static struct fr_server *open_server(struct sockaddr_un *address, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	struct fr_server *server;

	/* The kernel chooses an abstract name, unix(7). */
	*len = sizeof(*address);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) < 0 ||
	    listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)address, len) < 0 ||
	    fr_server_new(fd, geteuid(), &hooks, NULL, &server) < 0)
		abort();
	return server;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t lines = 0;

	for (const char *at = text; len > 0 && (at = memchr(at, '\n', len - (size_t)(at - text)));
	     at++)
		lines++;
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sockaddr_un address;
	static socklen_t address_len;
	static struct fr_server *server;
	static char answers[1 << 20];
	size_t used = 0, wanted = count_lines((const char *)data, size);
	ssize_t len;
	int fd;

	if (size > 16384)
		return 0;
	if (!server)
		server = open_server(&address, &address_len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, address_len) < 0 ||
	    send(fd, data, size, 0) != (ssize_t)size || shutdown(fd, SHUT_WR) < 0)
		abort();
	wanted += size > 0 && data[size - 1] != '\n';
	do {
		(void)fr_server_step(server, 0);
		len = recv(fd, answers + used, sizeof(answers) - used, 0);
		used += len > 0 ? (size_t)len : 0;
	} while (len != 0 && used < sizeof(answers));
	if (used < sizeof(answers) && count_lines(answers, used) != wanted)
		abort();
	close(fd);
	return 0;
}
