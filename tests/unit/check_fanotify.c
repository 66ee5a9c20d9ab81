/*
 * fanotify beyond the scenarios: privileges, and what happens elsewhere on the file system.
 *
 * The folders are on a tmpfs of their own where it matters that nobody else writes there.
 */
#define _GNU_SOURCE /* unshare */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "watch/source.h"
#include "world.h"

static struct fr_world world;
static bool is_mounted;

static const char *in_root(const char *name)
{
	return fr_disk_at(world.root, name);
}

static const char *in_outside(const char *name)
{
	return fr_disk_at(world.outside, name);
}

static void teardown(void)
{
	if (is_mounted)
		umount2(world.top, MNT_DETACH);
	is_mounted = false;
	fr_world_clear(&world);
}

/* A world that is armed; false: it cannot be had, and that was said. */
static bool begin(void)
{
	if (!fr_world_has(&fr_fanotify_ops))
		return false;
	fr_world_init(&world, &fr_fanotify_ops);
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	return true;
}

/* The same on a tmpfs that nobody else sees. */
static bool begin_alone(void)
{
	if (!fr_world_has(&fr_fanotify_ops))
		return false;
	fr_world_init(&world, &fr_fanotify_ops);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", world.top, "tmpfs", 0, NULL) < 0) {
		fprintf(stderr, "skipped: a tmpfs: %s\n", strerror(errno));
		return false;
	}
	is_mounted = true;
	fr_disk_mkdir(world.root);
	fr_disk_mkdir(world.outside);
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	return true;
}

static bool is_waiting(void)
{
	struct pollfd waiting = {.fd = fr_watcher_fd(world.watcher), .events = POLLIN};

	return poll(&waiting, 1, 0) > 0;
}

/* ---- privileges ---- */

static int open_and_explain(void)
{
	struct fr_source *source;
	char text[512];
	int error = fr_fanotify_ops.open(&source);

	fr_fanotify_ops.explain(error, 1, text, sizeof(text));
	return error == -EPERM && strstr(text, "CAP_SYS_ADMIN") ? 0 : 1;
}

START_TEST(test_without_privileges_open_says_what_it_needs)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(99);
		_exit(open_and_explain());
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_file_system_without_handles_is_explained)
{
	char options[4 * PATH_MAX], text[512];
	const char *merged;
	int error;

	if (!begin_alone())
		return;
	merged = in_outside("merged");
	fr_disk_mkdir(merged);
	fr_disk_mkdir(in_outside("upper"));
	fr_disk_mkdir(in_outside("lower"));
	fr_disk_mkdir(in_outside("work"));
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		 in_outside("lower"), in_outside("upper"), in_outside("work"));
	if (mount("overlay", merged, "overlay", 0, options) < 0) {
		fprintf(stderr, "skipped: an overlay: %s\n", strerror(errno));
		return;
	}
	ck_assert_int_eq(fr_watcher_add_root(world.watcher, merged, &fr_fanotify_ops), 0);
	error = fr_watcher_arm(world.watcher);
	ck_assert_int_eq(umount(merged), 0);
	ck_assert_msg(error == -EOPNOTSUPP || error == -ENODEV || error == -EXDEV, "%s",
		      strerror(-error));
	fr_watcher_explain(world.watcher, &fr_fanotify_ops, error, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "use the backend inotify"));
}
END_TEST

/* ---- processes and memory ---- */

START_TEST(test_all_descriptors_are_told_and_close_at_exec)
{
	int fds[FR_WATCHER_MAX_FDS];
	size_t len;

	if (!begin())
		return;
	len = fr_watcher_fds(world.watcher, fds);
	ck_assert_uint_ge(len, 3);
	for (size_t i = 0; i < len; i++)
		ck_assert_int_ne(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, 0);
}
END_TEST

START_TEST(test_child_takes_no_event_and_frees_its_copy)
{
	int status;
	pid_t child;

	if (!begin())
		return;
	fr_disk_mkdir(in_root("a"));
	fr_world_look(&world);
	fr_disk_write(in_root("a/x.py"), "one");
	child = fork();
	if (child == 0) {
		(void)fr_watcher_step(world.watcher);
		fr_watcher_free(world.watcher);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_ADDED);
}
END_TEST

START_TEST(test_any_allocation_fails_and_a_rescan_makes_it_good)
{
	bool has_failed = fr_world_has(&fr_fanotify_ops);

	for (unsigned n = 1; has_failed; n++) {
		fr_world_init(&world, &fr_fanotify_ops);
		fr_disk_write(in_root("y.py"), "one");
		fr_allocator_fail_once(n);
		(void)fr_watcher_arm(world.watcher);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
		fr_watcher_rescan(world.watcher);
		fr_world_look(&world);
		fr_disk_write(in_root("y.py"), "two");
		fr_world_look(&world);
		ck_assert_int_eq(fr_world_change_of(&world, in_root("y.py")), FR_CHANGE_MODIFIED);
		fr_world_clear(&world);
	}
}
END_TEST

/* ---- what happens elsewhere ---- */

/* Writes there until nobody is woken by it any more; false: that takes too long. */
static bool write_until_ignored(const char *path)
{
	for (int i = 0; i < 200; i++) {
		fr_disk_write(path, "one");
		if (!is_waiting())
			return true;
		fr_world_settle(&world);
	}
	return false;
}

START_TEST(test_busy_folder_elsewhere_wakes_nobody_after_a_while)
{
	if (!begin_alone())
		return;
	ck_assert(write_until_ignored(in_outside("a.log")));
	for (int i = 0; i < 100; i++)
		fr_disk_write(in_outside("b.log"), "one");
	ck_assert(!is_waiting());
	ck_assert_uint_eq(world.notes, 0);
	fr_disk_write(in_root("x.py"), "one");
	ck_assert(is_waiting());
}
END_TEST

START_TEST(test_ignored_folder_is_heard_once_it_is_moved_into_the_tree)
{
	if (!begin_alone())
		return;
	fr_disk_mkdir(in_outside("busy/deeper"));
	fr_world_settle(&world);
	ck_assert(write_until_ignored(in_outside("busy/a.py")));
	ck_assert(write_until_ignored(in_outside("busy/deeper/b.py")));
	ck_assert_int_eq(rename(in_outside("busy"), in_root("busy")), 0);
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 2);
	fr_disk_write(in_root("busy/a.py"), "two");
	fr_disk_write(in_root("busy/deeper/b.py"), "two");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("busy/a.py")), FR_CHANGE_MODIFIED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("busy/deeper/b.py")),
			 FR_CHANGE_MODIFIED);
}
END_TEST

/* In a program of its own: under valgrind this one would be too slow. */
static pid_t write_everywhere(const char *folder)
{
	pid_t child = fork();

	if (child == 0) {
		if (chdir(folder) < 0)
			_exit(98);
		execl("/bin/sh", "sh", "-c",
		      "while :; do for folder in d*; do : >\"$folder/x\"; done; done",
		      (char *)NULL);
		_exit(99);
	}
	return child;
}

START_TEST(test_file_system_that_is_too_busy_is_given_up)
{
	time_t end = time(NULL) + 50;
	char name[32];
	pid_t child;

	if (!begin_alone())
		return;
	for (int i = 0; i < 9000; i++) { /* too many to be ignored one by one */
		snprintf(name, sizeof(name), "d%d", i);
		fr_disk_mkdir(in_outside(name));
	}
	fr_world_settle(&world);
	child = write_everywhere(world.outside);
	while (!world.failure && time(NULL) < end)
		(void)fr_watcher_step(world.watcher);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(world.failure, -EBUSY);
	world.failure = 0;
	fr_world_settle(&world);
	fr_disk_write(in_outside("d1/x"), "one");
	ck_assert(!is_waiting());
	ck_assert_int_eq(fr_watcher_move_root(world.watcher, world.root, &fr_inotify_ops), 0);
	fr_world_look(&world);
	fr_disk_write(in_root("x.py"), "one");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("x.py")), FR_CHANGE_ADDED);
	ck_assert_int_eq(world.failure, 0);
}
END_TEST

Suite *fr_check_fanotify_suite(void)
{
	Suite *suite = suite_create("fanotify");
	TCase *tcase = tcase_create("fanotify");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, test_without_privileges_open_says_what_it_needs);
	tcase_add_test(tcase, test_file_system_without_handles_is_explained);
	tcase_add_test(tcase, test_all_descriptors_are_told_and_close_at_exec);
	tcase_add_test(tcase, test_child_takes_no_event_and_frees_its_copy);
	tcase_add_test(tcase, test_any_allocation_fails_and_a_rescan_makes_it_good);
	tcase_add_test(tcase, test_busy_folder_elsewhere_wakes_nobody_after_a_while);
	tcase_add_test(tcase, test_ignored_folder_is_heard_once_it_is_moved_into_the_tree);
	tcase_add_test(tcase, test_file_system_that_is_too_busy_is_given_up);
	suite_add_tcase(suite, tcase);
	return suite;
}
