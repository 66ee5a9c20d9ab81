/*
 * control: what can be asked of the master from outside, as --fastreload-control, --fastreload-ctl
 * and --fastreload-rpc say: joins report/control to the cycle, and to uWSGI.
 */
#ifndef FR_DOOR_CONTROL_H
#define FR_DOOR_CONTROL_H

#include <stdint.h>

struct fr_json;

/* Takes over the socket of the image before, or opens it (init, once the handover is taken). Ends
 * the process with one line where that cannot be; after a reload it goes on without. */
void fr_control_open(void);

/* In the master, when its loop begins. */
void fr_control_join(void);

/* Answers what was asked, a bounded amount of it. Returns when to call again at the latest, or -1.
 */
int64_t fr_control_turn(int64_t now_ms);

/* Would a change of path (absolute) count? Adds the answer to an open object. NULL, or why there is
 * none; static. Also in a worker, where it may block for as long as the disk does. */
const char *fr_control_explain(const char *path, struct fr_json *json);

/* In a forked child: closes all. Async-signal-safe. */
void fr_control_close_in_child(void);

/* Just before an exec: the socket stays open for the next image. */
void fr_control_leave(void);

/* The instance ends. */
void fr_control_end(void);

/* For the option --fastreload-ctl SOCKET COMMAND: asks, prints the answer, and ends the process. */
void fr_control_ask(char *option, char *value, void *unused);

#endif
