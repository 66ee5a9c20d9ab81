/*
 * watchman_socket: finds the socket of Watchman's daemon. See watchman_socket.h.
 */
#define _GNU_SOURCE /* pipe2, struct ucred, environ */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "watch/watchman_protocol.h"
#include "watch/watchman_socket.h"

#define FR_WATCHMAN_FIND_MS 5000

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Starts `watchman get-sockname` with its standard output at the descriptor. 0 or a negative errno.
 * The daemon closes what it inherits (Watchman's main.cpp, close_random_fds). */
static int spawn(int out, pid_t *ret_pid)
{
	char command[] = "watchman", plain[] = "--no-pretty", what[] = "get-sockname";
	char *arguments[] = {command, plain, what, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int error;

	sigemptyset(&none);
	sigfillset(&all);
	error = posix_spawn_file_actions_init(&actions);
	if (error)
		return -error;
	error = posix_spawnattr_init(&attributes);
	if (error) {
		posix_spawn_file_actions_destroy(&actions);
		return -error;
	}
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (!error)
		error = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!error)
		error = posix_spawnp(ret_pid, arguments[0], &actions, &attributes, arguments,
				     environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* Reads until it is a whole answer, until the end, or until the deadline. */
static int read_answer(int in, int64_t deadline_ms, struct fr_watchman_place *ret_place)
{
	struct pollfd waiting = {.fd = in, .events = POLLIN};
	char text[4096];
	size_t len = 0;
	int error = -EBADMSG;

	while (error && len < sizeof(text)) {
		int64_t left = deadline_ms - now_ms();
		ssize_t got;

		if (left <= 0 || poll(&waiting, 1, (int)left) == 0)
			return -ETIMEDOUT;
		got = read(in, text + len, sizeof(text) - len);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return error;
		len += (size_t)got;
		error = fr_watchman_read_sockname(text, len, ret_place->path,
						  sizeof(ret_place->path));
	}
	return error;
}

/* What it has to say it has said, or it is late. The daemon that it may have started is no child of
 * it by then. */
static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static int ask_command(struct fr_watchman_place *ret_place)
{
	int64_t deadline_ms = now_ms() + FR_WATCHMAN_FIND_MS;
	int ends[2], error;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	error = spawn(ends[1], &pid);
	close(ends[1]);
	if (!error) {
		error = read_answer(ends[0], deadline_ms, ret_place);
		end(pid);
	}
	close(ends[0]);
	return error;
}

int fr_watchman_find(struct fr_watchman_place *ret_place)
{
	struct fr_watchman_place place = {.path = ""};
	const char *named = getenv("WATCHMAN_SOCK");
	int error = 0;

	if (!named || !named[0]) {
		error = ask_command(&place);
	} else if (strlen(named) < sizeof(place.path)) {
		memcpy(place.path, named, strlen(named) + 1);
		place.is_named = true;
	} else {
		error = -ENAMETOOLONG;
	}
	if (!error)
		*ret_place = place;
	return error;
}

/* Its state folder may lie in /tmp, where anybody could have been first. */
static bool is_trusted(const struct fr_watchman_place *place, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (place->is_named)
		return true;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

int fr_watchman_connect(const struct fr_watchman_place *place)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int error = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, place->path, sizeof(address.sun_path));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		error = -errno; /* EAGAIN, too: the daemon does not accept */
	else if (!is_trusted(place, fd))
		error = -EPERM;
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}
