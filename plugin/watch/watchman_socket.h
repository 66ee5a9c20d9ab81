/*
 * watchman_socket: finds the socket of Watchman's daemon, as its clients do, and connects to it.
 *
 * It knows nothing of what is said there.
 */
#ifndef FR_WATCHMAN_SOCKET_H
#define FR_WATCHMAN_SOCKET_H

#include <stdbool.h>
#include <sys/un.h>

struct fr_watchman_place {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	bool is_named; /* by WATCHMAN_SOCK: whoever set that trusts who listens there */
};

/*
 * Finds the socket: what WATCHMAN_SOCK says, or what `watchman get-sockname` prints, which starts
 * the daemon where none runs. For the start only: that command has five seconds. 0, or a negative
 * errno: -ENOENT: there is no such command; -ETIMEDOUT; -EBADMSG: it failed, or printed something
 * else; -ENAMETOOLONG; or what a system call said.
 */
int fr_watchman_find(struct fr_watchman_place *ret_place);

/*
 * Connects: a descriptor (non-blocking, close-on-exec), or a negative errno: -ENOENT,
 * -ECONNREFUSED: no daemon is there; -EPERM: it is another user's. Never blocks.
 */
int fr_watchman_connect(const struct fr_watchman_place *place);

#endif
