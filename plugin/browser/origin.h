/*
 * origin: may whoever asks listen? By the Host and Origin of a request.
 *
 * A page of another site can send a browser here, under a name of its own that points to 127.0.0.1
 * (DNS rebinding): then the Host is that name, or the Origin is that site's. Text in, verdict out.
 */
#ifndef FR_ORIGIN_H
#define FR_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

/* Names that the instance itself was told, beside those that can only mean this host. */
struct fr_origin_names {
	const char *const *names; /* lower case, without ports; borrowed */
	size_t len;
};

/*
 * Is host ("name", "name:port", "[::1]:port") an address, localhost or below it, or one of the
 * names? An address cannot be rebound. NULL: there is none, and it is not.
 */
bool fr_origin_is_host(const struct fr_origin_names *names, const char *host, size_t host_len);

/*
 * Is origin (as in the header; NULL: there is none, which is fine) that of the page which host was
 * asked for, or of one of the names? Whether http or https is left open: a proxy may end TLS.
 */
bool fr_origin_is_same(const struct fr_origin_names *names, const char *origin, size_t origin_len,
		       const char *host, size_t host_len);

/*
 * For a port of its own, which no page has as its origin: does origin lie on this host, or is it a
 * browser's extension?
 */
bool fr_origin_is_local(const struct fr_origin_names *names, const char *origin, size_t origin_len);

/* Is it a name that can stand in a Host? Sets *ret_reason (static) if not. */
bool fr_origin_is_name(const char *name, const char **ret_reason);

#endif
