/*
 * visit: a page's connection on its way from a worker to the hub.
 *
 * A worker that has read the request hands the descriptor over, and forgets it. What the hub needs
 * to know of the request goes with it.
 */
#ifndef FR_VISIT_H
#define FR_VISIT_H

#include <stdbool.h>
#include <stdint.h>

#include "browser/websocket.h"

enum fr_visit_kind {
	FR_VISIT_EVENTS,     /* Server-Sent Events */
	FR_VISIT_LIVERELOAD, /* a WebSocket, in which LiveReload is spoken */
};

struct fr_visit {
	uint32_t kind;   /* enum fr_visit_kind */
	int64_t heard;   /* number of the last news that the page has; -1: not known */
	bool is_cgi;     /* the answer begins with "Status:", not with "HTTP/1.1" (SCGI) */
	bool is_fastcgi; /* the answer goes in records, of this request of the connection */
	uint16_t fastcgi_id;
	char key[FR_WEBSOCKET_KEY_LEN]; /* of the WebSocket */
};

/* The way: workers send at [0], the hub receives at [1]. It outlives a hub. 0 or a negative errno.
 */
int fr_visit_open(int ret_fds[2]);

/* Worker: hands fd over, which it still has to close. 0, or a negative errno: the way is full, as
 * when there is no hub. Waits a moment at most. */
int fr_visit_send(int way_fd, const struct fr_visit *visit, int fd);

/* Hub: takes the next one, close-on-exec. Its descriptor, or -EAGAIN, or another negative errno
 * where one was lost. */
int fr_visit_receive(int way_fd, struct fr_visit *ret_visit);

#endif
