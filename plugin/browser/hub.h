/*
 * hub: the process that keeps the connections of open pages, so that no worker has to.
 *
 * Workers hand connections over to it (visit), the master tells it what happens (message), and it
 * tells the pages, each in what it speaks: Server-Sent Events, or LiveReload by WebSocket, for
 * which it may listen on a port as well. It knows no uWSGI, never reads more than it has room for,
 * and a page that does not read is dropped.
 */
#ifndef FR_HUB_H
#define FR_HUB_H

#include <sys/types.h>

#include "browser/message.h"
#include "browser/origin.h"

/* More pages are told to come again later. */
#define FR_HUB_MAX_PAGES 1024

/* Connections to LiveReload's port that have not said what they want; one more, and the one that
 * has been silent for longest goes. */
#define FR_HUB_MAX_ASKING 128
#define FR_HUB_ASKING_MS  10000

/* Of what a page has not read yet. */
#define FR_HUB_MAX_OUTPUT 16384

/* Often enough for what stands between us and a page and closes what is silent. */
#define FR_HUB_BEAT_MS 15000

struct fr_hub {
	int way_fd;      /* where fr_visit_receive receives */
	int listener_fd; /* LiveReload's port; -1: none */
	struct fr_origin_names names;
};

/* Starts the process. Returns its pid, with the descriptor at which it is told (close-on-exec,
 * non-blocking; its end is the end of the process) in *ret_fd, or a negative errno. */
pid_t fr_hub_start(const struct fr_hub *hub, int *ret_fd);

/* Tells it. 0, or a negative errno: -EAGAIN, it has not taken up what it was told before. */
int fr_hub_tell(int fd, const struct fr_news *news);

#endif
