/*
 * push_socket: sockets to listen on, and who can reach them. For the start: it says in one sentence
 * what is wrong. It knows nothing of what comes in.
 */
#ifndef FR_PUSH_SOCKET_H
#define FR_PUSH_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct fr_push_address {
	union {
		struct sockaddr any;
		struct sockaddr_storage storage;
		struct sockaddr_un un;
	} to;
	socklen_t len;
	bool is_open; /* others than this user (and root, and on loopback whoever has an account
			 here) can reach it */
};

/* Longest token, and the shortest that cannot be guessed. */
#define FR_PUSH_TOKEN_MAX 1024
#define FR_PUSH_TOKEN_MIN 16

/*
 * "HOST:PORT" with a numeric host ("127.0.0.1:9001", "[::1]:9001", "*:9001" for all),
 * "localhost:9001", or the path of a Unix socket, with a "/" in it. Looks at the folder of a Unix
 * socket: where others may put one in its place, it is_open. 0, or a negative errno with a sentence
 * in error.
 */
int fr_push_address_parse(const char *value, struct fr_push_address *ret_address, char *error,
			  size_t error_size);

/*
 * Opens a listening socket, not blocking and close-on-exec. A Unix socket has the mode 0600, and
 * takes the place of one that nobody listens on any more. Returns the descriptor, or a negative
 * errno with a sentence in error.
 */
int fr_push_socket_listen(const struct fr_push_address *address, char *error, size_t error_size);

/* Is fd a socket that listens there? */
bool fr_push_socket_is_at(int fd, const struct fr_push_address *address);

/* Writes who is at the other end, for people: "192.0.2.7:51234", or "a process of user 1000". */
void fr_push_socket_peer(int fd, char *text, size_t size);

/*
 * The token: the first line of a file, if value is an absolute path or names a file, else value
 * itself. 0, or a negative errno with a sentence in error: too short, too long, a file that others
 * can read.
 */
int fr_push_token_read(const char *value, char ret_token[FR_PUSH_TOKEN_MAX], char *error,
		       size_t error_size);

/* Are the two the same? Takes as long whatever the first difference. */
bool fr_push_token_is(const char *token, const char *shown);

#endif
