/*
 * server: whoever may talk to the master does so here: JSON lines in, JSON lines out, on a Unix
 * socket.
 *
 * Knows sockets, and who may use this one. What the commands do is the hooks' business. Everything
 * is bounded, and nothing waits for a client.
 */
#ifndef FR_SERVER_H
#define FR_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fr_server;
struct fr_json;
struct fr_request;

#define FR_SERVER_MAX_CLIENTS 8

/* An answer is no longer than this, with its newline. */
#define FR_SERVER_ANSWER_SIZE (256 * 1024)

struct fr_server_hooks {
	/* Does what was asked, and adds what there is to say to json, an object that is open. NULL,
	 * or a static sentence: what was wrong, and nothing was done. */
	const char *(*answer)(void *ctx, const struct fr_request *request, struct fr_json *json);
	/* A process of that user was turned away. */
	void (*refused)(void *ctx, uid_t uid);
};

/*
 * Serves a listening socket, which does not block and is close-on-exec (taken, also on failure).
 * Only processes of the user `owner` and of root are answered. hooks is borrowed. 0 or a negative
 * errno.
 */
int fr_server_new(int listener, uid_t owner, const struct fr_server_hooks *hooks, void *ctx,
		  struct fr_server **ret_server);

/* Hangs up and closes; NULL is fine. */
void fr_server_free(struct fr_server *server);

/* Readable when fr_server_step has something to do. The same one for ever. */
int fr_server_fd(const struct fr_server *server);

/* The listening socket: for an exec, which it may survive. */
int fr_server_listener(const struct fr_server *server);

/* Takes and answers a bounded number of requests. Returns when to call again at the latest (a time
 * of now_ms's clock), or -1. Never blocks. */
int64_t fr_server_step(struct fr_server *server, int64_t now_ms);

/* All descriptors that are open, for a forked child to close. Async-signal-safe. */
#define FR_SERVER_MAX_FDS (FR_SERVER_MAX_CLIENTS + 2)
size_t fr_server_fds(const struct fr_server *server, int fds[FR_SERVER_MAX_FDS]);

#endif
