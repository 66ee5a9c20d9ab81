/*
 * Anything at all from the network: no crash, nothing kept, no path that is not plain, and no word
 * without the token. The same bytes mean the same however they are cut.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "watch/push.h"
#include "watch/push_line.h"
#include "watch/push_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fr_push_map *maps;
static size_t said;

static void require(int holds)
{
	if (!holds)
		abort();
}

/* Absolute or relative, but without "//", ".", ".." and a "/" at the end. */
static void check_plain(const char *path)
{
	if (strcmp(path, "/") == 0 || *path == '\0')
		return;
	path += *path == '/';
	for (;;) {
		size_t len = strcspn(path, "/");

		require(len > 0 && !(len == 1 && path[0] == '.') &&
			!(len == 2 && path[0] == '.' && path[1] == '.'));
		if (path[len] == '\0')
			return;
		path += len + 1;
	}
}

static void take_path(void *ctx, const char *text)
{
	char path[PATH_MAX], small[8];

	(void)ctx;
	said++;
	require(*text != '\0');
	if (fr_push_path_translate(maps, text, path, sizeof(path)) == 0)
		check_plain(path);
	(void)fr_push_path_translate(maps, text, small, sizeof(small));
}

static void take_everything(void *ctx)
{
	(void)ctx;
	said++;
}

static void take_token(void *ctx, const char *token)
{
	(void)ctx;
	require(token != NULL);
	said++;
}

static const struct fr_push_sink sink = {take_path, take_everything, take_token};

static void fuzz_lines(const uint8_t *data, size_t size)
{
	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) : size;
		char *line = malloc(len + 1);
		const char *error;

		require(line != NULL);
		memcpy(line, data, len);
		said = 0;
		error = fr_push_line_read(line, len, &sink, NULL);
		require(!error || said == 0);
		free(line);
		data += len + (end != NULL);
		size -= len + (end != NULL);
	}
}

/* ---- a client of a listener ---- */

static size_t looks;

static bool is_watched(void *ctx, const char *path)
{
	(void)ctx;
	return strncmp(path, "/a", 2) == 0;
}

static bool is_folder(void *ctx, const char *path)
{
	(void)ctx;
	return strlen(path) < 3;
}

static void look(void *ctx, const char *path)
{
	(void)ctx;
	require(path[0] == '/' && strlen(path) < PATH_MAX);
	check_plain(path);
	looks++;
}

static void look_everywhere(void *ctx)
{
	(void)ctx;
	looks++;
}

static const char *folder(void *ctx, size_t i)
{
	(void)ctx;
	return i == 0 ? "/a" : NULL;
}

static void say(void *ctx, const char *who, const char *sentence, const char *what)
{
	(void)ctx;
	(void)what;
	require(*who && *sentence);
}

static const struct fr_push_hooks hooks = {is_watched,      is_folder, look,
					   look_everywhere, folder,    say};

/* Sends in pieces of `piece` bytes; returns how many looks there were. */
static size_t fuzz_client(const uint8_t *data, size_t size, size_t piece, bool has_token)
{
	static char left[FR_PUSH_LEFT_SIZE];
	struct fr_push *push;
	int pair[2];
	int64_t now_ms = 1000;
	char error[256];

	looks = 0;
	require(fr_push_new(&hooks, NULL, &push) == 0);
	require(!has_token ||
		fr_push_use_token(push, "0123456789abcdef", error, sizeof(error)) == 0);
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	/* A connection comes in as one that was left by the image before. */
	snprintf(left, sizeof(left), "%dc ", pair[1]);
	require(fr_push_take(push, left));
	while (size > 0) {
		size_t len = size < piece ? size : piece;
		ssize_t sent = send(pair[0], data, len, MSG_NOSIGNAL);

		if (sent > 0) {
			data += sent;
			size -= (size_t)sent;
		} else if (len > 0 && has_token) {
			break; /* hung up on */
		} else if (sent < 0) {
			break;
		}
		(void)fr_push_step(push, now_ms, false);
	}
	close(pair[0]);
	for (int i = 0; i < 8; i++)
		(void)fr_push_step(push, now_ms += 7000, false);
	fr_push_free(push);
	return looks;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[256], error[256];
	size_t len = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
	size_t cut = strcspn((const char *)text, "\n");

	memset(text, 0, sizeof(text));
	memcpy(text, data, len);
	cut = strcspn(text, "\n");
	text[cut] = '\0';
	(void)fr_push_map_add(&maps, text, error, sizeof(error));
	(void)fr_push_map_add(&maps, "/Users/me=/a", error, sizeof(error));
	fuzz_lines(data, size);
	fr_push_map_free(maps);
	maps = NULL;

	/* Each piece costs a turn, and each client a table: not all of it for every input. */
	if (size < 300 && size % 4 == 0) {
		require((fuzz_client(data, size, 4096, false) > 0) ==
			(fuzz_client(data, size, 3, false) > 0));
	} else if (size < 300 && size % 4 == 1 && !memmem(data, size, "0123456789abcdef", 16)) {
		require(fuzz_client(data, size, 7, true) == 0);
	}
	return 0;
}
