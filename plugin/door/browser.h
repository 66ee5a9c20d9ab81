/*
 * browser: open pages follow what happens: it looks after the hub, the process that has their
 * connections, and tells it.
 *
 * Nothing of it waits: what the hub has no room for becomes one reload of all pages, later. Without
 * --fastreload-browser all of it does nothing.
 */
#ifndef FR_BROWSER_H
#define FR_BROWSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_changes;

/* Opens LiveReload's port, if there is to be one (init, once the handover is taken). Ends the
 * process with one line where that cannot be; after a reload it goes on without. */
void fr_browser_listen(void);

/* Ends the process with one line if others than this host can reach the instance, and nobody said
 * that this is fine (post_init: all sockets are bound). */
void fr_browser_check_sockets(void);

/* Opens what the workers need. Before the first one is forked. 0 or a negative errno. */
int fr_browser_open(void);

/* The master's loop begins: starts the hub. */
void fr_browser_join(void);

/* The first workers serve; has_app: what they should. */
void fr_browser_first_load(bool has_app);

/* What became of a reload. is_swap: as in struct fr_reload_times. */
void fr_browser_outcome(bool is_swap, bool has_app);

/* The new code does not load: a sentence, and what was printed, or "". */
void fr_browser_broken(const char *error, const char *output);

/* What was broken is no more, and there is nothing to load. */
void fr_browser_restored(void);

/* Of these files those change what pages show. */
void fr_browser_changes(const struct fr_changes *changes);

/* In every turn. Returns when it wants the next one, or -1. */
int64_t fr_browser_turn(int64_t now_ms);

/* The process that is to be followed; 0: none. */
int fr_browser_pid(void);

/* In a forked child: closes what is the master's and the hub's. Async-signal-safe. */
void fr_browser_close_in_child(void);

/* Just before an exec. The hub ends then, and pages come again by themselves. */
void fr_browser_leave(void);

#endif
