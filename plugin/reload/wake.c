/*
 * wake: what wakes the master. See wake.h.
 */
#include <uwsgi.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "reload/wake.h"

extern struct uwsgi_server uwsgi;

#define FR_WAKE_EVENTS_PER_TURN 32

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* the same on all architectures since it was added in 5.3 */
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424 /* likewise, in 5.1 */
#endif

/* A process that is followed: one for each worker and mule, and a few more. */
struct fr_followed {
	pid_t pid; /* 0: none */
	int pidfd; /* -1: none, or its end was seen */
};

static struct {
	int queue;
	int timer;
	int signal;
	bool has_no_pidfd;
	int64_t armed_for_ms; /* what the timer is set to; -1: nothing */
	struct fr_followed *followed;
	int followed_len;
} wake = {.queue = -1, .timer = -1, .signal = -1, .armed_for_ms = -1};

int fr_wake_open(void)
{
	wake.queue = epoll_create1(EPOLL_CLOEXEC);
	wake.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	wake.signal = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return wake.queue < 0 || wake.timer < 0 || wake.signal < 0 ? -errno : 0;
}

static int add(int fd, uint64_t token)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};

	return epoll_ctl(wake.queue, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int fr_wake_join(int watcher_fd)
{
	int error = add(watcher_fd, FR_WAKE_WATCHER);

	if (!error)
		error = add(wake.timer, FR_WAKE_TIMER);
	if (!error)
		error = add(wake.signal, FR_WAKE_WORKER);
	if (error)
		return error;
	return event_queue_add_fd_read(uwsgi.master_queue, wake.queue) < 0 ? -errno : 0;
}

/* The pidfd of a process that has ended stays readable for ever. Forked children may hold it, so
 * closing is not enough: epoll(7), Q6. */
static void drop_pidfd(struct fr_followed *followed)
{
	if (followed->pidfd < 0)
		return;
	(void)epoll_ctl(wake.queue, EPOLL_CTL_DEL, followed->pidfd, NULL);
	close(followed->pidfd);
	followed->pidfd = -1;
}

/* Tokens from here on are 16 + the place in wake.followed. */
#define FR_WAKE_FIRST_FOLLOWED 16

unsigned fr_wake_collect(void)
{
	struct epoll_event events[FR_WAKE_EVENTS_PER_TURN];
	int len = epoll_wait(wake.queue, events, FR_WAKE_EVENTS_PER_TURN, 0);
	unsigned reasons = 0;
	uint64_t count;

	for (int i = 0; i < len; i++) {
		uint64_t token = events[i].data.u64;

		if (token >= FR_WAKE_FIRST_FOLLOWED) {
			drop_pidfd(&wake.followed[token - FR_WAKE_FIRST_FOLLOWED]);
			token = FR_WAKE_DEATH;
		}
		reasons |= (unsigned)token;
	}
	if (reasons & FR_WAKE_TIMER && read(wake.timer, &count, sizeof(count)) > 0)
		wake.armed_for_ms = -1;
	if (reasons & FR_WAKE_WORKER && read(wake.signal, &count, sizeof(count)) < 0)
		reasons &= ~(unsigned)FR_WAKE_WORKER;
	return reasons;
}

void fr_wake_watch_output(int fd)
{
	(void)add(fd, FR_WAKE_OUTPUT); /* at worst it is read in the next turn that comes anyway */
}

void fr_wake_unwatch_output(int fd)
{
	(void)epoll_ctl(wake.queue, EPOLL_CTL_DEL, fd, NULL);
}

static void follow(int place, pid_t pid)
{
	struct fr_followed *followed = &wake.followed[place];

	if (followed->pid == pid || wake.has_no_pidfd)
		return;
	drop_pidfd(followed);
	followed->pid = pid;
	if (pid <= 0)
		return;
	followed->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* is close-on-exec always */
	if (followed->pidfd < 0)
		wake.has_no_pidfd = errno == ENOSYS || errno == EPERM;
	else if (add(followed->pidfd, FR_WAKE_FIRST_FOLLOWED + (uint64_t)place) < 0)
		drop_pidfd(followed);
}

static bool make_room(void)
{
	int len = uwsgi.numproc + uwsgi.mules_cnt + FR_WAKE_OTHERS;

	if (wake.followed)
		return true;
	wake.followed = calloc((size_t)len, sizeof(*wake.followed));
	if (!wake.followed)
		return false;
	for (int i = 0; i < len; i++)
		wake.followed[i].pidfd = -1;
	wake.followed_len = len;
	return true;
}

static int place_of(enum fr_wake_other other)
{
	return uwsgi.numproc + uwsgi.mules_cnt + (int)other;
}

void fr_wake_follow_other(enum fr_wake_other other, int pid)
{
	if (make_room())
		follow(place_of(other), pid);
}

void fr_wake_kill_other(enum fr_wake_other other, int pid)
{
	fr_wake_follow_other(other, pid);
	if (wake.has_no_pidfd || !wake.followed)
		(void)kill(pid, SIGKILL);
	else if (wake.followed[place_of(other)].pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, wake.followed[place_of(other)].pidfd, SIGKILL,
			      NULL, 0);
}

void fr_wake_follow(void)
{
	if (!make_room())
		return;
	for (int i = 0; i < uwsgi.numproc; i++)
		follow(i, uwsgi.workers[i + 1].pid);
	for (int i = 0; i < uwsgi.mules_cnt; i++)
		follow(uwsgi.numproc + i, uwsgi.mules[i].pid);
}

bool fr_wake_sees_deaths(void)
{
	return !wake.has_no_pidfd;
}

void fr_wake_at(int64_t at_ms)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};

	if (at_ms == wake.armed_for_ms)
		return;
	wake.armed_for_ms = at_ms;
	if (at_ms < 0)
		when = (struct itimerspec){0}; /* disarms it */
	else if (at_ms == 0)
		when.it_value.tv_nsec = 1; /* zero would disarm it */
	(void)timerfd_settime(wake.timer, TFD_TIMER_ABSTIME, &when, NULL);
}

void fr_wake_master(void)
{
	uint64_t one = 1;

	if (wake.signal >= 0 && write(wake.signal, &one, sizeof(one)) < 0)
		return; /* EAGAIN: it has been signalled 2^64 times, and is awake */
}

void fr_wake_close_in_child(void)
{
	if (wake.queue >= 0)
		close(wake.queue);
	if (wake.timer >= 0)
		close(wake.timer);
	for (int i = 0; i < wake.followed_len; i++) {
		if (wake.followed[i].pidfd >= 0)
			close(wake.followed[i].pidfd);
	}
	wake.queue = wake.timer = -1;
	wake.followed_len = 0;
}
