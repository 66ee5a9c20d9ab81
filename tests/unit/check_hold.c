/*
 * Is somebody at work on the files? Lock files of git, Mercurial and the user, on a real disk.
 */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "watch/hold.h"

static char *top;
static struct fr_hold *hold;

static void setup(void)
{
	top = fr_disk_new();
	ck_assert_int_eq(fr_hold_new(&hold), 0);
}

static void teardown(void)
{
	fr_hold_free(hold);
	fr_disk_free(top);
}

static const char *at(const char *name)
{
	return fr_disk_at(top, name);
}

static void expect(const char *path, int64_t quiet_ms, enum fr_hold_verdict wanted,
		   const char *wanted_file)
{
	const char *file = "?";

	ck_assert_int_eq(fr_hold_look(hold, path, quiet_ms, &file), wanted);
	if (wanted_file)
		ck_assert_str_eq(file, wanted_file);
	else
		ck_assert_ptr_null(file);
}

START_TEST(test_no_working_copy_holds_nothing)
{
	fr_disk_write(at("x.py"), "");
	expect(at("x.py"), 0, FR_HOLD_GO, NULL);
	expect(at("gone/for/good/x.py"), 0, FR_HOLD_GO, NULL);
	expect(NULL, 0, FR_HOLD_GO, NULL);
	expect("", 0, FR_HOLD_GO, NULL);
}
END_TEST

START_TEST(test_index_lock_of_the_innermost_repository_holds)
{
	fr_disk_mkdir(at(".git"));
	fr_disk_mkdir(at("sub/.git"));
	fr_disk_mkdir(at("sub/deep/er"));
	fr_disk_write(at(".git/index.lock"), "");
	expect(at("x.py"), 0, FR_HOLD_WAIT, at(".git/index.lock"));
	expect(at("sub/deep/er/x.py"), 0, FR_HOLD_GO, NULL);
	fr_disk_write(at("sub/.git/index.lock"), "");
	expect(at("sub/deep/er/x.py"), 0, FR_HOLD_WAIT, at("sub/.git/index.lock"));
	fr_disk_remove(at("sub/.git/index.lock"));
	expect(at("sub/deep/er/x.py"), 0, FR_HOLD_GO, NULL);
}
END_TEST

START_TEST(test_folder_that_is_elsewhere_is_followed)
{
	char text[PATH_MAX + 16];

	fr_disk_mkdir(at("tree"));
	fr_disk_mkdir(at("main/.git/worktrees/tree"));
	fr_disk_write(at("tree/.git"), "gitdir: ../main/.git/worktrees/tree\n");
	fr_disk_write(at("main/.git/worktrees/tree/index.lock"), "");
	expect(at("tree/x.py"), 0, FR_HOLD_WAIT, at("tree/../main/.git/worktrees/tree/index.lock"));
	snprintf(text, sizeof(text), "gitdir: %s\r\n", at("main/.git/worktrees/tree"));
	fr_disk_write(at("tree/.git"), text);
	expect(at("tree/x.py"), 0, FR_HOLD_WAIT, at("main/.git/worktrees/tree/index.lock"));
}
END_TEST

START_TEST(test_file_named_git_that_is_none_is_passed_by)
{
	static const char *const texts[] = {"", "gitdir: ", "gitdir:", "something else", "\n"};

	fr_disk_mkdir(at("a/b"));
	fr_disk_mkdir(at(".git"));
	fr_disk_write(at(".git/index.lock"), "");
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		fr_disk_write(at("a/.git"), texts[i]);
		expect(at("a/b/x.py"), 0, FR_HOLD_WAIT, at(".git/index.lock"));
	}
	fr_disk_remove(at("a/.git"));
	ck_assert_int_eq(mkfifo(at("a/.git"), 0600), 0); /* nobody may wait for its writer */
	expect(at("a/b/x.py"), 0, FR_HOLD_WAIT, at(".git/index.lock"));
}
END_TEST

START_TEST(test_stale_lock_is_said_once_and_a_new_one_holds_again)
{
	fr_disk_mkdir(at(".git"));
	fr_disk_write(at(".git/index.lock"), "");
	expect(at("x.py"), FR_HOLD_STALE_MS - 1, FR_HOLD_WAIT, at(".git/index.lock"));
	expect(at("x.py"), FR_HOLD_STALE_MS, FR_HOLD_STALE, at(".git/index.lock"));
	expect(at("x.py"), 0, FR_HOLD_GO, at(".git/index.lock"));
	fr_disk_write(at(".git/other"), "");
	ck_assert_int_eq(rename(at(".git/other"), at(".git/index.lock")), 0);
	expect(at("x.py"), 0, FR_HOLD_WAIT, at(".git/index.lock"));
}
END_TEST

START_TEST(test_unfinished_rebase_and_merge_ask_for_quiet)
{
	static const char *const marks[] = {"rebase-merge", "rebase-apply", "MERGE_HEAD",
					    "CHERRY_PICK_HEAD", "REVERT_HEAD"};
	char path[PATH_MAX];

	fr_disk_mkdir(at(".git"));
	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
		snprintf(path, sizeof(path), "%s/.git/%s", top, marks[i]);
		fr_disk_write(path, "");
		expect(at("x.py"), 0, FR_HOLD_SETTLE, path);
		fr_disk_write(at(".git/index.lock"), "");
		expect(at("x.py"), 0, FR_HOLD_WAIT, at(".git/index.lock"));
		fr_disk_remove(at(".git/index.lock"));
		fr_disk_remove(path);
	}
	expect(at("x.py"), 0, FR_HOLD_GO, NULL);
}
END_TEST

START_TEST(test_lock_of_mercurial_is_a_link_to_nowhere)
{
	fr_disk_mkdir(at(".hg"));
	ck_assert_int_eq(symlink("host:1234", at(".hg/wlock")), 0);
	expect(at("x.py"), 0, FR_HOLD_WAIT, at(".hg/wlock"));
}
END_TEST

START_TEST(test_file_of_the_user_holds_without_end)
{
	ck_assert_int_eq(fr_hold_add_file(hold, at("deploy.lock")), 0);
	ck_assert_int_eq(fr_hold_add_file(hold, at("other.lock")), 0);
	expect(at("x.py"), 0, FR_HOLD_GO, NULL);
	fr_disk_write(at("other.lock"), "");
	expect(at("x.py"), 1000 * FR_HOLD_STALE_MS, FR_HOLD_WAIT, at("other.lock"));
	expect(NULL, 0, FR_HOLD_WAIT, at("other.lock"));
	fr_disk_remove(at("other.lock"));
	expect(at("x.py"), 0, FR_HOLD_GO, NULL);
}
END_TEST

START_TEST(test_longest_paths_are_not_cut)
{
	char path[PATH_MAX];

	memset(path, 'n', sizeof(path));
	for (size_t i = 0; i < sizeof(path); i += 200)
		path[i] = '/';
	path[sizeof(path) - 1] = '\0';
	expect(path, 0, FR_HOLD_GO, NULL);
	path[sizeof(path) - 8] = '\0';
	expect(path, 0, FR_HOLD_GO, NULL);
}
END_TEST

START_TEST(test_out_of_memory_is_told)
{
	struct fr_hold *other;

	fr_allocator_fail_once(1);
	ck_assert_int_eq(fr_hold_new(&other), -12);
	for (unsigned n = 1; n <= 2; n++) {
		fr_allocator_fail_once(n);
		ck_assert_int_eq(fr_hold_add_file(hold, "/x"), -12);
	}
	fr_allocator_fail_once(0);
	ck_assert_int_eq(fr_hold_add_file(hold, at("x")), 0);
	fr_disk_write(at("x"), "");
	expect(NULL, 0, FR_HOLD_WAIT, at("x"));
	fr_hold_free(NULL);
}
END_TEST

Suite *fr_check_hold_suite(void)
{
	Suite *suite = suite_create("hold");
	TCase *tcase = tcase_create("hold");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_no_working_copy_holds_nothing);
	tcase_add_test(tcase, test_index_lock_of_the_innermost_repository_holds);
	tcase_add_test(tcase, test_folder_that_is_elsewhere_is_followed);
	tcase_add_test(tcase, test_file_named_git_that_is_none_is_passed_by);
	tcase_add_test(tcase, test_stale_lock_is_said_once_and_a_new_one_holds_again);
	tcase_add_test(tcase, test_unfinished_rebase_and_merge_ask_for_quiet);
	tcase_add_test(tcase, test_lock_of_mercurial_is_a_link_to_nowhere);
	tcase_add_test(tcase, test_file_of_the_user_holds_without_end);
	tcase_add_test(tcase, test_longest_paths_are_not_cut);
	tcase_add_test(tcase, test_out_of_memory_is_told);
	suite_add_tcase(suite, tcase);
	return suite;
}
