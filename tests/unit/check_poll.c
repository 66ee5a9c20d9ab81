/*
 * The polling source and its outposts: what the scenarios do not show, because it needs a process.
 */
#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "watch/source.h"
#include "watch/tree.h"
#include "world.h"

static struct fr_world world;

static void setup(void)
{
	fr_world_init(&world, &fr_poll_ops);
}

static void teardown(void)
{
	fr_world_clear(&world);
}

static const char *in_root(const char *name)
{
	return fr_disk_at(world.root, name);
}

/* The processes of that parent that are called so. */
static size_t outposts(pid_t *ret_pids, size_t max)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	size_t len = 0;

	ck_assert_ptr_nonnull(proc);
	while ((entry = readdir(proc))) {
		char path[300], name[32], state;
		int pid = atoi(entry->d_name), parent;
		FILE *file;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%*d (%31[^)]) %c %d", name, &state, &parent) == 3 &&
		    parent == getpid() && strcmp(name, "fastreload-poll") == 0 && state != 'Z' &&
		    len < max)
			ret_pids[len++] = pid;
		fclose(file);
	}
	closedir(proc);
	return len;
}

static void look_until(const char *path, enum fr_change_kind kind)
{
	for (int i = 0; i < 100 && fr_world_change_of(&world, path) != kind; i++)
		fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), kind);
}

/* A folder that is found to be one of those that are not entered was one for a moment. */
START_TEST(test_virtual_environment_is_no_folder_of_ours)
{
	fr_disk_mkdir(in_root("env/lib"));
	fr_disk_write(in_root("env/pyvenv.cfg"), "");
	fr_disk_write(in_root("env/lib/a.py"), "one");
	fr_disk_write(in_root("a.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_uint_eq(fr_watcher_folders(world.watcher), 1);
	ck_assert_uint_eq(fr_watcher_files(world.watcher), 1);
}
END_TEST

START_TEST(test_killed_outpost_is_replaced_and_what_it_missed_is_found)
{
	pid_t pids[4];

	fr_disk_write(in_root("a.py"), "one");
	fr_disk_write(in_root("gone.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_uint_eq(outposts(pids, 4), 1);
	ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
	fr_disk_write(in_root("a.py"), "two");
	fr_disk_write(in_root("new.py"), "one");
	fr_disk_remove(in_root("gone.py"));
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 3);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a.py")), FR_CHANGE_MODIFIED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("new.py")), FR_CHANGE_ADDED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("gone.py")), FR_CHANGE_REMOVED);
	ck_assert_ptr_nonnull(strstr(world.said, "was ended by signal 9"));
}
END_TEST

START_TEST(test_what_was_said_and_not_asked_for_is_found_again_after_a_kill)
{
	pid_t pids[4];

	fr_disk_write(in_root("a.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(in_root("a.py"), "two");
	fr_world_settle(&world); /* it is noted, and not verified */
	ck_assert_uint_eq(outposts(pids, 4), 1);
	ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
	look_until(in_root("a.py"), FR_CHANGE_MODIFIED);
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
}
END_TEST

/* As if the batch had been thrown away: a rescan says it once more. */
START_TEST(test_rescan_repeats_what_was_not_asked_for)
{
	size_t notes;

	fr_disk_write(in_root("a.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(in_root("a.py"), "two");
	fr_world_settle(&world);
	notes = world.notes;
	ck_assert_uint_gt(notes, 0);
	fr_watcher_rescan(world.watcher);
	fr_world_settle(&world);
	ck_assert_uint_gt(world.notes, notes);
}
END_TEST

START_TEST(test_outposts_end_with_the_watcher)
{
	pid_t pids[4];

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_uint_eq(outposts(pids, 4), 1);
	fr_watcher_free(world.watcher);
	world.watcher = NULL;
	for (int i = 0; i < 2000 && outposts(pids, 4) > 0; i++)
		(void)poll(NULL, 0, 5);
	ck_assert_uint_eq(outposts(pids, 4), 0);
}
END_TEST

START_TEST(test_outpost_holds_its_socket_and_nothing_else)
{
	char path[64];
	pid_t pids[4];
	struct dirent *entry;
	DIR *dir;
	int highest = 0;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_uint_eq(outposts(pids, 4), 1);
	fr_world_settle(&world);
	ck_assert_int_eq(kill(pids[0], SIGSTOP), 0); /* it may be listing a folder */
	snprintf(path, sizeof(path), "/proc/%d/fd", pids[0]);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		highest = atoi(entry->d_name) > highest ? atoi(entry->d_name) : highest;
	closedir(dir);
	ck_assert_int_eq(kill(pids[0], SIGCONT), 0);
	ck_assert_int_le(highest, 5);
}
END_TEST

START_TEST(test_more_folders_than_outposts_are_all_looked_at)
{
	char name[32];
	pid_t pids[40];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		fr_disk_mkdir(fr_disk_at(world.outside, name));
		ck_assert_int_eq(fr_watcher_add_root(world.watcher, fr_disk_at(world.outside, name),
						     world.ops),
				 0);
	}
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_uint_eq(outposts(pids, 40), 16);
	fr_disk_write(fr_disk_at(world.outside, "r0/a.py"), "one");
	fr_disk_write(fr_disk_at(world.outside, "r19/a.py"), "one");
	fr_disk_write(in_root("a.py"), "one");
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 3);
}
END_TEST

START_TEST(test_named_path_is_looked_at)
{
	fr_disk_mkdir(in_root("a"));
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_mkdir(in_root("a/b/c"));
	fr_disk_write(in_root("a/b/c/x.py"), "one");
	ck_assert(fr_watcher_look(world.watcher, in_root("a/b/c/x.py")));
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/b/c/x.py")), FR_CHANGE_ADDED);
	for (int i = 0; i < 2000; i++) /* more than it keeps, and more than the socket holds */
		ck_assert(fr_watcher_look(world.watcher, in_root("a")));
	fr_disk_write(in_root("a/b/c/x.py"), "two");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/b/c/x.py")), FR_CHANGE_MODIFIED);
}
END_TEST

/* A cached .pyc goes before the change is said: nobody else may touch that disk. */
START_TEST(test_stale_bytecode_is_dropped_by_the_outpost)
{
	struct stat st;

	fr_disk_mkdir(in_root("__pycache__"));
	fr_disk_write(in_root("a.py"), "one");
	fr_disk_write(in_root("__pycache__/a.cpython-311.pyc"), "of one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert(!fr_watcher_looks_itself(world.watcher, in_root("a.py")));
	fr_disk_write(in_root("a.py"), "two");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a.py")), FR_CHANGE_MODIFIED);
	ck_assert_int_eq(stat(in_root("__pycache__/a.cpython-311.pyc"), &st), -1);
}
END_TEST

START_TEST(test_folder_moves_to_polling_and_back)
{
	fr_disk_mkdir(in_root("a"));
	fr_disk_write(in_root("a/x.py"), "one");
	fr_world_clear(&world);
	fr_world_init(&world, &fr_inotify_ops);
	fr_disk_mkdir(in_root("a"));
	fr_disk_write(in_root("a/x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_int_eq(fr_watcher_move_root(world.watcher, world.root, &fr_poll_ops), 0);
	fr_disk_write(in_root("a/x.py"), "two");
	for (int i = 0; i < 2000 && fr_world_change_of(&world, in_root("a/x.py")) == 0; i++) {
		fr_world_look(&world);
		(void)poll(NULL, 0, 5);
	}
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);
	fr_disk_write(in_root("a/y.py"), "one"); /* perhaps before the outpost sees it */
	ck_assert_int_eq(fr_watcher_move_root(world.watcher, world.root, &fr_inotify_ops), 0);
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/y.py")), FR_CHANGE_ADDED);
	fr_disk_write(in_root("a/x.py"), "three");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);
}
END_TEST

Suite *fr_check_poll_suite(void)
{
	Suite *suite = suite_create("poll");
	TCase *tcase = tcase_create("poll");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_virtual_environment_is_no_folder_of_ours);
	tcase_add_test(tcase, test_killed_outpost_is_replaced_and_what_it_missed_is_found);
	tcase_add_test(tcase, test_what_was_said_and_not_asked_for_is_found_again_after_a_kill);
	tcase_add_test(tcase, test_rescan_repeats_what_was_not_asked_for);
	tcase_add_test(tcase, test_outposts_end_with_the_watcher);
	if (!getenv("CK_FORK")) /* valgrind has descriptors of its own */
		tcase_add_test(tcase, test_outpost_holds_its_socket_and_nothing_else);
	tcase_add_test(tcase, test_more_folders_than_outposts_are_all_looked_at);
	tcase_add_test(tcase, test_named_path_is_looked_at);
	tcase_add_test(tcase, test_stale_bytecode_is_dropped_by_the_outpost);
	tcase_add_test(tcase, test_folder_moves_to_polling_and_back);
	suite_add_tcase(suite, tcase);
	return suite;
}
