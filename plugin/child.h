/*
 * child: how a process of the plugin's own begins: what is the master's is left behind, and it ends
 * with the master, however that ends.
 *
 * Plain C; knows nothing of what the process is for.
 */
#ifndef FR_CHILD_H
#define FR_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As fork(2), with all signals blocked in the child: none of the master's handlers may run there. A
 * pid, 0 in the child, or a negative errno. */
pid_t fr_child_fork(void);

/*
 * In the child: takes the name (of at most 15 bytes), the defaults of all signals but those to the
 * whole group, which are the master's to answer, and "/" for its folder; unblocks signals. It is
 * killed when the master ends.
 */
void fr_child_begin(const char *name);

/* In the child: keeps these descriptors, as 3, 4, … in the order given (fds is rewritten; -1
 * stays), and nothing else: no listening socket, no terminal, no log. At most FR_CHILD_MAX_FDS. */
void fr_child_keep(int *fds, size_t len);

#define FR_CHILD_MAX_FDS 8

/* Closes all descriptors from this one on, close_range(2). */
void fr_child_close_from(int first);

/*
 * In the master: has the process ended? Then `how` is a piece of a sentence (" by signal 9"), or ""
 * where uWSGI was quicker to reap it and there is no status. Never blocks.
 */
bool fr_child_has_ended(pid_t child, char *how, size_t how_size);

#endif
