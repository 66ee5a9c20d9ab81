/*
 * push_socket: sockets to listen on, and who can reach them. See push_socket.h.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, struct ucred */
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "watch/push_socket.h"

/* Who comes when it is full waits for a second, until the kernel of the other side tries again. */
#define FR_PUSH_BACKLOG 1024

static int refuse(int code, char *error, size_t error_size, const char *sentence)
{
	snprintf(error, error_size, "%s", sentence);
	return code;
}

/* ---- addresses ---- */

/* Can others put a socket of theirs in its place? A sticky folder, as /tmp, keeps what is ours. */
static bool is_folder_open(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	struct stat st;

	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (stat(folder, &st) < 0)
		return false; /* bind(2) will say so */
	return (st.st_uid != 0 && st.st_uid != geteuid()) ||
	       ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX));
}

static int parse_unix(const char *value, struct fr_push_address *address, char *error,
		      size_t error_size)
{
	if (strlen(value) >= sizeof(address->to.un.sun_path))
		return refuse(-ENAMETOOLONG, error, error_size,
			      "is too long for a Unix socket; name a path of less than 108 bytes");
	address->to.un.sun_family = AF_UNIX;
	strcpy(address->to.un.sun_path, value);
	address->len = sizeof(address->to.un);
	address->is_open = is_folder_open(value);
	return 0;
}

static bool is_loopback6(const struct in6_addr *host)
{
	return IN6_IS_ADDR_LOOPBACK(host) ||
	       (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] == 127);
}

static bool parse_host(const char *host, in_port_t port, struct fr_push_address *address)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&address->to.storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->to.storage;

	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = port;
		address->len = sizeof(*in4);
		address->is_open = ntohl(in4->sin_addr.s_addr) >> 24 != 127;
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = port;
	address->len = sizeof(*in6);
	address->is_open = !is_loopback6(&in6->sin6_addr);
	return true;
}

int fr_push_address_parse(const char *value, struct fr_push_address *ret_address, char *error,
			  size_t error_size)
{
	static const char wanted[] = "is no address; write HOST:PORT, as in 127.0.0.1:9001, or the "
				     "path of a Unix socket, with a \"/\" in it";
	const char *colon = strrchr(value, ':'), *host = value;
	char text[INET6_ADDRSTRLEN];
	size_t host_len;
	char *end;
	long port;

	memset(ret_address, 0, sizeof(*ret_address));
	if (strchr(value, '/'))
		return parse_unix(value, ret_address, error, error_size);
	if (!colon || colon[1] < '0' || colon[1] > '9')
		return refuse(-EINVAL, error, error_size, wanted);
	port = strtol(colon + 1, &end, 10);
	host_len = (size_t)(colon - value);
	if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
		host++;
		host_len -= 2;
	}
	if (*end || port < 1 || port > 65535 || host_len >= sizeof(text))
		return refuse(-EINVAL, error, error_size, wanted);
	snprintf(text, sizeof(text), "%.*s", (int)host_len, host);
	if (strcmp(text, "localhost") == 0)
		strcpy(text, "127.0.0.1");
	if (strcmp(text, "*") == 0)
		strcpy(text, "0.0.0.0");
	if (!parse_host(text, htons((uint16_t)port), ret_address))
		return refuse(-EINVAL, error, error_size, wanted);
	return 0;
}

/* ---- sockets ---- */

/* A Unix socket that nobody listens on is left over from a uWSGI that was killed. */
static void remove_stale(const struct fr_push_address *address)
{
	struct stat st;
	int fd;

	if (address->to.any.sa_family != AF_UNIX || lstat(address->to.un.sun_path, &st) < 0 ||
	    !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, &address->to.any, address->len) < 0 && errno == ECONNREFUSED)
		unlink(address->to.un.sun_path);
	if (fd >= 0)
		close(fd);
}

/* The file must never be there with another mode, not even for a moment. */
static int bind_privately(int fd, const struct fr_push_address *address)
{
	mode_t old = umask(0177);
	int error = bind(fd, &address->to.any, address->len) < 0 ? -errno : 0;

	umask(old);
	return error;
}

int fr_push_socket_listen(const struct fr_push_address *address, char *error, size_t error_size)
{
	int fd = socket(address->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, code;

	if (fd < 0) {
		code = -errno;
	} else {
		remove_stale(address);
		if (address->to.any.sa_family != AF_UNIX)
			(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (address->to.any.sa_family == AF_INET6)
			(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		code = bind_privately(fd, address);
		if (!code && listen(fd, FR_PUSH_BACKLOG) < 0)
			code = -errno;
	}
	if (!code)
		return fd;
	if (fd >= 0)
		close(fd);
	snprintf(error, error_size, "cannot be listened on: %s; choose an address that is %s",
		 strerror(-code), code == -EADDRINUSE ? "free" : "this host's");
	return code;
}

bool fr_push_socket_is_at(int fd, const struct fr_push_address *address)
{
	struct fr_push_address own = {.len = sizeof(own.to)};
	int is_listening = 0;
	socklen_t len = sizeof(is_listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) < 0 || !is_listening ||
	    getsockname(fd, &own.to.any, &own.len) < 0 ||
	    own.to.any.sa_family != address->to.any.sa_family)
		return false;
	if (own.to.any.sa_family == AF_UNIX)
		return strcmp(own.to.un.sun_path, address->to.un.sun_path) == 0;
	return own.len == address->len && memcmp(&own.to, &address->to, own.len) == 0;
}

void fr_push_socket_peer(int fd, char *text, size_t size)
{
	struct fr_push_address peer = {.len = sizeof(peer.to)};
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)&peer.to.storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&peer.to.storage;
	char host[INET6_ADDRSTRLEN] = "";
	struct ucred user;
	socklen_t len = sizeof(user);

	snprintf(text, size, "somebody");
	if (getpeername(fd, &peer.to.any, &peer.len) < 0)
		return;
	if (peer.to.any.sa_family == AF_INET &&
	    inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host)))
		snprintf(text, size, "%s:%u", host, ntohs(in4->sin_port));
	else if (peer.to.any.sa_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host)))
		snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &len) == 0)
		snprintf(text, size, "a process of user %ld", (long)user.uid);
}

/* ---- tokens ---- */

static int check_token(char *token, char *error, size_t error_size)
{
	token[strcspn(token, "\r\n")] = '\0';
	if (strlen(token) < FR_PUSH_TOKEN_MIN)
		return refuse(-EINVAL, error, error_size,
			      "is too short a token; make one of at least 16 characters, as with "
			      "\"openssl rand -hex 16\"");
	return 0;
}

int fr_push_token_read(const char *value, char ret_token[FR_PUSH_TOKEN_MAX], char *error,
		       size_t error_size)
{
	int fd = open(value, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), code = 0;
	struct stat st;
	ssize_t len;

	if (fd < 0 && (value[0] == '/' || errno == EACCES)) {
		code = -errno;
		snprintf(error, error_size,
			 "cannot be read: %s; name a file with the token in its "
			 "first line",
			 strerror(-code));
		return code;
	}
	if (fd < 0) {
		snprintf(ret_token, FR_PUSH_TOKEN_MAX, "%s", value);
		return strlen(value) < FR_PUSH_TOKEN_MAX
			       ? check_token(ret_token, error, error_size)
			       : refuse(-EINVAL, error, error_size, "is too long a token");
	}
	len = read(fd, ret_token, FR_PUSH_TOKEN_MAX - 1);
	if (len < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		code = refuse(-EINVAL, error, error_size,
			      "is no file with a token in its first line");
	else if (st.st_mode & 006)
		code = refuse(-EPERM, error, error_size,
			      "is a file that everybody can read; \"chmod o-rw\" it");
	close(fd);
	if (code)
		return code;
	ret_token[len] = '\0';
	return check_token(ret_token, error, error_size);
}

bool fr_push_token_is(const char *token, const char *shown)
{
	size_t token_len = strlen(token), shown_len = strlen(shown);
	volatile unsigned char differs = token_len != shown_len;

	for (size_t i = 0; i < shown_len; i++)
		differs |= (unsigned char)(shown[i] ^ token[i % token_len]);
	return !differs;
}
