/*
 * Contents as the application found them: read by a child, kept across an exec.
 */
#define _GNU_SOURCE /* memfd_create */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "watch/baseline.h"
#include "watch/content.h"
#include "watch/tree.h"
#include "world.h"

static struct fr_world world;

static void setup(void)
{
	fr_world_init(&world, &fr_inotify_ops);
	fr_disk_write(fr_disk_at(world.root, "a.py"), "one");
	fr_disk_mkdir(fr_disk_at(world.root, "pkg"));
	fr_disk_write(fr_disk_at(world.root, "pkg/b.py"), "one");
}

static void teardown(void)
{
	fr_world_clear(&world);
}

static struct fr_tree *tree(void)
{
	return fr_watcher_tree(world.watcher);
}

static struct fr_node *node(const char *name)
{
	return fr_tree_file(tree(), fr_disk_at(world.root, name));
}

/* Hashes are not kept of files that are too fresh to be sure of. */
static void wait_until_old(const char *name)
{
	struct fr_stamp stamp;

	do {
		usleep(2000);
		ck_assert_int_eq(
			fr_content_stamp(AT_FDCWD, fr_disk_at(world.root, name), false, &stamp), 0);
	} while (stamp.is_fresh);
}

static void wait_for(struct fr_baseline *baseline)
{
	int status;

	ck_assert_int_eq(waitpid(fr_baseline_pid(baseline), &status, 0), fr_baseline_pid(baseline));
	ck_assert_int_eq(status, 0);
}

START_TEST(test_child_reads_all_and_is_not_needed_twice)
{
	struct fr_baseline *baseline;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert(!node("a.py")->stamp.has_hash);
	ck_assert_int_eq(fr_baseline_start(tree(), NULL, &baseline), 0);
	wait_for(baseline);
	ck_assert(!fr_baseline_child_ended(baseline, tree()));
	ck_assert_int_eq(fr_baseline_pid(baseline), 0);
	fr_baseline_free(baseline);
	ck_assert(node("a.py")->stamp.has_hash && node("pkg/b.py")->stamp.has_hash);
	ck_assert_uint_eq(node("a.py")->hash_number, 0);
	ck_assert_int_eq(fr_tree_pack(tree(), fr_tree_roots(tree())), 0);
	ck_assert_int_eq(fr_baseline_start(tree(), NULL, &baseline), 0);
	ck_assert_ptr_null(baseline);
	fr_baseline_free(NULL);
	ck_assert(node("a.py")->stamp.has_hash && node("pkg/b.py")->stamp.has_hash);
}
END_TEST

static bool is_b(const char *name)
{
	return strcmp(name, "b.py") == 0;
}

START_TEST(test_child_reads_what_comes_first_and_the_next_one_the_rest)
{
	struct fr_baseline *baseline;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_int_eq(fr_baseline_start(tree(), is_b, &baseline), 0);
	wait_for(baseline);
	ck_assert(fr_baseline_child_ended(baseline, tree()));
	ck_assert_int_eq(fr_baseline_pid(baseline), 0);
	ck_assert(!node("a.py")->stamp.has_hash && node("pkg/b.py")->stamp.has_hash);
	ck_assert_int_eq(fr_baseline_read_rest(baseline, tree()), 0);
	wait_for(baseline);
	ck_assert(!fr_baseline_child_ended(baseline, tree()));
	fr_baseline_free(baseline);
	ck_assert(node("a.py")->stamp.has_hash);
}
END_TEST

START_TEST(test_empty_tree_needs_no_child)
{
	struct fr_baseline *baseline = (struct fr_baseline *)&world;

	ck_assert_int_eq(fr_disk_remove(fr_disk_at(world.root, "a.py")), 0);
	ck_assert_int_eq(fr_disk_remove(fr_disk_at(world.root, "pkg")), 0);
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_int_eq(fr_baseline_start(tree(), NULL, &baseline), 0);
	ck_assert_ptr_null(baseline);
}
END_TEST

START_TEST(test_file_changed_between_stamp_and_read_is_not_believed)
{
	struct fr_baseline *baseline;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	fr_disk_write(fr_disk_at(world.root, "a.py"), "two and longer");
	ck_assert_int_eq(fr_disk_remove(fr_disk_at(world.root, "pkg/b.py")), 0);
	ck_assert_int_eq(fr_baseline_start(tree(), NULL, &baseline), 0);
	wait_for(baseline);
	ck_assert(!fr_baseline_child_ended(baseline, tree()));
	fr_baseline_free(baseline);
	ck_assert(!node("a.py")->stamp.has_hash);
	ck_assert(!node("pkg/b.py")->stamp.has_hash);
}
END_TEST

/* The child has found the old content: a save of the same, while it still reads others, is no
 * change. */
START_TEST(test_verify_asks_the_child_that_is_not_finished)
{
	struct fr_baseline *baseline;
	const char *path = fr_disk_at(world.root, "a.py");

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_int_eq(fr_baseline_start(tree(), NULL, &baseline), 0);
	wait_for(baseline);
	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_watcher_verify(world.watcher, path, true, true), FR_CHANGE_NONE);
	fr_disk_write(path, "two");
	ck_assert_int_eq(fr_watcher_verify(world.watcher, path, true, true), FR_CHANGE_MODIFIED);
	/* What was found out since is newer than what the child knows. */
	ck_assert(!fr_baseline_child_ended(baseline, tree()));
	fr_baseline_free(baseline);
	ck_assert_int_eq(fr_watcher_verify(world.watcher, path, true, true), FR_CHANGE_NONE);
}
END_TEST

START_TEST(test_child_does_not_mind_that_nobody_waits)
{
	struct fr_baseline *baseline;
	pid_t child;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_int_eq(fr_baseline_start(tree(), NULL, &baseline), 0);
	child = fr_baseline_pid(baseline);
	fr_baseline_free(baseline);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(node("a.py")->stamp.has_hash);
}
END_TEST

/* Nobody waits for what never comes. */
START_TEST(test_child_that_is_killed_leaves_the_rest_unknown)
{
	struct fr_baseline *baseline;
	struct fr_node *folder = fr_tree_roots(tree());

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_int_eq(fr_tree_unpack(tree(), folder), 0);
	fr_disk_write(fr_disk_at(world.root, "a.py"), "not what was listed");
	ck_assert_int_eq(fr_baseline_start(tree(), NULL, &baseline), 0);
	ck_assert_int_eq(fr_tree_pack(tree(), folder), -EBUSY);
	(void)kill(fr_baseline_pid(baseline), SIGKILL);
	ck_assert_int_gt(waitpid(fr_baseline_pid(baseline), NULL, 0), 0);
	ck_assert(!fr_baseline_child_ended(baseline, tree()));
	fr_baseline_free(baseline);
	ck_assert_int_eq(fr_tree_pack(tree(), folder), 0);
	ck_assert(!node("a.py")->stamp.has_hash);
}
END_TEST

/* What has happened to a file since the first child is newer than what the second one finds out. */
START_TEST(test_second_child_finds_files_as_they_are_by_then)
{
	struct fr_node *folder = fr_tree_roots(tree());
	struct fr_baseline *baseline;
	uint64_t hash;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_int_eq(fr_baseline_start(tree(), is_b, &baseline), 0);
	wait_for(baseline);
	ck_assert(fr_baseline_child_ended(baseline, tree()));
	fr_disk_write(fr_disk_at(world.root, "a.py"), "two");
	ck_assert_int_eq(
		fr_watcher_verify(world.watcher, fr_disk_at(world.root, "a.py"), true, true),
		FR_CHANGE_MODIFIED);
	hash = node("a.py")->stamp.hash;
	ck_assert_int_eq(fr_baseline_read_rest(baseline, tree()), 0);
	wait_for(baseline);
	ck_assert(!fr_baseline_child_ended(baseline, tree()));
	fr_baseline_free(baseline);
	ck_assert_int_eq(fr_tree_pack(tree(), folder), 0);
	ck_assert_uint_eq(node("a.py")->stamp.hash, hash);
	ck_assert(node("pkg/b.py")->stamp.has_hash);
	ck_assert_uint_ne(node("pkg/b.py")->stamp.hash, hash);
}
END_TEST

/* Saves what is known, forgets it, loads it. */
static size_t save_and_load(int fd)
{
	ck_assert_int_eq(fr_baseline_save(tree(), fd), 0);
	node("a.py")->stamp.has_hash = false;
	node("pkg/b.py")->stamp.has_hash = false;
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	return fr_baseline_load(tree(), fd);
}

START_TEST(test_what_is_saved_is_loaded)
{
	int fd = memfd_create("baseline", MFD_CLOEXEC);
	uint64_t hash;

	wait_until_old("pkg/b.py");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	hash = node("a.py")->stamp.hash;
	ck_assert_uint_eq(save_and_load(fd), 2);
	ck_assert(node("a.py")->stamp.has_hash);
	ck_assert_uint_eq(node("a.py")->stamp.hash, hash);
	close(fd);
}
END_TEST

START_TEST(test_saved_form_begins_where_the_descriptor_stands)
{
	int fd = memfd_create("baseline", MFD_CLOEXEC);

	wait_until_old("pkg/b.py");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_int_eq(write(fd, "head", 4), 4);
	ck_assert_int_eq(fr_baseline_save(tree(), fd), 0);
	node("a.py")->stamp.has_hash = false;
	ck_assert_int_eq(lseek(fd, 4, SEEK_SET), 4);
	ck_assert_uint_eq(fr_baseline_load(tree(), fd), 1);
	close(fd);
}
END_TEST

START_TEST(test_file_that_looks_different_is_not_recognised)
{
	int fd = memfd_create("baseline", MFD_CLOEXEC);

	wait_until_old("pkg/b.py");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_int_eq(fr_baseline_save(tree(), fd), 0);
	node("a.py")->stamp.has_hash = false;
	node("a.py")->stamp.ctime_ns++;
	node("pkg/b.py")->stamp.has_hash = false;
	node("pkg/b.py")->stamp.ino++;
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_uint_eq(fr_baseline_load(tree(), fd), 0);
	close(fd);
}
END_TEST

START_TEST(test_fresh_file_is_not_saved)
{
	int fd = memfd_create("baseline", MFD_CLOEXEC);

	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	node("a.py")->stamp.is_fresh = true;
	node("pkg/b.py")->stamp.is_fresh = true;
	ck_assert_uint_eq(save_and_load(fd), 0);
	close(fd);
}
END_TEST

/* Cuts the saved form at each length and breaks each of its bytes. */
START_TEST(test_malformed_form_is_never_trusted_further_than_it_is_whole)
{
	int fd = memfd_create("baseline", MFD_CLOEXEC);
	char saved[4096];
	ssize_t len;

	wait_until_old("pkg/b.py");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_uint_eq(save_and_load(fd), 2);
	len = pread(fd, saved, sizeof(saved), 0);
	ck_assert_int_gt(len, 100);
	for (ssize_t cut = 0; cut < len; cut++) {
		node("a.py")->stamp.has_hash = node("pkg/b.py")->stamp.has_hash = false;
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		ck_assert_int_eq(pwrite(fd, saved, (size_t)cut, 0), cut);
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
		ck_assert_uint_le(fr_baseline_load(tree(), fd), 1);
	}
	for (ssize_t at = 0; at < len; at++) {
		node("a.py")->stamp.has_hash = node("pkg/b.py")->stamp.has_hash = false;
		saved[at] ^= 0x55;
		ck_assert_int_eq(pwrite(fd, saved, (size_t)len, 0), len);
		saved[at] ^= 0x55;
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
		ck_assert_uint_le(fr_baseline_load(tree(), fd), 2);
	}
	close(fd);
}
END_TEST

START_TEST(test_descriptor_that_is_none_is_an_error)
{
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_int_eq(fr_baseline_save(tree(), -1), -EBADF);
	ck_assert_uint_eq(fr_baseline_load(tree(), -1), 0);
}
END_TEST

START_TEST(test_full_disk_is_an_error)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	wait_until_old("pkg/b.py");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_int_eq(fr_baseline_save(tree(), fd), -EIO);
	close(fd);
}
END_TEST

/* Bug: a descriptor that could not be made a stream stayed open for ever. */
START_TEST(test_descriptor_of_the_wrong_kind_leaks_none)
{
	int read_only = open("/dev/null", O_RDONLY | O_CLOEXEC), next;

	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_lt(fr_baseline_save(tree(), read_only), 0);
	next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(next, read_only + 1);
	close(next);
	close(read_only);
}
END_TEST

Suite *fr_check_baseline_suite(void)
{
	Suite *suite = suite_create("baseline");
	TCase *tcase = tcase_create("baseline");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_child_reads_all_and_is_not_needed_twice);
	tcase_add_test(tcase, test_child_reads_what_comes_first_and_the_next_one_the_rest);
	tcase_add_test(tcase, test_empty_tree_needs_no_child);
	tcase_add_test(tcase, test_file_changed_between_stamp_and_read_is_not_believed);
	tcase_add_test(tcase, test_verify_asks_the_child_that_is_not_finished);
	tcase_add_test(tcase, test_child_does_not_mind_that_nobody_waits);
	tcase_add_test(tcase, test_child_that_is_killed_leaves_the_rest_unknown);
	tcase_add_test(tcase, test_second_child_finds_files_as_they_are_by_then);
	tcase_add_test(tcase, test_what_is_saved_is_loaded);
	tcase_add_test(tcase, test_saved_form_begins_where_the_descriptor_stands);
	tcase_add_test(tcase, test_file_that_looks_different_is_not_recognised);
	tcase_add_test(tcase, test_fresh_file_is_not_saved);
	tcase_add_test(tcase, test_malformed_form_is_never_trusted_further_than_it_is_whole);
	tcase_add_test(tcase, test_descriptor_that_is_none_is_an_error);
	tcase_add_test(tcase, test_full_disk_is_an_error);
	tcase_add_test(tcase, test_descriptor_of_the_wrong_kind_leaks_none);
	suite_add_tcase(suite, tcase);
	return suite;
}
