/*
 * request: the head of an HTTP request, on LiveReload's port.
 *
 * Only what is asked there: a target and a few fields. What comes is from anybody.
 */
#ifndef FR_HTTP_REQUEST_H
#define FR_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* A longer head is refused. */
#define FR_HTTP_MAX_HEAD 8192

/* A piece of the bytes that were given; text is NULL where there is none. */
struct fr_http_text {
	const char *text;
	size_t len;
};

struct fr_http_request {
	bool is_get;
	bool is_upgrade;          /* to a WebSocket, version 13 */
	struct fr_http_text path; /* without what follows a "?" */
	struct fr_http_text host, origin, key;
};

/* Returns the length of the head; 0: it is not whole yet; -EINVAL: it is none. A field that comes
 * twice is none of ours: two Hosts could mean two things. */
int fr_http_read(const char *bytes, size_t len, struct fr_http_request *ret_request);

#endif
