/*
 * listen: joins push, by which another host says what changed, to the watcher, the log and the
 * master's loop, as --fastreload-listen, --fastreload-map and --fastreload-token say.
 */
#ifndef FR_LISTEN_H
#define FR_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

/* Understands the options, before anything is watched (init). Ends the process with one line where
 * one is wrong; after a reload it goes on without. */
void fr_listen_prepare(void);

/* Takes over the connections of the image before and listens, once the watcher is there (init).
 * Ends the process where an address is not free, or goes on, as above. */
void fr_listen_open(void);

/* In the master, when its loop begins. */
void fr_listen_join(void);

/* Takes a bounded amount of what comes in. is_busy: the watcher is still listing. Returns when to
 * call again at the latest, or -1. */
int64_t fr_listen_step(int64_t now_ms, bool is_busy);

/* In a forked child: closes all. Async-signal-safe. */
void fr_listen_close_in_child(void);

/* Just before an exec: connections stay open for the next image. */
void fr_listen_leave(void);

#endif
