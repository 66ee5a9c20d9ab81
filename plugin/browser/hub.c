/*
 * hub: the process that keeps the connections of open pages. See hub.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, memmem */
#endif
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "browser/excerpt.h"
#include "browser/hub.h"
#include "browser/recent.h"
#include "browser/request.h"
#include "browser/script.h"
#include "browser/visit.h"
#include "browser/websocket.h"
#include "child.h"

#define FR_HUB_CLIENTS (FR_HUB_MAX_PAGES + FR_HUB_MAX_ASKING)
#define FR_HUB_EVENTS  64  /* taken up in one turn */
#define FR_HUB_AT_ONCE 256 /* visits or connections in one turn */

/* Who is told to go may take so long to read that. */
#define FR_HUB_ENDING_MS 5000

/* A peer that acknowledges nothing for so long is gone. */
#define FR_HUB_DEAD_MS 60000

#define FR_HUB_INPUT (FR_WEBSOCKET_MAX_PAYLOAD + FR_WEBSOCKET_MAX_HEAD)

/* Of records (FastCGI Specification 1.0, 3.3 and 8). */
#define FR_FASTCGI_VERSION     1
#define FR_FASTCGI_END_REQUEST 3
#define FR_FASTCGI_STDOUT      6
#define FR_FASTCGI_HEAD_LEN    8

enum client_kind {
	CLIENT_NONE,
	CLIENT_ASKING, /* on LiveReload's port: its request is not whole */
	CLIENT_EVENTS, /* hears Server-Sent Events */
	CLIENT_SOCKET, /* hears LiveReload in a WebSocket */
	CLIENT_ENDING, /* gets what is left, and goes */
};

struct client {
	enum client_kind kind;
	int fd;
	bool is_fastcgi; /* gets records, of this request */
	uint16_t fastcgi_id;
	bool is_full;        /* what could not be sent waits in `out` */
	bool has_said_hello; /* LiveReload: may be told */
	int64_t since_ms;    /* ASKING, ENDING: since when */
	int64_t heard;       /* EVENTS: of struct fr_visit, until it is greeted */
	char *in;            /* FR_HTTP_MAX_HEAD, or FR_HUB_INPUT; NULL: nothing has come */
	char *text;          /* of a message in several frames; NULL: none */
	char *out;           /* FR_HUB_MAX_OUTPUT; NULL: all was sent */
	const char *script;  /* what is left of it, behind `out`; static */
	size_t in_len, text_len, out_len, script_len;
};

/* In epoll, behind which come the clients by their number. */
enum token { TOKEN_NEWS, TOKEN_WAY, TOKEN_LISTENER, TOKEN_CLIENT };

static struct {
	struct fr_hub with;
	int news_fd, queue;
	struct client clients[FR_HUB_CLIENTS];
	size_t pages, asking;
	size_t max_pages; /* fewer, where so many descriptors are not to be had */
	int64_t beat_ms;  /* the last one */
	struct fr_news news;

	/* What pages that come now are told. */
	bool is_known;
	int64_t generation;
	struct fr_recent recent;
	size_t broken_len; /* 0: the code that was saved last serves */
	char broken[FR_MESSAGE_SIZE];
} hub;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- clients ---- */

static uint64_t token_of(const struct client *client)
{
	return TOKEN_CLIENT + (uint64_t)(client - hub.clients);
}

static bool is_page(const struct client *client)
{
	return client->kind == CLIENT_EVENTS || client->kind == CLIENT_SOCKET;
}

static void count(const struct client *client, int by)
{
	if (is_page(client))
		hub.pages += (size_t)by;
	else
		hub.asking += (size_t)by;
}

/* How much of it went; -1: the connection is over. */
static ssize_t send_some(const struct client *client, const void *bytes, size_t len)
{
	ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return sent;
}

/* Of a record with len bytes, which are 65535 at most. */
static void write_record_head(const struct client *client, uint8_t type, size_t len, uint8_t *head)
{
	memset(head, 0, FR_FASTCGI_HEAD_LEN);
	head[0] = FR_FASTCGI_VERSION;
	head[1] = type;
	head[2] = (uint8_t)(client->fastcgi_id >> 8);
	head[3] = (uint8_t)client->fastcgi_id;
	head[4] = (uint8_t)(len >> 8);
	head[5] = (uint8_t)len;
}

/* Without it a server complains of an answer that is not whole. */
static void end_records(const struct client *client)
{
	uint8_t record[FR_FASTCGI_HEAD_LEN + 8] = {0};

	if (!client->is_fastcgi || client->out_len > 0)
		return;
	write_record_head(client, FR_FASTCGI_END_REQUEST, 8, record);
	(void)send_some(client, record, sizeof(record));
}

/* Whoever else may still have the descriptor (the worker, for a moment), the connection is over. */
static void drop(struct client *client)
{
	end_records(client);
	count(client, -1);
	(void)epoll_ctl(hub.queue, EPOLL_CTL_DEL, client->fd, NULL);
	(void)shutdown(client->fd, SHUT_RDWR);
	close(client->fd);
	free(client->in);
	free(client->text);
	free(client->out);
	*client = (struct client){.kind = CLIENT_NONE, .fd = -1};
}

static void change_kind(struct client *client, enum client_kind kind)
{
	count(client, -1);
	client->kind = kind;
	client->since_ms = now_ms();
	count(client, 1);
}

static struct client *find_place(void)
{
	for (size_t i = 0; i < FR_HUB_CLIENTS; i++) {
		if (hub.clients[i].kind == CLIENT_NONE)
			return &hub.clients[i];
	}
	return NULL;
}

static void drop_oldest_asking(void)
{
	struct client *oldest = NULL;

	for (size_t i = 0; i < FR_HUB_CLIENTS; i++) {
		struct client *client = &hub.clients[i];

		if ((client->kind == CLIENT_ASKING || client->kind == CLIENT_ENDING) &&
		    (!oldest || client->since_ms < oldest->since_ms))
			oldest = client;
	}
	if (oldest)
		drop(oldest);
}

/* Takes the descriptor. NULL: it was closed. */
static struct client *add_client(int fd, enum client_kind kind)
{
	const unsigned dead_ms = FR_HUB_DEAD_MS;
	const int yes = 1;
	struct epoll_event event = {.events = EPOLLIN};
	struct client *client;

	if (kind == CLIENT_ASKING && hub.asking >= FR_HUB_MAX_ASKING)
		drop_oldest_asking();
	client = find_place();
	if (!client) {
		close(fd);
		return NULL;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	*client = (struct client){.kind = kind, .fd = fd, .since_ms = now_ms()};
	event.data.u64 = token_of(client);
	if (epoll_ctl(hub.queue, EPOLL_CTL_ADD, fd, &event) < 0) {
		close(fd);
		*client = (struct client){.kind = CLIENT_NONE, .fd = -1};
		return NULL;
	}
	count(client, 1);
	return client;
}

static void await_room(struct client *client, bool is_full)
{
	struct epoll_event event = {.events = EPOLLIN | (is_full ? EPOLLOUT : 0),
				    .data.u64 = token_of(client)};

	client->is_full = is_full;
	(void)epoll_ctl(hub.queue, EPOLL_CTL_MOD, client->fd, &event);
}

/* Sends, or keeps what cannot be sent now. False: the client was dropped. */
static bool put_bytes(struct client *client, const void *bytes, size_t len)
{
	ssize_t sent = client->is_full ? 0 : send_some(client, bytes, len);

	if (sent >= 0 && (size_t)sent < len) {
		size_t rest = len - (size_t)sent;

		if (!client->out)
			client->out = malloc(FR_HUB_MAX_OUTPUT);
		if (client->out && client->out_len + rest <= FR_HUB_MAX_OUTPUT) {
			memcpy(client->out + client->out_len, (const char *)bytes + sent, rest);
			client->out_len += rest;
			if (!client->is_full)
				await_room(client, true);
			return true;
		}
		sent = -1; /* it does not read */
	}
	if (sent < 0)
		drop(client);
	return sent >= 0;
}

/* The same, in a record where that is how it goes. */
static bool put(struct client *client, const void *bytes, size_t len)
{
	uint8_t head[FR_FASTCGI_HEAD_LEN];

	write_record_head(client, FR_FASTCGI_STDOUT, len, head);
	return (!client->is_fastcgi || put_bytes(client, head, sizeof(head))) &&
	       put_bytes(client, bytes, len);
}

/* There is room again. */
static void send_rest(struct client *client)
{
	bool is_out = client->out_len > 0;
	ssize_t sent = is_out ? send_some(client, client->out, client->out_len)
			      : send_some(client, client->script, client->script_len);

	if (sent < 0) {
		drop(client);
		return;
	}
	if (is_out) {
		client->out_len -= (size_t)sent;
		memmove(client->out, client->out + sent, client->out_len);
	} else {
		client->script += sent;
		client->script_len -= (size_t)sent;
	}
	if (client->out_len + client->script_len > 0)
		return;
	free(client->out);
	client->out = NULL;
	await_room(client, false);
	if (client->kind == CLIENT_ENDING)
		drop(client);
}

/* Sends the last that it gets: a status, header lines or "", and a sentence. */
static void refuse(struct client *client, bool is_cgi, const char *status, const char *lines,
		   const char *sentence)
{
	char answer[512];
	int len = snprintf(answer, sizeof(answer),
			   "%s %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s"
			   "Connection: close\r\n\r\n%s\n",
			   is_cgi ? "Status:" : "HTTP/1.1", status, strlen(sentence) + 1, lines,
			   sentence);

	if (!put(client, answer, (size_t)len))
		return;
	if (client->is_full)
		change_kind(client, CLIENT_ENDING);
	else
		drop(client);
}

/* ---- what pages are told ---- */

/* number: of the last news that a page has with this one. It comes back with it as Last-Event-ID
 * where the connection was lost. */
static bool send_event(struct client *client, int64_t number, const char *text, size_t len)
{
	char event[FR_MESSAGE_SIZE + 64];
	int head = snprintf(event, sizeof(event), "id: %" PRId64 "\ndata: ", number);

	memcpy(event + head, text, len);
	memcpy(event + (size_t)head + len, "\n\n", 2);
	return put(client, event, (size_t)head + len + 2);
}

static bool send_frame(struct client *client, enum fr_websocket_opcode opcode, const void *text,
		       size_t len)
{
	uint8_t frame[FR_MESSAGE_SIZE + 4];
	size_t frame_len = fr_websocket_write(opcode, text, len, frame);

	return put(client, frame, frame_len);
}

static void broadcast(const char *text, size_t len)
{
	for (size_t i = 0; i < FR_HUB_CLIENTS; i++) {
		if (hub.clients[i].kind == CLIENT_EVENTS)
			(void)send_event(&hub.clients[i], hub.recent.number, text, len);
	}
}

static void broadcast_livereload(const char *path)
{
	char text[FR_MESSAGE_SIZE];
	size_t len = fr_message_livereload_reload(text, path);

	for (size_t i = 0; i < FR_HUB_CLIENTS; i++) {
		if (hub.clients[i].kind == CLIENT_SOCKET && hub.clients[i].has_said_hello)
			(void)send_frame(&hub.clients[i], FR_WEBSOCKET_TEXT, text, len);
	}
}

/* Says how things stand, and what the page has missed. A number that is not reached is that of
 * another instance, or of news that are on their way here. */
static void greet(struct client *client)
{
	bool is_known = client->heard >= 0 && client->heard <= hub.recent.number;
	int64_t heard = is_known ? client->heard : hub.recent.number;
	const struct fr_recent_news *news;
	char text[FR_MESSAGE_SIZE];
	size_t len = fr_message_hello(text, hub.generation, hub.broken_len > 0, hub.recent.since);

	if (!send_event(client, heard, text, len))
		return;
	while ((news = fr_recent_next(&hub.recent, heard))) {
		heard = news->number;
		if (!send_event(client, heard, news->text, news->len))
			return;
	}
	if (hub.broken_len > 0)
		(void)send_event(client, hub.recent.number, hub.broken, hub.broken_len);
}

static void greet_those_who_wait(void)
{
	if (hub.is_known)
		return;
	hub.is_known = true;
	for (size_t i = 0; i < FR_HUB_CLIENTS; i++) {
		if (hub.clients[i].kind == CLIENT_EVENTS)
			greet(&hub.clients[i]);
	}
}

/* ---- what the master tells ---- */

static void tell_reload(void)
{
	char text[FR_MESSAGE_SIZE];
	size_t len;

	if (hub.news.generation != hub.generation)
		hub.broken_len = 0;
	hub.generation = hub.news.generation;
	greet_those_who_wait();
	fr_recent_pass(&hub.recent, hub.news.number);
	len = fr_message_reload(text, hub.generation, hub.news.reason);
	broadcast(text, len);
	broadcast_livereload("/");
}

static void tell_assets(void)
{
	char text[FR_MESSAGE_SIZE];
	size_t len = fr_message_assets(text, &hub.news);

	for (size_t i = 0; i < hub.news.text_len; i += strlen(hub.news.text + i) + 1)
		broadcast_livereload(hub.news.text + i);
	if (len > 0) {
		fr_recent_keep(&hub.recent, hub.news.number, text, len);
	} else {
		fr_recent_pass(&hub.recent, hub.news.number);
		len = fr_message_reload(text, hub.generation, "assets");
	}
	broadcast(text, len);
}

static void tell_broken(void)
{
	struct fr_excerpt excerpt = {0};

	if (hub.news.path[0])
		fr_excerpt_read(hub.news.path, (long)hub.news.line, &excerpt);
	hub.generation = hub.news.generation;
	hub.broken_len = fr_message_broken(hub.broken, &hub.news, &excerpt);
	if (hub.is_known)
		broadcast(hub.broken, hub.broken_len);
	else
		greet_those_who_wait();
}

static void tell_restored(void)
{
	char text[FR_MESSAGE_SIZE];
	size_t len = fr_message_restored(text);

	if (hub.broken_len == 0)
		return;
	hub.broken_len = 0;
	broadcast(text, len);
}

/* Returns whether there was something. */
static bool hear_one(void)
{
	ssize_t len = recv(hub.news_fd, &hub.news, sizeof(hub.news), MSG_DONTWAIT);

	if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
		_exit(0); /* it has ended, or has become another */
	if (len < 0)
		return false;
	if (!fr_news_check(&hub.news, (size_t)len))
		return true;
	if (!fr_news_is_numbered(hub.news.kind))
		fr_recent_reach(&hub.recent, hub.news.number);
	switch ((enum fr_news_kind)hub.news.kind) {
	case FR_NEWS_SERVING:
		hub.generation = hub.news.generation;
		hub.broken_len = 0;
		greet_those_who_wait();
		break;
	case FR_NEWS_RELOAD:
		tell_reload();
		break;
	case FR_NEWS_ASSETS:
		tell_assets();
		break;
	case FR_NEWS_BROKEN:
		tell_broken();
		break;
	case FR_NEWS_RESTORED:
		tell_restored();
		break;
	}
	return true;
}

static void hear_master(void)
{
	while (hear_one())
		;
}

/* ---- what comes from workers ---- */

static void refuse_busy(struct client *client, bool is_cgi)
{
	refuse(client, is_cgi, "503 Service Unavailable", "Retry-After: 5\r\n",
	       "too many open pages");
}

/* X-Accel-Buffering is nginx's: it would wait for more. */
static const char events_head[] =
	"200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
	"X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\n"
	"retry: 500\n\n";

static bool put_head(struct client *client, const char *head, bool is_cgi)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "%s %s", is_cgi ? "Status:" : "HTTP/1.1", head);

	return put(client, text, (size_t)len);
}

static void accept_socket(struct client *client, const char *key, bool is_cgi)
{
	char head[256], accept_key[FR_WEBSOCKET_ACCEPT_SIZE];

	fr_websocket_accept(key, accept_key);
	snprintf(head, sizeof(head),
		 "101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Accept: %s\r\n\r\n",
		 accept_key);
	(void)put_head(client, head, is_cgi);
}

/* A page may come from code that the master has told of before it served: that has to be heard
 * first. */
static void take_visit(const struct fr_visit *visit, int fd)
{
	bool is_events = visit->kind == FR_VISIT_EVENTS, is_busy;
	struct client *client;

	hear_master();
	is_busy = hub.pages >= hub.max_pages;
	client = add_client(fd, is_busy     ? CLIENT_ASKING
				: is_events ? CLIENT_EVENTS
					    : CLIENT_SOCKET);
	if (!client)
		return;
	client->heard = visit->heard;
	client->is_fastcgi = visit->is_fastcgi;
	client->fastcgi_id = visit->fastcgi_id;
	if (is_busy) {
		refuse_busy(client, visit->is_cgi);
	} else if (!is_events) {
		accept_socket(client, visit->key, visit->is_cgi);
	} else if (put_head(client, events_head, visit->is_cgi) && hub.is_known) {
		greet(client);
	}
}

static void take_visits(void)
{
	for (int i = 0; i < FR_HUB_AT_ONCE; i++) {
		struct fr_visit visit;
		int fd = fr_visit_receive(hub.with.way_fd, &visit);

		if (fd >= 0)
			take_visit(&visit, fd);
		else if (fd == -EPIPE)
			_exit(0);
		else if (fd != -EBADMSG)
			return;
	}
}

/* ---- LiveReload's port ---- */

static void accept_all(void)
{
	for (int i = 0; i < FR_HUB_AT_ONCE; i++) {
		int fd = accept4(hub.with.listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			(void)add_client(fd, CLIENT_ASKING);
		else if (errno == EMFILE || errno == ENFILE)
			drop_oldest_asking();
		else if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static bool is_path(const struct fr_http_request *request, const char *path)
{
	return request->path.len == strlen(path) &&
	       memcmp(request->path.text, path, request->path.len) == 0;
}

/* It may be longer than what can be kept of it for a client, and goes from where it is. */
static void send_script(struct client *client)
{
	char head[256];
	size_t script_len;
	const char *script = fr_script_text(&script_len);
	int len = snprintf(head, sizeof(head),
			   "HTTP/1.1 200 OK\r\nContent-Type: text/javascript; charset=utf-8\r\n"
			   "Content-Length: %zu\r\nCache-Control: no-cache\r\n"
			   "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
			   script_len);

	if (!put(client, head, (size_t)len))
		return;
	client->script = script;
	client->script_len = script_len;
	change_kind(client, CLIENT_ENDING);
	await_room(client, true);
}

static void answer_request(struct client *client, const struct fr_http_request *request)
{
	const struct fr_origin_names *names = &hub.with.names;
	char key[FR_WEBSOCKET_KEY_LEN];

	if (!fr_origin_is_host(names, request->host.text, request->host.len) ||
	    !fr_origin_is_local(names, request->origin.text, request->origin.len)) {
		refuse(client, false, "403 Forbidden", "", "this page is not from this host");
	} else if (request->is_get && is_path(request, "/livereload.js")) {
		send_script(client);
	} else if (!request->is_get || !is_path(request, "/livereload")) {
		refuse(client, false, "404 Not Found", "",
		       "here is nothing but /livereload and /livereload.js");
	} else if (!request->is_upgrade ||
		   !fr_websocket_is_key(request->key.text, request->key.len)) {
		refuse(client, false, "426 Upgrade Required",
		       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
		       "this is for WebSockets of version 13");
	} else if (hub.pages >= hub.max_pages) {
		refuse_busy(client, false);
	} else {
		memcpy(key, request->key.text, sizeof(key));
		change_kind(client, CLIENT_SOCKET);
		accept_socket(client, key, false);
	}
}

/* ---- what comes from clients ---- */

static bool make_room(struct client *client, size_t size)
{
	if (!client->in)
		client->in = malloc(size);
	if (client->in)
		return true;
	drop(client);
	return false;
}

static void take_request(struct client *client)
{
	struct fr_http_request request;
	int len = fr_http_read(client->in, client->in_len, &request);

	if (len < 0) {
		refuse(client, false, "400 Bad Request", "", "this is no request of HTTP");
	} else if (len > 0) {
		client->in_len = 0; /* a client waits for the answer to a handshake */
		answer_request(client, &request);
	}
}

static void close_socket(struct client *client, int status)
{
	const uint8_t reason[2] = {(uint8_t)(status >> 8), (uint8_t)status};

	if (!send_frame(client, FR_WEBSOCKET_CLOSE, reason, sizeof(reason)))
		return;
	if (client->is_full)
		change_kind(client, CLIENT_ENDING);
	else
		drop(client);
}

/* A whole message of text. */
static bool take_text(struct client *client, const char *text, size_t len)
{
	char answer[FR_MESSAGE_SIZE];
	size_t answer_len = fr_message_livereload_hello(answer);

	if (client->has_said_hello || !fr_message_is_livereload_hello(text, len))
		return true;
	client->has_said_hello = true;
	return send_frame(client, FR_WEBSOCKET_TEXT, answer, answer_len);
}

/* A piece of a message, or a whole one. Returns 0, or the status to close with; -1: dropped. */
static int take_piece(struct client *client, const struct fr_websocket_frame *frame)
{
	bool is_first = frame->opcode != FR_WEBSOCKET_CONTINUATION;
	bool is_open = client->text != NULL;

	if (is_first == is_open)
		return FR_WEBSOCKET_PROTOCOL;
	if (is_first && frame->is_last)
		return take_text(client, (char *)frame->payload, frame->len) ? 0 : -1;
	if (!is_open)
		client->text = malloc(FR_WEBSOCKET_MAX_PAYLOAD);
	if (!client->text || client->text_len + frame->len > FR_WEBSOCKET_MAX_PAYLOAD)
		return FR_WEBSOCKET_TOO_BIG;
	memcpy(client->text + client->text_len, frame->payload, frame->len);
	client->text_len += frame->len;
	if (!frame->is_last)
		return 0;
	if (!take_text(client, client->text, client->text_len))
		return -1;
	free(client->text);
	client->text = NULL;
	client->text_len = 0;
	return 0;
}

/* As take_piece. */
static int take_frame(struct client *client, const struct fr_websocket_frame *frame)
{
	switch (frame->opcode) {
	case FR_WEBSOCKET_CLOSE:
		return FR_WEBSOCKET_NORMAL;
	case FR_WEBSOCKET_PING:
		return send_frame(client, FR_WEBSOCKET_PONG, frame->payload, frame->len) ? 0 : -1;
	case FR_WEBSOCKET_PONG:
		return 0;
	default:
		return take_piece(client, frame);
	}
}

static void take_frames(struct client *client)
{
	struct fr_websocket_frame frame;
	size_t at = 0;
	int len, status = 0;

	while (status == 0 && (len = fr_websocket_read((uint8_t *)client->in + at,
						       client->in_len - at, &frame)) != 0) {
		status = len < 0 ? -len : take_frame(client, &frame);
		at += len > 0 ? (size_t)len : 0;
	}
	if (status < 0)
		return;
	if (status > 0) {
		close_socket(client, status);
		return;
	}
	client->in_len -= at;
	memmove(client->in, client->in + at, client->in_len);
}

/* Who hears events has nothing to say. */
static void read_client(struct client *client)
{
	bool is_asking = client->kind == CLIENT_ASKING, is_socket = client->kind == CLIENT_SOCKET;
	size_t size = is_asking ? FR_HTTP_MAX_HEAD : FR_HUB_INPUT;
	char nothing[4096];
	ssize_t len;

	if (is_asking || is_socket) {
		if (!make_room(client,
			       FR_HTTP_MAX_HEAD > FR_HUB_INPUT ? FR_HTTP_MAX_HEAD : FR_HUB_INPUT))
			return;
		len = recv(client->fd, client->in + client->in_len, size - client->in_len,
			   MSG_DONTWAIT);
	} else {
		len = recv(client->fd, nothing, sizeof(nothing), MSG_DONTWAIT);
	}
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		drop(client);
		return;
	}
	if (is_asking || is_socket)
		client->in_len += (size_t)len;
	if (is_asking)
		take_request(client);
	else if (is_socket)
		take_frames(client);
}

static void serve_client(size_t number, uint32_t events)
{
	struct client *client = &hub.clients[number];

	if (client->kind != CLIENT_NONE && events & EPOLLOUT)
		send_rest(client);
	if (client->kind != CLIENT_NONE && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		read_client(client);
}

/* ---- time ---- */

static void beat(int64_t now)
{
	if (now - hub.beat_ms < FR_HUB_BEAT_MS)
		return;
	hub.beat_ms = now;
	for (size_t i = 0; i < FR_HUB_CLIENTS; i++) {
		struct client *client = &hub.clients[i];

		if (client->kind == CLIENT_EVENTS)
			(void)put(client, ":\n\n", 3);
		else if (client->kind == CLIENT_SOCKET)
			(void)send_frame(client, FR_WEBSOCKET_PING, NULL, 0);
	}
}

/* How long a client of this kind may be silent; -1: as long as it likes. */
static int64_t patience_ms(const struct client *client)
{
	return client->kind == CLIENT_ASKING   ? FR_HUB_ASKING_MS
	       : client->kind == CLIENT_ENDING ? FR_HUB_ENDING_MS
					       : -1;
}

/* Drops those whose time is over. Returns how long to wait for the next; -1: nobody. */
static int watch_time(int64_t now)
{
	int64_t wait_ms = hub.pages > 0 ? hub.beat_ms + FR_HUB_BEAT_MS - now : -1;

	if (hub.pages > 0 && wait_ms < 0)
		wait_ms = 0;
	for (size_t i = 0; hub.asking > 0 && i < FR_HUB_CLIENTS; i++) {
		struct client *client = &hub.clients[i];
		int64_t left_ms;

		if (patience_ms(client) < 0)
			continue;
		left_ms = client->since_ms + patience_ms(client) - now;
		if (left_ms <= 0)
			drop(client);
		else if (wait_ms < 0 || left_ms < wait_ms)
			wait_ms = left_ms;
	}
	return (int)wait_ms;
}

/* ---- life ---- */

static void watch(int fd, uint64_t token)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};

	if (fd >= 0 && epoll_ctl(hub.queue, EPOLL_CTL_ADD, fd, &event) < 0)
		_exit(1);
}

static void turn(void)
{
	struct epoll_event events[FR_HUB_EVENTS];
	int len = epoll_wait(hub.queue, events, FR_HUB_EVENTS, watch_time(now_ms()));

	for (int i = 0; i < len; i++) {
		switch (events[i].data.u64) {
		case TOKEN_NEWS:
			hear_master();
			break;
		case TOKEN_WAY:
			take_visits();
			break;
		case TOKEN_LISTENER:
			accept_all();
			break;
		default:
			serve_client(events[i].data.u64 - TOKEN_CLIENT, events[i].events);
		}
	}
	beat(now_ms());
}

/* Enough descriptors for all pages, or as many pages as there are descriptors. */
static void prepare_limits(void)
{
	const rlim_t wanted = FR_HUB_CLIENTS + 32;
	struct rlimit limit;

	hub.max_pages = FR_HUB_MAX_PAGES;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return;
	hub.max_pages = limit.rlim_cur > FR_HUB_MAX_ASKING + 64
				? limit.rlim_cur - FR_HUB_MAX_ASKING - 32
				: 32;
}

__attribute__((noreturn)) static void run(const struct fr_hub *with, int news_fd)
{
	int fds[] = {news_fd, with->way_fd, with->listener_fd};

	hub.with = *with;
	fr_child_begin("fastreload-page");
	fr_child_keep(fds, sizeof(fds) / sizeof(*fds));
	hub.news_fd = fds[0];
	hub.with.way_fd = fds[1];
	hub.with.listener_fd = fds[2];
	prepare_limits();
	for (size_t i = 0; i < FR_HUB_CLIENTS; i++)
		hub.clients[i].fd = -1;
	hub.beat_ms = now_ms();
	hub.queue = epoll_create1(EPOLL_CLOEXEC);
	watch(hub.news_fd, TOKEN_NEWS);
	watch(hub.with.way_fd, TOKEN_WAY);
	watch(hub.with.listener_fd, TOKEN_LISTENER);
	for (;;)
		turn();
}

/* ---- the master's side ---- */

pid_t fr_hub_start(const struct fr_hub *with, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	pid = fr_child_fork();
	if (pid == 0)
		run(with, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return pid;
	}
	*ret_fd = fds[0];
	return pid;
}

int fr_hub_tell(int fd, const struct fr_news *news)
{
	size_t size = fr_news_size(news);

	return send(fd, news, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size ? 0 : -errno;
}
