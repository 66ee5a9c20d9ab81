/*
 * server: JSON lines in, JSON lines out, on a Unix socket. See server.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, struct ucred */
#endif
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "report/server.h"
#include "report/json.h"
#include "report/request.h"
#include "report/status.h"

#define FR_SERVER_REQUESTS_PER_STEP 16
#define FR_SERVER_ACCEPTS_PER_STEP  16

/* A client that takes nothing of an answer for so long is hung up on. */
#define FR_SERVER_PATIENCE_MS 10000

#define FR_SERVER_ACCEPT_AGAIN_MS 1000

struct client {
	int fd;          /* -1: none */
	bool is_ending;  /* to be hung up on when its answer is sent */
	int64_t last_ms; /* last heard of, or sent to */
	char *in;        /* what has come in, FR_REQUEST_LINE_MAX + 1 bytes */
	size_t in_len;
	char *out; /* what is left of an answer; NULL: nothing, and requests are read */
	size_t out_len, out_sent;
};

struct fr_server {
	const struct fr_server_hooks *hooks;
	void *ctx;
	uid_t owner;
	int queue, listener;
	struct client clients[FR_SERVER_MAX_CLIENTS];
	size_t cursor;        /* the client whose turn it is */
	int64_t accept_at_ms; /* there was no descriptor: nobody is accepted until then; 0: is */
	char answer[FR_SERVER_ANSWER_SIZE];
};

/* ---- clients ---- */

static int watch(const struct fr_server *server, int op, int fd, unsigned events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(server->queue, op, fd, &event) < 0 ? -errno : 0;
}

static void hang_up(const struct fr_server *server, struct client *client)
{
	/* A child that was being forked may have it open: closing is not enough, epoll(7), Q6. */
	(void)epoll_ctl(server->queue, EPOLL_CTL_DEL, client->fd, NULL);
	close(client->fd);
	free(client->in);
	free(client->out);
	*client = (struct client){.fd = -1};
}

/* A free place, or that of the client which has been silent for the longest time. */
static struct client *make_room(struct fr_server *server)
{
	struct client *oldest = server->clients;

	for (size_t i = 0; i < FR_SERVER_MAX_CLIENTS; i++) {
		struct client *client = &server->clients[i];

		if (client->fd < 0)
			return client;
		if (client->last_ms < oldest->last_ms)
			oldest = client;
	}
	hang_up(server, oldest);
	return oldest;
}

/* Whoever made the socket readable for others has not made the master theirs. */
static bool is_welcome(const struct fr_server *server, int fd)
{
	static const char refusal[] =
		"{\"v\":1,\"ok\":false,\"error\":\"only the user that uWSGI runs as, and root, "
		"may talk to it here\"}\n";
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (peer.uid == server->owner || peer.uid == 0)
		return true;
	(void)send(fd, refusal, sizeof(refusal) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	server->hooks->refused(server->ctx, peer.uid);
	return false;
}

static void add_client(struct fr_server *server, int fd, int64_t now_ms)
{
	char *in = is_welcome(server, fd) ? malloc(FR_REQUEST_LINE_MAX + 1) : NULL;
	struct client *client;

	if (!in || watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) < 0) {
		free(in);
		close(fd);
		return;
	}
	client = make_room(server);
	*client = (struct client){.fd = fd, .in = in, .last_ms = now_ms};
}

/* Whoever cannot be accepted would wake the master again and again. */
static void accept_later(struct fr_server *server, int64_t at_ms)
{
	server->accept_at_ms = at_ms;
	(void)watch(server, EPOLL_CTL_MOD, server->listener, at_ms ? 0 : EPOLLIN);
}

static void accept_clients(struct fr_server *server, int64_t now_ms)
{
	if (server->accept_at_ms > now_ms)
		return;
	if (server->accept_at_ms)
		accept_later(server, 0);
	for (int i = 0; i < FR_SERVER_ACCEPTS_PER_STEP; i++) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			add_client(server, fd, now_ms);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno != ECONNABORTED && errno != EINTR) {
			accept_later(server, now_ms + FR_SERVER_ACCEPT_AGAIN_MS);
			return;
		}
	}
}

/* ---- answers ---- */

/* Returns whether the client is still there. */
static bool send_rest(struct fr_server *server, struct client *client, int64_t now_ms)
{
	ssize_t sent = send(client->fd, client->out + client->out_sent,
			    client->out_len - client->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		hang_up(server, client);
		return false;
	}
	if (sent > 0) {
		client->out_sent += (size_t)sent;
		client->last_ms = now_ms;
	}
	if (client->out_sent < client->out_len)
		return true;
	free(client->out);
	client->out = NULL;
	if (client->is_ending) {
		hang_up(server, client);
		return false;
	}
	(void)watch(server, EPOLL_CTL_MOD, client->fd, EPOLLIN);
	return true;
}

/* Sends what is in server->answer; what the socket does not take is kept, and nothing more is read
 * until it is gone. Returns whether the client is still there. */
static bool send_answer(struct fr_server *server, struct client *client, size_t len, int64_t now_ms)
{
	client->out = malloc(len);
	if (!client->out || watch(server, EPOLL_CTL_MOD, client->fd, EPOLLOUT) < 0) {
		hang_up(server, client);
		return false;
	}
	memcpy(client->out, server->answer, len);
	client->out_len = len;
	client->out_sent = 0;
	return send_rest(server, client, now_ms);
}

static void begin_answer(struct fr_server *server, struct fr_json *json, bool is_ok)
{
	/* The end of the object is sure to fit. */
	fr_json_begin(json, server->answer, sizeof(server->answer) - 8);
	fr_json_open(json, NULL, '{');
	fr_json_number(json, "v", FR_STATUS_VERSION);
	fr_json_bool(json, "ok", is_ok);
}

static size_t write_error(struct fr_server *server, const char *error)
{
	struct fr_json json;

	begin_answer(server, &json, false);
	fr_json_string(&json, "error", error);
	fr_json_close(&json, '}');
	fr_json_raw(&json, "\n");
	return json.len;
}

static size_t write_answer(struct fr_server *server, const char *line, size_t len)
{
	struct fr_request request;
	struct fr_json json;
	char reason[128];
	const char *error;

	if (fr_request_read(line, len, &request, reason, sizeof(reason)) < 0)
		return write_error(server, reason);
	begin_answer(server, &json, true);
	error = server->hooks->answer(server->ctx, &request, &json);
	if (!error && json.is_full)
		error = "the answer is too long";
	if (error)
		return write_error(server, error);
	json.size = sizeof(server->answer);
	fr_json_close(&json, '}');
	fr_json_raw(&json, "\n");
	return json.len;
}

/* ---- requests ---- */

/* Answers the first whole line that is in the buffer. Returns whether there was one. */
static bool answer_line(struct fr_server *server, struct client *client, int64_t now_ms)
{
	char *end = memchr(client->in, '\n', client->in_len);
	size_t len, line_len;

	if (!end)
		return false;
	line_len = (size_t)(end - client->in);
	len = write_answer(server, client->in, line_len);
	client->in_len -= line_len + 1;
	memmove(client->in, end + 1, client->in_len);
	(void)send_answer(server, client, len, now_ms);
	return true;
}

static void read_client(struct fr_server *server, struct client *client, int64_t now_ms)
{
	ssize_t len = recv(client->fd, client->in + client->in_len,
			   FR_REQUEST_LINE_MAX + 1 - client->in_len, MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len == 0 && client->in_len > 0) { /* the last line may lack its end */
		client->in[client->in_len] = '\n';
		client->is_ending = true;
		len = 1;
	}
	if (len <= 0) {
		hang_up(server, client);
		return;
	}
	client->in_len += (size_t)len;
	client->last_ms = now_ms;
	if (client->in_len <= FR_REQUEST_LINE_MAX || memchr(client->in, '\n', client->in_len))
		return;
	client->is_ending = true;
	(void)send_answer(server, client, write_error(server, "the line is too long"), now_ms);
}

/* Returns whether it may have more at once. */
static bool serve(struct fr_server *server, struct client *client, int64_t now_ms)
{
	if (client->fd >= 0 && client->out)
		(void)send_rest(server, client, now_ms);
	if (client->fd >= 0 && client->out && now_ms - client->last_ms >= FR_SERVER_PATIENCE_MS)
		hang_up(server, client);
	if (client->fd < 0 || client->out)
		return false;
	if (!memchr(client->in, '\n', client->in_len))
		read_client(server, client, now_ms);
	if (client->fd < 0 || client->out)
		return false;
	return answer_line(server, client, now_ms);
}

/* All in turn, so that one that asks without end does not hold up the others. Returns whether one
 * may have more. */
static bool serve_all(struct fr_server *server, int64_t now_ms)
{
	size_t idle = 0;

	for (int requests = 0; requests < FR_SERVER_REQUESTS_PER_STEP;) {
		struct client *client = &server->clients[server->cursor];

		server->cursor = (server->cursor + 1) % FR_SERVER_MAX_CLIENTS;
		if (serve(server, client, now_ms)) {
			requests++;
			idle = 0;
		} else if (++idle >= FR_SERVER_MAX_CLIENTS) {
			return false;
		}
	}
	return true;
}

int64_t fr_server_step(struct fr_server *server, int64_t now_ms)
{
	int64_t wake_ms;

	accept_clients(server, now_ms);
	if (serve_all(server, now_ms))
		return now_ms;
	wake_ms = server->accept_at_ms ? server->accept_at_ms : -1;
	for (size_t i = 0; i < FR_SERVER_MAX_CLIENTS; i++) {
		const struct client *client = &server->clients[i];
		int64_t end_ms = client->last_ms + FR_SERVER_PATIENCE_MS;

		if (client->fd >= 0 && client->out && (wake_ms < 0 || end_ms < wake_ms))
			wake_ms = end_ms;
	}
	return wake_ms;
}

/* ---- life ---- */

int fr_server_new(int listener, uid_t owner, const struct fr_server_hooks *hooks, void *ctx,
		  struct fr_server **ret_server)
{
	struct fr_server *server = malloc(sizeof(*server));
	int error;

	if (!server) {
		close(listener);
		return -ENOMEM;
	}
	server->hooks = hooks;
	server->ctx = ctx;
	server->owner = owner;
	server->listener = listener;
	server->cursor = 0;
	server->accept_at_ms = 0;
	for (size_t i = 0; i < FR_SERVER_MAX_CLIENTS; i++)
		server->clients[i] = (struct client){.fd = -1};
	server->queue = epoll_create1(EPOLL_CLOEXEC);
	error = server->queue < 0 ? -errno : watch(server, EPOLL_CTL_ADD, listener, EPOLLIN);
	if (error) {
		fr_server_free(server);
		return error;
	}
	*ret_server = server;
	return 0;
}

void fr_server_free(struct fr_server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < FR_SERVER_MAX_CLIENTS; i++) {
		if (server->clients[i].fd >= 0)
			hang_up(server, &server->clients[i]);
	}
	if (server->queue >= 0)
		close(server->queue);
	close(server->listener);
	free(server);
}

int fr_server_fd(const struct fr_server *server)
{
	return server->queue;
}

int fr_server_listener(const struct fr_server *server)
{
	return server->listener;
}

size_t fr_server_fds(const struct fr_server *server, int fds[FR_SERVER_MAX_FDS])
{
	size_t len = 0;

	fds[len++] = server->listener;
	fds[len++] = server->queue;
	for (size_t i = 0; i < FR_SERVER_MAX_CLIENTS; i++) {
		if (server->clients[i].fd >= 0)
			fds[len++] = server->clients[i].fd;
	}
	return len;
}
