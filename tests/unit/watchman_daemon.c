/*
 * watchman_daemon: a real Watchman for tests. See watchman_daemon.h.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "watch/watchman_socket.h"
#include "watchman_daemon.h"
#include "world.h"

#define DEADLINE_MS 20000
#define QUIET_MS    400 /* where no file can be made that would be told of */

struct daemon {
	pid_t pid, owner;
	char *folder;
};

static struct daemon here, shared; /* the one in use, and the one that start_own() has put aside */

/* ---- the source, with an ear for our own files ---- */

static struct {
	fr_source_report *report;
	const char *awaited; /* the path of the file, or NULL */
	bool is_seen;
} ear;

static void listen_in(void *ctx, struct fr_node *folder, const char *name, enum fr_hint hint)
{
	if (hint == FR_HINT_LOOK && ear.awaited && strcmp(name, ear.awaited) == 0)
		ear.is_seen = true;
	else
		ear.report(ctx, folder, name, hint);
}

static int step_and_listen(struct fr_source *source, fr_source_report *report, void *ctx)
{
	ear.report = report;
	return fr_watchman_ops.step(source, listen_in, ctx);
}

const struct fr_source_ops *fr_watchman_daemon_ops(void)
{
	static struct fr_source_ops ops;

	ops = fr_watchman_ops;
	ops.step = step_and_listen;
	return &ops;
}

/* ---- the daemon ---- */

bool fr_watchman_daemon_is_there(void)
{
	static int is_there = -1;

	if (is_there < 0) {
		is_there = system("command -v watchman >/dev/null") == 0;
		if (!is_there)
			fprintf(stderr, "skipped: all tests with Watchman: there is no command "
					"\"watchman\"\n");
	}
	return is_there;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((noreturn)) static void become_daemon(void)
{
	char sock[256], state[256], pid[256], log[256];
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	snprintf(sock, sizeof(sock), "--sockname=%s/sock", here.folder);
	snprintf(state, sizeof(state), "--statefile=%s/state", here.folder);
	snprintf(pid, sizeof(pid), "--pidfile=%s/pid", here.folder);
	snprintf(log, sizeof(log), "--logfile=%s/log", here.folder);
	execlp("watchman", "watchman", "--foreground", "--no-save-state", sock, state, pid, log,
	       (char *)NULL);
	_exit(127);
}

static void end_all(void)
{
	if (here.owner != getpid())
		return;
	fr_watchman_daemon_stop();
	fr_disk_free(here.folder);
	here.folder = NULL;
}

void fr_watchman_daemon_start(void)
{
	struct fr_watchman_place place = {.is_named = true};
	int64_t deadline = now_ms() + DEADLINE_MS;
	int fd;

	if (!fr_watchman_daemon_is_there())
		return;
	if (!here.folder) {
		here.folder = fr_disk_new();
		chmod(here.folder, 0700);
		here.owner = getpid();
		atexit(end_all);
	}
	snprintf(place.path, sizeof(place.path), "%s/sock", here.folder);
	setenv("WATCHMAN_SOCK", place.path, 1);
	if (here.pid)
		return;
	here.pid = fork();
	if (here.pid == 0)
		become_daemon();
	while ((fd = fr_watchman_connect(&place)) < 0) {
		ck_assert_msg(now_ms() < deadline, "Watchman does not start: %s", strerror(-fd));
		poll(NULL, 0, 5);
	}
	close(fd);
}

void fr_watchman_daemon_stop(void)
{
	if (!here.pid)
		return;
	kill(here.pid, SIGKILL);
	waitpid(here.pid, NULL, 0);
	here.pid = 0;
}

void fr_watchman_daemon_start_own(void)
{
	shared = here;
	here = (struct daemon){0};
	fr_watchman_daemon_start();
}

void fr_watchman_daemon_end_own(void)
{
	end_all();
	here = shared;
	shared = (struct daemon){0};
}

void fr_watchman_daemon_say(const char *word, const char *argument)
{
	char sock[256];
	int status;
	pid_t child = fork();

	if (child == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		snprintf(sock, sizeof(sock), "--sockname=%s", getenv("WATCHMAN_SOCK"));
		execlp("watchman", "watchman", "--no-spawn", sock, word, argument, (char *)NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}

/* ---- waiting ---- */

/* Steps for as long as it takes, or until the deadline. Returns whether it was seen. */
static bool step_until_seen(struct fr_world *world, int64_t deadline)
{
	struct pollfd waiting = {.fd = fr_watcher_fd(world->watcher), .events = POLLIN};

	while (!ear.is_seen && now_ms() < deadline) {
		while (fr_watcher_step(world->watcher))
			continue;
		if (!ear.is_seen && poll(&waiting, 1, (int)(deadline - now_ms() + 1)) < 0 &&
		    errno != EINTR)
			break;
	}
	return ear.is_seen;
}

/*
 * A file that is made now is told of when everything before it has been. Made again and again,
 * because one that is made before the root is subscribed to is not told of at all.
 */
void fr_watchman_daemon_catch_up(struct fr_world *world)
{
	static unsigned number;
	int64_t deadline = now_ms() + DEADLINE_MS;
	char path[PATH_MAX + 64];
	int fd;

	ear.is_seen = false;
	ear.awaited = path;
	do {
		snprintf(path, sizeof(path), "%s/.catch-up-%u", world->root, number++);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0) { /* there is no root */
			(void)step_until_seen(world, now_ms() + QUIET_MS);
			break;
		}
		close(fd);
		ck_assert_msg(now_ms() < deadline, "Watchman does not tell of %s", path);
		(void)step_until_seen(world, now_ms() + 1000);
		unlink(path);
	} while (!ear.is_seen);
	ear.awaited = NULL;
}
