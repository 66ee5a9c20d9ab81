/*
 * visit: a page's connection on its way to the hub. See visit.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MSG_CMSG_CLOEXEC */
#endif
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "browser/visit.h"

/* Some hundred pages that come at once fit; the hub takes a few microseconds for each. */
#define FR_VISIT_BUFFER  (1024 * 1024)
#define FR_VISIT_WAIT_MS 50

int fr_visit_open(int ret_fds[2])
{
	const int size = FR_VISIT_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
		return -errno;
	(void)setsockopt(ret_fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

int fr_visit_send(int way_fd, const struct fr_visit *visit, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)visit, .iov_len = sizeof(*visit)};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = {{0}};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	struct pollfd room = {.fd = way_fd, .events = POLLOUT};

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	for (int tries = 0; tries < 2; tries++) {
		if (sendmsg(way_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			break;
		(void)poll(&room, 1, FR_VISIT_WAIT_MS);
	}
	return -errno;
}

static int take_descriptor(struct msghdr *message)
{
	int fd = -1;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
		    header->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	}
	return fd;
}

int fr_visit_receive(int way_fd, struct fr_visit *ret_visit)
{
	struct iovec iov = {.iov_base = ret_visit, .iov_len = sizeof(*ret_visit)};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t len = recvmsg(way_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (len < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (len == 0)
		return -EPIPE;
	fd = take_descriptor(&message);
	if (fd >= 0 && len == (ssize_t)sizeof(*ret_visit))
		return fd;
	if (fd >= 0)
		close(fd);
	return -EBADMSG;
}
