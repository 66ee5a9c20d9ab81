/*
 * wake: what wakes the master: one epoll of our own in uWSGI's master queue, with everything behind
 * it.
 *
 * uWSGI's loop does not know our descriptors. epoll_wait(2) returns there for any of them, nothing
 * in uwsgi_master_manage_events matches, and the next turn of the loop calls master_cycle
 * (core/master.c, 2.0.21 to 2.0.30). A queue of our own makes that one descriptor, however many
 * processes are followed, and one system call a turn to know which is ready.
 *
 * Workers and mules are followed by pidfd_open(2): SIGCHLD has its default action in uWSGI's
 * master, which otherwise sleeps up to a second before it notices that a process has ended.
 */
#ifndef FR_WAKE_H
#define FR_WAKE_H

#include <stdbool.h>
#include <stdint.h>

/* What fr_wake_collect found. */
enum fr_wake_reason {
	FR_WAKE_WATCHER = 1 << 0, /* the watcher's descriptor is readable */
	FR_WAKE_TIMER = 1 << 1,   /* the time given to fr_wake_at has come */
	FR_WAKE_WORKER = 1 << 2,  /* a worker has called fr_wake_master */
	FR_WAKE_OUTPUT = 1 << 3,  /* a descriptor given to fr_wake_watch_output is readable */
	FR_WAKE_DEATH = 1 << 5,   /* a followed process has ended; uWSGI reaps it in this turn */
};

/* Opens the descriptors, before any worker is forked. 0 or a negative errno. */
int fr_wake_open(void);

/* Puts the descriptors into the master's queue, with the watcher's among them. In the master, once.
 * 0 or a negative errno. */
int fr_wake_join(int watcher_fd);

/* Which of them are ready? Drains the timer and the workers' signal; the watcher's descriptor is
 * for the caller to drain. Never blocks. */
unsigned fr_wake_collect(void);

/* Wakes the master when fd is readable: a candidate has printed something, or another host has sent
 * something. The caller drains it. */
void fr_wake_watch_output(int fd);
void fr_wake_unwatch_output(int fd);

/* Follows the workers and mules that there are now. Cheap when nothing changed. */
void fr_wake_follow(void);

/* Follows one more process, of those that there is only one of; 0: none. */
enum fr_wake_other {
	FR_WAKE_BASELINE,
	FR_WAKE_LOADER,
	FR_WAKE_AUDIT,
	FR_WAKE_COMMAND,
	FR_WAKE_HUB,
	FR_WAKE_OTHERS
};
void fr_wake_follow_other(enum fr_wake_other other, int pid);

/* Kills that process, pid, and never another one that has got its number since: it may be a
 * grandchild, which somebody else reaps. By its number where the kernel has no pidfd. */
void fr_wake_kill_other(enum fr_wake_other other, int pid);

/* False where the kernel has no pidfd (before 5.3): deaths wake nobody, and the caller looks often
 * while it waits for one. */
bool fr_wake_sees_deaths(void);

/* Wakes the master at a time of CLOCK_MONOTONIC in ms; -1: never; in the past: at once. */
void fr_wake_at(int64_t at_ms);

/* In a worker: wakes the master. */
void fr_wake_master(void);

/* In a forked child: closes all that is the master's. Async-signal-safe. */
void fr_wake_close_in_child(void);

#endif
