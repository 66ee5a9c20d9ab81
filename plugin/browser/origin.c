/*
 * origin: may whoever asks listen? See origin.h.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "browser/origin.h"

#define FR_ORIGIN_MAX_NAME 253 /* of DNS */

/* A piece of text that does not end with a NUL. */
struct piece {
	const char *text;
	size_t len;
};

static bool is(struct piece piece, const char *text)
{
	return piece.len == strlen(text) && strncasecmp(piece.text, text, piece.len) == 0;
}

static bool is_same(struct piece a, struct piece b)
{
	return a.len == b.len && strncasecmp(a.text, b.text, a.len) == 0;
}

static bool are_digits(struct piece piece)
{
	for (size_t i = 0; i < piece.len; i++) {
		if (piece.text[i] < '0' || piece.text[i] > '9')
			return false;
	}
	return true;
}

/* "name:port" into its parts; the port is empty where there is none. False: it is not of that
 * form. */
static bool split(struct piece host, struct piece *ret_name, struct piece *ret_port)
{
	const char *colon = memchr(host.text, ':', host.len);

	if (host.len > 0 && host.text[0] == '[') {
		const char *end = memchr(host.text, ']', host.len);

		if (!end)
			return false;
		colon = end + 1 < host.text + host.len ? end + 1 : NULL;
		if (colon && *colon != ':')
			return false;
	}
	*ret_name = host;
	*ret_port = (struct piece){"", 0};
	if (!colon)
		return host.len > 0;
	ret_name->len = (size_t)(colon - host.text);
	*ret_port = (struct piece){colon + 1, host.len - ret_name->len - 1};
	return ret_name->len > 0 && ret_port->len <= 5 && are_digits(*ret_port);
}

static bool is_address(struct piece name)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN + 1];
	bool is_bracketed = name.len > 2 && name.text[0] == '[';

	if (is_bracketed)
		name = (struct piece){name.text + 1, name.len - 2};
	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.text, name.len);
	text[name.len] = '\0';
	return inet_pton(is_bracketed ? AF_INET6 : AF_INET, text, &address) == 1;
}

static bool is_localhost(struct piece name)
{
	static const char end[] = ".localhost";
	size_t end_len = strlen(end);

	return is(name, "localhost") ||
	       (name.len > end_len &&
		strncasecmp(name.text + name.len - end_len, end, end_len) == 0);
}

static bool is_told(const struct fr_origin_names *names, struct piece name)
{
	for (size_t i = 0; i < names->len; i++) {
		if (is(name, names->names[i]))
			return true;
	}
	return false;
}

bool fr_origin_is_host(const struct fr_origin_names *names, const char *host, size_t host_len)
{
	struct piece name, port;

	return host && split((struct piece){host, host_len}, &name, &port) &&
	       (is_address(name) || is_localhost(name) || is_told(names, name));
}

/* Cuts "http://" or "https://" off. False: it is neither. */
static bool cut_scheme(struct piece *origin, const char **ret_port)
{
	static const char plain[] = "http://", secure[] = "https://";
	const char *scheme =
		origin->len > strlen(plain) && strncasecmp(origin->text, plain, strlen(plain)) == 0
			? plain
			: secure;

	if (origin->len <= strlen(scheme) || strncasecmp(origin->text, scheme, strlen(scheme)) != 0)
		return false;
	*ret_port = scheme == plain ? "80" : "443";
	origin->text += strlen(scheme);
	origin->len -= strlen(scheme);
	return true;
}

bool fr_origin_is_same(const struct fr_origin_names *names, const char *origin, size_t origin_len,
		       const char *host, size_t host_len)
{
	struct piece own = {host, host_len}, other = {origin, origin_len};
	struct piece own_name, own_port, name, port;
	const char *usual_port;

	if (!origin)
		return true;
	if (!host || !cut_scheme(&other, &usual_port) || !split(own, &own_name, &own_port) ||
	    !split(other, &name, &port))
		return false;
	if (is_told(names, name))
		return true;
	if (own_port.len == 0)
		own_port = (struct piece){usual_port, strlen(usual_port)};
	if (port.len == 0)
		port = (struct piece){usual_port, strlen(usual_port)};
	return is_same(own_name, name) && is_same(own_port, port);
}

bool fr_origin_is_local(const struct fr_origin_names *names, const char *origin, size_t origin_len)
{
	static const char *const extensions[] = {"chrome-extension://", "moz-extension://",
						 "safari-web-extension://"};
	struct piece other = {origin, origin_len}, name, port;
	const char *usual_port;

	if (!origin)
		return true;
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++) {
		if (origin_len > strlen(extensions[i]) &&
		    memcmp(origin, extensions[i], strlen(extensions[i])) == 0)
			return true;
	}
	if (!cut_scheme(&other, &usual_port) || !split(other, &name, &port))
		return false;
	if (is_localhost(name) || is_told(names, name) || is(name, "[::1]"))
		return true;
	return is_address(name) && name.len > 4 && strncmp(name.text, "127.", 4) == 0;
}

bool fr_origin_is_name(const char *name, const char **ret_reason)
{
	size_t len = strlen(name);

	*ret_reason = NULL;
	if (len == 0)
		*ret_reason = "is empty; name a host, as in mysite.test";
	else if (len > FR_ORIGIN_MAX_NAME)
		*ret_reason = "is too long for a host's name";
	else if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "0123456789-._") != len)
		*ret_reason = "is no host's name; write it without scheme and port, as in "
			      "mysite.test";
	return !*ret_reason;
}
