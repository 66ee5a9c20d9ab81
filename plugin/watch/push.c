/*
 * push: another host says what changed. See push.h.
 *
 * All sockets are in an epoll(7) of our own, and each tells only once that it is ready, until what
 * it had is read (EPOLLONESHOT): a sender that is not listened to for a while wakes nobody.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, struct ucred */
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "watch/push.h"
#include "watch/push_due.h"
#include "watch/push_line.h"
#include "watch/push_path.h"
#include "watch/push_socket.h"
#include "watch/source.h"
#include "watch/tree.h"

/* What is taken in all: 5 MiB a second, which is a few percent of a core. More waits in the
 * senders' sockets. */
#define FR_PUSH_WINDOW_MS          50
#define FR_PUSH_BYTES_PER_WINDOW   (256 * 1024)
#define FR_PUSH_ACCEPTS_PER_WINDOW 32

#define FR_PUSH_BYTES_PER_STEP (64 * 1024) /* about a millisecond */
#define FR_PUSH_READ_SIZE      16384

#define FR_PUSH_TOKEN_MS   10000 /* a client has so long to show the token */
#define FR_PUSH_LINE_MS    30000 /* and so long to end a line that it has begun */
#define FR_PUSH_MAX_ERRORS 16    /* then it is no sender of lines */

/* The log gets so many lines at once about what comes in, and then one each so often. */
#define FR_PUSH_WORDS    8
#define FR_PUSH_WORDS_MS 10000

struct client {
	int fd; /* -1: none */
	bool is_ready;
	bool is_trusted;  /* it has shown the token, or needs none */
	bool has_spoken;  /* at least one line was right */
	bool has_strayed; /* it was told that a path is in no watched folder */
	bool is_nul;      /* its lines end with NUL, as of fswatch -0 */
	bool is_skipping; /* until the end of a line whose beginning is lost */
	unsigned errors;
	int64_t since_ms, last_ms; /* connected; last heard of */
	int64_t line_ms;           /* the unfinished line was begun; -1: none is */
	char *rest;                /* the unfinished line */
	size_t rest_len;
};

struct listener {
	int fd;
	bool is_ready;
};

struct fr_push {
	const struct fr_push_hooks *hooks;
	void *ctx;
	int queue;
	struct fr_push_due *due;
	struct fr_push_map *maps;
	char token[FR_PUSH_TOKEN_MAX];
	bool has_token;
	struct listener listeners[FR_PUSH_MAX_LISTENERS];
	size_t listeners_len;
	int inherited[FR_PUSH_MAX_LISTENERS]; /* listening sockets of the image before, or -1 */
	struct client clients[FR_PUSH_MAX_CLIENTS];
	size_t cursor;         /* the client that is read first */
	int64_t window_ms;     /* began then */
	size_t bytes, accepts; /* taken in this window */
	int words;             /* lines that may be logged */
	int64_t words_ms;      /* when that number was last raised */
	char buffer[FR_PUSH_READ_SIZE];
};

/* A client's line, while it is read. */
struct reading {
	struct fr_push *push;
	struct client *client;
	int64_t now_ms;
};

/* ---- words ---- */

static void say(struct fr_push *push, const struct client *client, const char *sentence,
		const char *what, int64_t now_ms)
{
	char who[128];

	while (push->words < FR_PUSH_WORDS && now_ms - push->words_ms >= FR_PUSH_WORDS_MS) {
		push->words++;
		push->words_ms += FR_PUSH_WORDS_MS;
	}
	if (push->words == FR_PUSH_WORDS)
		push->words_ms = now_ms;
	if (push->words == 0)
		return;
	push->words--;
	fr_push_socket_peer(client->fd, who, sizeof(who));
	push->hooks->say(push->ctx, who, sentence, what);
}

/* To the sender, who may read it on a terminal, and to the log. */
static void complain(struct fr_push *push, struct client *client, const char *sentence,
		     const char *what, int64_t now_ms)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "fastreload: %s\n", sentence);

	(void)send(client->fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	say(push, client, sentence, what, now_ms);
}

/* ---- sockets ---- */

/* Tokens of the queue: listeners, then clients. */
static int watch(const struct fr_push *push, int op, int fd, size_t token)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
				    .data.u64 = token};

	return epoll_ctl(push->queue, op, fd, &event) < 0 ? -errno : 0;
}

static size_t client_token(const struct fr_push *push, const struct client *client)
{
	return FR_PUSH_MAX_LISTENERS + (size_t)(client - push->clients);
}

static void hang_up(struct fr_push *push, struct client *client)
{
	/* A child that was being forked may have it open: closing is not enough, epoll(7), Q6. */
	(void)epoll_ctl(push->queue, EPOLL_CTL_DEL, client->fd, NULL);
	close(client->fd);
	free(client->rest);
	*client = (struct client){.fd = -1};
}

/* The one that matters least: of those that never said anything of use the one that is silent for
 * the longest time, or else of all. */
static struct client *make_room(struct fr_push *push)
{
	struct client *least = &push->clients[0];

	for (size_t i = 0; i < FR_PUSH_MAX_CLIENTS; i++) {
		struct client *client = &push->clients[i];

		if (client->fd < 0)
			return client;
		if (client->has_spoken < least->has_spoken ||
		    (client->has_spoken == least->has_spoken && client->last_ms < least->last_ms))
			least = client;
	}
	hang_up(push, least);
	return least;
}

static struct client *add_client(struct fr_push *push, int fd, int64_t now_ms)
{
	struct client *client = make_room(push);

	*client = (struct client){
		.fd = fd,
		.is_trusted = !push->has_token,
		.since_ms = now_ms,
		.last_ms = now_ms,
		.line_ms = -1,
	};
	if (watch(push, EPOLL_CTL_ADD, fd, client_token(push, client)) == 0)
		return client;
	hang_up(push, client);
	return NULL;
}

/* A host that is switched off says nothing more, and does not say that. */
static void probe_peer(int fd)
{
	int one = 1, idle_s = 60, interval_s = 20, count = 3;

	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void accept_clients(struct fr_push *push, struct listener *listener, size_t token,
			   int64_t now_ms)
{
	while (listener->is_ready && push->accepts < FR_PUSH_ACCEPTS_PER_WINDOW) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			push->accepts++;
			probe_peer(fd);
			(void)add_client(push, fd, now_ms);
		} else if (errno == EAGAIN) {
			listener->is_ready = false;
			(void)watch(push, EPOLL_CTL_MOD, listener->fd, token);
		} else if (errno != ECONNABORTED && errno != EINTR) {
			push->accepts = FR_PUSH_ACCEPTS_PER_WINDOW; /* no descriptor: later */
		}
	}
}

/* ---- what a line says ---- */

static void take_watched(struct reading *reading, const char *path)
{
	struct fr_push *push = reading->push;
	size_t len = strlen(path);
	const char *folder;
	bool is_above = false;

	if (push->hooks->is_watched(push->ctx, path)) {
		fr_push_due_note(push->due, path, reading->now_ms);
		return;
	}
	/* Something happened below a folder that a watched one is in. */
	for (size_t i = 0; (folder = push->hooks->folder(push->ctx, i)); i++) {
		if (strncmp(folder, path, len) != 0 || (folder[len] != '/' && len > 1))
			continue;
		fr_push_due_note(push->due, folder, reading->now_ms);
		is_above = true;
	}
	if (is_above || reading->client->has_strayed)
		return;
	reading->client->has_strayed = true;
	say(push, reading->client,
	    "names a path that is in no watched folder (--fastreload-map translates paths)", path,
	    reading->now_ms);
}

/* One that is relative is relative to a watched folder: to each, as nobody says to which. */
static void take_relative(struct reading *reading, const char *path)
{
	const struct fr_push *push = reading->push;
	char joined[PATH_MAX];
	const char *folder;

	for (size_t i = 0; (folder = push->hooks->folder(push->ctx, i)); i++) {
		if ((size_t)snprintf(joined, sizeof(joined), "%s/%s",
				     strcmp(folder, "/") == 0 ? "" : folder, path) < sizeof(joined))
			fr_push_due_note(push->due, joined, reading->now_ms);
	}
}

static void take_everything(void *ctx)
{
	const struct reading *reading = ctx;

	if (reading->client->is_trusted)
		fr_push_due_note_all(reading->push->due, reading->now_ms);
}

static void take_path(void *ctx, const char *text)
{
	struct reading *reading = ctx;
	char path[PATH_MAX];

	if (!reading->client->is_trusted ||
	    fr_push_path_translate(reading->push->maps, text, path, sizeof(path)) < 0)
		return;
	if (path[0] == '/')
		take_watched(reading, path);
	else if (path[0] != '\0')
		take_relative(reading, path);
	else
		take_everything(reading);
}

static void take_token(void *ctx, const char *token)
{
	struct reading *reading = ctx;

	if (!reading->client->is_trusted)
		reading->client->is_trusted = fr_push_token_is(reading->push->token, token);
}

static const struct fr_push_sink sink = {
	.path = take_path,
	.everything = take_everything,
	.token = take_token,
};

/* Returns whether to go on with the client. */
static bool take_line(struct fr_push *push, struct client *client, char *line, size_t len,
		      int64_t now_ms)
{
	struct reading reading = {.push = push, .client = client, .now_ms = now_ms};
	const char *error;

	if (client->is_skipping) {
		client->is_skipping = false;
		return true;
	}
	error = fr_push_line_read(line, len, &sink, &reading);
	if (!client->is_trusted) {
		complain(push, client,
			 "the first line has to be \"token TOKEN\", with the token of "
			 "--fastreload-token",
			 NULL, now_ms);
		return false;
	}
	if (!error) {
		client->has_spoken = client->has_spoken || len > 0;
		return true;
	}
	complain(push, client, error, NULL, now_ms);
	return ++client->errors < FR_PUSH_MAX_ERRORS;
}

/* ---- bytes ---- */

static char *end_of_line(struct client *client, char *bytes, size_t len)
{
	char *nul = memchr(bytes, '\0', len);

	if (nul && !client->is_nul) {
		/* What came before it with other ends is read as it was meant. */
		char *newline = memchr(bytes, '\n', (size_t)(nul - bytes));

		client->is_nul = !newline;
		return newline ? newline : nul;
	}
	return client->is_nul ? nul : memchr(bytes, '\n', len);
}

/* Keeps what is no whole line yet. Returns whether to go on with the client. */
static bool keep(struct fr_push *push, struct client *client, const char *bytes, size_t len,
		 int64_t now_ms)
{
	char *rest;

	if (client->rest_len + len > FR_PUSH_LINE_MAX) {
		complain(push, client, "a line is longer than 65536 bytes", NULL, now_ms);
		return false;
	}
	if (client->is_skipping || len == 0)
		return true;
	rest = realloc(client->rest, client->rest_len + len + 1); /* and one for its end */
	if (!rest) {
		fr_push_due_note_all(push->due, now_ms);
		return false;
	}
	memcpy(rest + client->rest_len, bytes, len);
	client->rest = rest;
	if (client->rest_len == 0)
		client->line_ms = now_ms;
	client->rest_len += len;
	return true;
}

static bool take_rest(struct fr_push *push, struct client *client, int64_t now_ms)
{
	char *line = client->rest;
	size_t len = client->rest_len;
	bool goes_on;

	client->rest = NULL;
	client->rest_len = 0;
	client->line_ms = -1;
	goes_on = take_line(push, client, line, len, now_ms);
	free(line);
	return goes_on;
}

static bool take_bytes(struct fr_push *push, struct client *client, char *bytes, size_t len,
		       int64_t now_ms)
{
	char *end;
	bool goes_on = true;

	while (goes_on && (end = end_of_line(client, bytes, len))) {
		size_t line_len = (size_t)(end - bytes);

		if (client->rest_len > 0)
			goes_on = keep(push, client, bytes, line_len, now_ms) &&
				  take_rest(push, client, now_ms);
		else
			goes_on = take_line(push, client, bytes, line_len, now_ms);
		bytes = end + 1;
		len -= line_len + 1;
	}
	return goes_on && keep(push, client, bytes, len, now_ms);
}

/* The other end has closed: the last line may lack its end. */
static void end_client(struct fr_push *push, struct client *client, int64_t now_ms)
{
	if (client->rest_len > 0)
		(void)take_rest(push, client, now_ms);
	hang_up(push, client);
}

static void read_client(struct fr_push *push, struct client *client, int64_t now_ms)
{
	ssize_t len = recv(client->fd, push->buffer, sizeof(push->buffer), MSG_DONTWAIT);

	if (len < 0 && errno == EINTR)
		return;
	if (len < 0 && errno == EAGAIN) {
		client->is_ready = false;
		(void)watch(push, EPOLL_CTL_MOD, client->fd, client_token(push, client));
		return;
	}
	if (len <= 0) {
		end_client(push, client, now_ms);
		return;
	}
	push->bytes += (size_t)len;
	client->last_ms = now_ms;
	if (!take_bytes(push, client, push->buffer, (size_t)len, now_ms))
		hang_up(push, client);
}

/* All that are ready in turn, so that one that floods does not hold up the others. Returns whether
 * one is ready still. */
static bool read_clients(struct fr_push *push, int64_t now_ms)
{
	size_t first_bytes = push->bytes, idle = 0;

	while (idle < FR_PUSH_MAX_CLIENTS) {
		struct client *client = &push->clients[push->cursor];

		if (push->bytes >= FR_PUSH_BYTES_PER_WINDOW ||
		    push->bytes - first_bytes >= FR_PUSH_BYTES_PER_STEP)
			return true;
		push->cursor = (push->cursor + 1) % FR_PUSH_MAX_CLIENTS;
		idle = client->fd >= 0 && client->is_ready ? 0 : idle + 1;
		if (idle == 0)
			read_client(push, client, now_ms);
	}
	return false;
}

/* ---- time ---- */

static void earlier(int64_t *when_ms, int64_t at_ms)
{
	if (at_ms >= 0 && (*when_ms < 0 || at_ms < *when_ms))
		*when_ms = at_ms;
}

/* Those that take too long go. Returns when the next would. */
static int64_t end_slow_clients(struct fr_push *push, int64_t now_ms)
{
	int64_t when_ms = -1;

	for (size_t i = 0; i < FR_PUSH_MAX_CLIENTS; i++) {
		struct client *client = &push->clients[i];
		int64_t token_ms = client->is_trusted ? -1 : client->since_ms + FR_PUSH_TOKEN_MS;
		int64_t line_ms = client->line_ms < 0 ? -1 : client->line_ms + FR_PUSH_LINE_MS;

		if (client->fd < 0)
			continue;
		if ((token_ms >= 0 && token_ms <= now_ms) || (line_ms >= 0 && line_ms <= now_ms)) {
			hang_up(push, client);
			continue;
		}
		earlier(&when_ms, token_ms);
		earlier(&when_ms, line_ms);
	}
	return when_ms;
}

static void collect(struct fr_push *push)
{
	struct epoll_event events[FR_PUSH_MAX_FDS];
	int len = epoll_wait(push->queue, events, FR_PUSH_MAX_FDS, 0);

	for (int i = 0; i < len; i++) {
		size_t token = (size_t)events[i].data.u64;

		if (token < FR_PUSH_MAX_LISTENERS)
			push->listeners[token].is_ready = true;
		else
			push->clients[token - FR_PUSH_MAX_LISTENERS].is_ready = true;
	}
}

static void close_inherited(struct fr_push *push)
{
	for (size_t i = 0; i < FR_PUSH_MAX_LISTENERS; i++) {
		if (push->inherited[i] >= 0)
			close(push->inherited[i]);
		push->inherited[i] = -1;
	}
}

int64_t fr_push_step(struct fr_push *push, int64_t now_ms, bool is_busy)
{
	int64_t when_ms;
	bool has_more = false;

	close_inherited(push); /* those whose option is gone */
	if (now_ms - push->window_ms >= FR_PUSH_WINDOW_MS) {
		push->window_ms = now_ms;
		push->bytes = push->accepts = 0;
	}
	collect(push);
	for (size_t i = 0; i < push->listeners_len; i++) {
		accept_clients(push, &push->listeners[i], i, now_ms);
		has_more = has_more || push->listeners[i].is_ready;
	}
	has_more = read_clients(push, now_ms) || has_more;
	when_ms = end_slow_clients(push, now_ms);
	if (has_more)
		earlier(&when_ms, push->bytes >= FR_PUSH_BYTES_PER_WINDOW ||
						  push->accepts >= FR_PUSH_ACCEPTS_PER_WINDOW
					  ? push->window_ms + FR_PUSH_WINDOW_MS
					  : now_ms);
	earlier(&when_ms, fr_push_due_step(push->due, now_ms, is_busy));
	return when_ms;
}

/* ---- start and end ---- */

static bool is_folder(void *ctx, const char *path)
{
	const struct fr_push *push = ctx;

	return push->hooks->is_folder(push->ctx, path);
}

static void look(void *ctx, const char *path)
{
	const struct fr_push *push = ctx;

	push->hooks->look(push->ctx, path);
}

static void look_everywhere(void *ctx)
{
	const struct fr_push *push = ctx;

	push->hooks->look_everywhere(push->ctx);
}

static const struct fr_push_due_hooks due_hooks = {
	.is_folder = is_folder,
	.look = look,
	.look_everywhere = look_everywhere,
};

int fr_push_new(const struct fr_push_hooks *hooks, void *ctx, struct fr_push **ret_push)
{
	struct fr_push *push = calloc(1, sizeof(*push));
	int error;

	if (!push)
		return -ENOMEM;
	push->hooks = hooks;
	push->ctx = ctx;
	push->words = FR_PUSH_WORDS;
	for (size_t i = 0; i < FR_PUSH_MAX_CLIENTS; i++)
		push->clients[i].fd = -1;
	for (size_t i = 0; i < FR_PUSH_MAX_LISTENERS; i++)
		push->inherited[i] = -1;
	push->queue = epoll_create1(EPOLL_CLOEXEC);
	error = push->queue < 0 ? -errno : fr_push_due_new(&due_hooks, push, &push->due);
	if (error) {
		fr_push_free(push);
		return error;
	}
	*ret_push = push;
	return 0;
}

void fr_push_free(struct fr_push *push)
{
	if (!push)
		return;
	for (size_t i = 0; i < FR_PUSH_MAX_CLIENTS; i++) {
		if (push->clients[i].fd >= 0)
			hang_up(push, &push->clients[i]);
	}
	for (size_t i = 0; i < push->listeners_len; i++)
		close(push->listeners[i].fd);
	close_inherited(push);
	if (push->queue >= 0)
		close(push->queue);
	fr_push_due_free(push->due);
	fr_push_map_free(push->maps);
	free(push);
}

int fr_push_use_token(struct fr_push *push, const char *value, char *error, size_t error_size)
{
	int code = fr_push_token_read(value, push->token, error, error_size);

	push->has_token = code == 0;
	return code;
}

int fr_push_add_map(struct fr_push *push, const char *value, char *error, size_t error_size)
{
	return fr_push_map_add(&push->maps, value, error, error_size);
}

/* The socket that the image before listened on, at that address; or -1. */
static int claim_inherited(struct fr_push *push, const struct fr_push_address *address)
{
	for (size_t i = 0; i < FR_PUSH_MAX_LISTENERS; i++) {
		int fd = push->inherited[i];

		if (fd < 0 || !fr_push_socket_is_at(fd, address))
			continue;
		push->inherited[i] = -1;
		return fd;
	}
	return -1;
}

static int check(const struct fr_push *push, const char *value, struct fr_push_address *ret_address,
		 char *error, size_t error_size)
{
	int code = fr_push_address_parse(value, ret_address, error, error_size);

	if (code || !ret_address->is_open || push->has_token)
		return code;
	snprintf(error, error_size,
		 "can be reached by others; add --fastreload-token FILE, with a token in the "
		 "file, or %s",
		 ret_address->to.any.sa_family == AF_UNIX
			 ? "name a socket in a folder that only you can write to"
			 : "listen on 127.0.0.1");
	return -EPERM;
}

int fr_push_check(const struct fr_push *push, const char *value, char *error, size_t error_size)
{
	struct fr_push_address address;

	return check(push, value, &address, error, error_size);
}

int fr_push_listen(struct fr_push *push, const char *value, char *error, size_t error_size)
{
	struct fr_push_address address;
	int code = check(push, value, &address, error, error_size), fd;

	if (code)
		return code;
	if (push->listeners_len == FR_PUSH_MAX_LISTENERS) {
		snprintf(error, error_size, "is one address too many; there can be %d",
			 FR_PUSH_MAX_LISTENERS);
		return -ENOSPC;
	}
	fd = claim_inherited(push, &address);
	if (fd < 0)
		fd = fr_push_socket_listen(&address, error, error_size);
	if (fd < 0)
		return fd;
	code = watch(push, EPOLL_CTL_ADD, fd, push->listeners_len);
	if (code) {
		close(fd);
		snprintf(error, error_size, "cannot be watched: %s; raise that limit",
			 strerror(-code));
		return code;
	}
	push->listeners[push->listeners_len++] = (struct listener){.fd = fd};
	return 0;
}

int fr_push_fd(const struct fr_push *push)
{
	return push->queue;
}

size_t fr_push_fds(const struct fr_push *push, int fds[FR_PUSH_MAX_FDS])
{
	size_t len = 0;

	fds[len++] = push->queue;
	for (size_t i = 0; i < push->listeners_len; i++)
		fds[len++] = push->listeners[i].fd;
	for (size_t i = 0; i < FR_PUSH_MAX_CLIENTS; i++) {
		if (push->clients[i].fd >= 0)
			fds[len++] = push->clients[i].fd;
	}
	return len;
}

/* ---- across an exec ---- */

static void leave_socket(int fd, const char *flags, char text[FR_PUSH_LEFT_SIZE])
{
	size_t used = strlen(text);

	if (fcntl(fd, F_SETFD, 0) == 0)
		snprintf(text + used, FR_PUSH_LEFT_SIZE - used, "%d%s ", fd, flags);
}

void fr_push_leave(struct fr_push *push, char text[FR_PUSH_LEFT_SIZE])
{
	/* What was said and may not be seen yet is looked for again, with everything else. */
	snprintf(text, FR_PUSH_LEFT_SIZE, "%s", fr_push_due_has_any(push->due) ? "0d " : "");
	for (size_t i = 0; i < push->listeners_len; i++)
		leave_socket(push->listeners[i].fd, "l", text);
	for (size_t i = 0; i < FR_PUSH_MAX_CLIENTS; i++) {
		const struct client *client = &push->clients[i];
		char flags[8];

		if (client->fd < 0)
			continue;
		snprintf(flags, sizeof(flags), "c%s%s%s", client->is_trusted ? "t" : "",
			 client->is_nul ? "n" : "",
			 client->is_skipping || client->rest_len > 0 ? "s" : "");
		leave_socket(client->fd, flags, text);
	}
}

static bool is_stream_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static bool take_listener(struct fr_push *push, int fd)
{
	for (size_t i = 0; i < FR_PUSH_MAX_LISTENERS; i++) {
		if (push->inherited[i] >= 0)
			continue;
		push->inherited[i] = fd;
		return true;
	}
	return false;
}

static bool take_client(struct fr_push *push, int fd, const char *flags)
{
	struct client *client = add_client(push, fd, 0);
	size_t len = strcspn(flags, " ");

	if (!client)
		return false;
	client->is_trusted = client->has_spoken = !push->has_token || memchr(flags, 't', len);
	client->is_nul = memchr(flags, 'n', len);
	client->is_skipping = memchr(flags, 's', len);
	if (client->is_skipping)
		fr_push_due_note_all(push->due, 0); /* of the line that was cut, no more is known */
	return true;
}

bool fr_push_take(struct fr_push *push, const char *text)
{
	while (*text) {
		char *flags;
		long fd = strtol(text, &flags, 10);

		if (fd == 0 && flags[0] == 'd') {
			fr_push_due_note_all(push->due, 0);
			text = flags + 1 + strspn(flags + 1, " ");
			continue;
		}
		if (flags == text || fd < 3 || fd > INT_MAX || !is_stream_socket((int)fd) ||
		    fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			return false;
		if (flags[0] == 'l' ? !take_listener(push, (int)fd)
				    : flags[0] != 'c' || !take_client(push, (int)fd, flags + 1))
			return false;
		text = flags + strcspn(flags, " ");
		text += strspn(text, " ");
	}
	return true;
}

/* ---- a source that sees nothing by itself ---- */

/* For folders that are only looked at when somebody says so. */

struct fr_source {
	int fd; /* never readable */
};

static int source_open(struct fr_source **ret_source)
{
	struct fr_source *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return -ENOMEM;
	source->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (source->fd < 0) {
		error = -errno;
		free(source);
		return error;
	}
	*ret_source = source;
	return 0;
}

static int source_add(struct fr_source *source, struct fr_node *folder, const char *path)
{
	(void)source;
	(void)path;
	folder->watch = 0;
	return 0;
}

static void source_remove(struct fr_source *source, struct fr_node *folder)
{
	(void)source;
	folder->watch = -1;
}

static int source_fd(const struct fr_source *source)
{
	return source->fd;
}

static int source_step(struct fr_source *source, fr_source_report *report, void *ctx)
{
	(void)source;
	(void)report;
	(void)ctx;
	return 0;
}

static void source_own(struct fr_source *source)
{
	(void)source;
}

static void source_close(struct fr_source *source)
{
	if (source)
		close(source->fd);
	free(source);
}

static void source_explain(int error, unsigned long wanted, char *text, unsigned long text_size)
{
	(void)wanted;
	snprintf(text, text_size, "%s", strerror(-error));
}

const struct fr_source_ops fr_push_ops = {
	.name = "push",
	.open = source_open,
	.add = source_add,
	.remove = source_remove,
	.fd = source_fd,
	.step = source_step,
	.own = source_own,
	.close = source_close,
	.explain = source_explain,
};
