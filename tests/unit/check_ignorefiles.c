/*
 * check_ignorefiles: what is found on the disk and read, and what is better left alone.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator.h"
#include "decide/ignores.h"
#include "disk.h"
#include "watch/ignorefiles.h"

Suite *fr_check_ignorefiles_suite(void);

static char *top;
static struct fr_ignorefiles *files;
static unsigned complaints, complaint_line;
static char complaint[PATH_MAX + 256];

static void take_complaint(void *ctx, const char *file, unsigned line, const char *reason)
{
	complaints++;
	complaint_line = line;
	snprintf(complaint, sizeof(complaint), "%s: %s", file, reason);
}

static void setup(void)
{
	top = fr_disk_new();
	complaints = complaint_line = 0;
	ck_assert_int_eq(fr_ignorefiles_new(true, take_complaint, NULL, &files), 0);
}

static void teardown(void)
{
	fr_ignorefiles_free(files);
	fr_disk_free(top);
}

static const char *at(const char *name)
{
	return fr_disk_at(top, name);
}

static void put(const char *name, const char *text)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", at(name));
	*strrchr(folder, '/') = '\0';
	fr_disk_mkdir(folder);
	fr_disk_write(at(name), text);
}

/* Is the file ignored, with top/root as the watched folder? */
static bool is_ignored(const char *root, const char *name)
{
	char path[PATH_MAX];
	struct fr_ignore_line line;

	snprintf(path, sizeof(path), "%s/%s", at(root), name);
	return fr_ignores_judge(fr_ignorefiles_ignores(files), path, path + strlen(at(root)) + 1,
				false, false, &line);
}

static bool read_folder(const char *name)
{
	return fr_ignorefiles_read(files, at(name), false);
}

static unsigned visits;

static void count_visit(void *ctx, const char *folder)
{
	visits++;
}

static bool read_above(const char *root)
{
	visits = 0;
	return fr_ignorefiles_read_above(files, at(root), false, count_visit, NULL);
}

START_TEST(test_reading_tells_whether_something_is_new)
{
	put("r/x", "");
	ck_assert(!read_folder("r"));
	put("r/.gitignore", "a.py\n");
	ck_assert(read_folder("r"));
	ck_assert(!read_folder("r"));
	ck_assert(is_ignored("r", "a.py"));
	put("r/.gitignore", "b.py\n");
	ck_assert(read_folder("r"));
	ck_assert(!is_ignored("r", "a.py"));
	put("r/.reloadignore", "!b.py\n");
	ck_assert(read_folder("r"));
	ck_assert(!is_ignored("r", "b.py"));
	fr_disk_remove(at("r/.reloadignore"));
	ck_assert(read_folder("r"));
	ck_assert(is_ignored("r", "b.py"));
	fr_ignorefiles_forget(files, at("r"));
	ck_assert(!is_ignored("r", "b.py"));
}
END_TEST

START_TEST(test_git_files_can_be_turned_off)
{
	fr_ignorefiles_free(files);
	ck_assert_int_eq(fr_ignorefiles_new(false, NULL, NULL, &files), 0);
	put("r/.git/info/exclude", "a.py\n");
	put("r/.gitignore", "a.py\n");
	put("r/.reloadignore", "b.py\n");
	put("r/s/x", "");
	ck_assert(read_folder("r"));
	ck_assert(!read_above("r/s"));
	ck_assert(!is_ignored("r", "a.py"));
	ck_assert(is_ignored("r", "b.py"));
}
END_TEST

/* If one of these is waited for, the test runs out of time. */
START_TEST(test_what_is_no_regular_file_is_left_alone)
{
	put("r/x", "");
	ck_assert_int_eq(mkfifo(at("r/.gitignore"), 0666), 0);
	ck_assert_int_eq(symlink("/dev/zero", at("r/.reloadignore")), 0);
	ck_assert_int_eq(mkfifo(at("r/.git"), 0666), 0);
	ck_assert(!read_folder("r"));
	fr_disk_mkdir(at("s/.gitignore"));
	fr_disk_mkdir(at("s/.git/info/exclude"));
	ck_assert(read_folder("s")); /* a repository */
	ck_assert(!is_ignored("s", "a.py"));
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

START_TEST(test_links_are_read_but_not_for_a_gitignore)
{
	put("patterns", "a.py\n");
	put("r/x", "");
	ck_assert_int_eq(symlink("../patterns", at("r/.gitignore")), 0);
	ck_assert(!read_folder("r"));
	ck_assert_int_eq(symlink("../patterns", at("r/.reloadignore")), 0);
	ck_assert(read_folder("r"));
	ck_assert(is_ignored("r", "a.py"));
}
END_TEST

START_TEST(test_endless_file_is_read_to_its_limit_and_not_honoured)
{
	FILE *file;

	put("r/.gitignore", "*\n");
	file = fopen(at("r/.gitignore"), "ae");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ftruncate(fileno(file), 1L << 40), 0);
	fclose(file);
	ck_assert(read_folder("r"));
	ck_assert_uint_eq(complaints, 1);
	ck_assert_ptr_nonnull(strstr(complaint, "not honoured"));
	ck_assert(!is_ignored("r", "a.py"));
	ck_assert(!read_folder("r"));
	ck_assert_uint_eq(complaints, 1);
}
END_TEST

START_TEST(test_files_above_are_read_up_to_the_top_of_the_repository)
{
	put(".gitignore", "far.py\n");
	put("repo/.git/info/exclude", "excluded.py\n");
	put("repo/.gitignore", "top.py\n");
	put("repo/a/.gitignore", "middle.py\n/r/gen/\n");
	put("repo/a/.reloadignore", "not_mine.py\n");
	put("repo/a/r/x", "");
	ck_assert(read_above("repo/a/r"));
	ck_assert_uint_eq(visits, 2);
	ck_assert(!read_above("repo/a/r"));
	ck_assert(is_ignored("repo/a/r", "excluded.py"));
	ck_assert(is_ignored("repo/a/r", "x/top.py"));
	ck_assert(is_ignored("repo/a/r", "middle.py"));
	ck_assert(is_ignored("repo/a/r", "gen/a.py"));
	ck_assert(!is_ignored("repo/a/r", "far.py"));
	ck_assert(!is_ignored("repo/a/r", "not_mine.py"));
}
END_TEST

START_TEST(test_nothing_above_is_read_without_a_repository_or_for_its_top)
{
	put(".gitignore", "far.py\n");
	put("r/x", "");
	ck_assert(!read_above("r"));
	ck_assert_uint_eq(visits, 0);
	fr_disk_mkdir(at(".git"));
	fr_disk_mkdir(at("r/.git"));
	ck_assert(!read_above("r"));
}
END_TEST

START_TEST(test_repository_of_somebody_else_above_has_no_say)
{
	if (geteuid() != 0) {
		fprintf(stderr, "skipped: %s: needs root\n", __func__);
		return;
	}
	put("repo/.gitignore", "*\n");
	put("repo/r/x", "");
	fr_disk_mkdir(at("repo/.git"));
	ck_assert_int_eq(chown(at("repo/.git"), 12345, 12345), 0);
	ck_assert(!read_above("repo/r"));
	ck_assert(!is_ignored("repo/r", "a.py"));
	/* The owner of the watched folder is somebody we know. */
	ck_assert_int_eq(chown(at("repo/r"), 12345, 12345), 0);
	ck_assert(read_above("repo/r"));
	ck_assert(is_ignored("repo/r", "a.py"));
}
END_TEST

static void git(const char *arguments)
{
	char command[4 * PATH_MAX];
	int status;

	snprintf(command, sizeof(command),
		 "cd '%s' && HOME='%s' GIT_CONFIG_NOSYSTEM=1 git -c user.name=x -c user.email=x@y "
		 "%s "
		 ">/dev/null 2>&1",
		 top, top, arguments);
	status = system(command); /* NOLINT: a test of git's own layout */
	ck_assert_msg(status == 0, "%s: %d", command, status);
}

/* In both, .git is a file; a worktree shares info/exclude, a submodule has its own. */
START_TEST(test_worktrees_and_submodules_are_repositories)
{
	char path[PATH_MAX];

	git("init -q repo");
	git("-C repo commit -q --allow-empty -m x");
	git("-C repo worktree add -q ../tree");
	put("repo/.git/info/exclude", "shared.py\n");
	ck_assert(read_folder("tree"));
	ck_assert(is_ignored("tree", "shared.py"));
	ck_assert(fr_ignorefiles_info(files, at("tree"), path, sizeof(path)));
	ck_assert_ptr_nonnull(strstr(path, "/info"));

	git("init -q other");
	git("-C other commit -q --allow-empty -m x");
	git("-C repo -c protocol.file.allow=always submodule add -q ../other sub");
	put("repo/.git/modules/sub/info/exclude", "own.py\n");
	put("repo/.gitignore", "outer.py\n");
	ck_assert(read_folder("repo"));
	ck_assert(read_folder("repo/sub"));
	ck_assert(is_ignored("repo", "sub/own.py"));
	ck_assert(!is_ignored("repo", "sub/shared.py"));
	ck_assert(!is_ignored("repo", "sub/outer.py"));
	ck_assert(is_ignored("repo", "outer.py"));
}
END_TEST

START_TEST(test_file_that_is_named_like_a_repository_and_is_none)
{
	char path[PATH_MAX];

	put("r/.git", "");
	ck_assert(!read_folder("r"));
	put("r/.git", "gitdir: ");
	ck_assert(!read_folder("r"));
	put("r/.git", "something else\n");
	ck_assert(!read_folder("r"));
	ck_assert(!fr_ignorefiles_info(files, at("r"), path, sizeof(path)));
	put("r/.git", "gitdir: missing/folder\n");
	read_folder("r");
	ck_assert(!is_ignored("r", "a.py"));
}
END_TEST

START_TEST(test_file_of_an_option_is_refused_with_its_line)
{
	char error[1024], expected[1024];

	put("good", "a.py\n");
	put("bad", "a.py\n\n[a\n");
	ck_assert_int_eq(fr_ignorefiles_add(files, at("bad"), error, sizeof(error)), -EINVAL);
	snprintf(expected, sizeof(expected), "is refused: %s:3: a '[' without its ']'", at("bad"));
	ck_assert_int_eq(strncmp(error, expected, strlen(expected)), 0);
	ck_assert_int_eq(fr_ignorefiles_add(files, at("missing"), error, sizeof(error)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error, "cannot be read: No such file"));
	ck_assert_int_lt(fr_ignorefiles_add(files, top, error, sizeof(error)), 0);
	ck_assert_ptr_nonnull(strstr(error, "no regular file"));
	ck_assert(!is_ignored("r", "a.py"));
	ck_assert_int_eq(fr_ignorefiles_add(files, at("good"), error, sizeof(error)), 0);
	ck_assert(is_ignored("r", "a.py"));
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

START_TEST(test_bad_line_of_a_folders_file_is_named_once)
{
	put("r/.reloadignore", "a.py\n[b\n");
	ck_assert(read_folder("r"));
	ck_assert_uint_eq(complaints, 1);
	ck_assert_uint_eq(complaint_line, 2);
	ck_assert_ptr_nonnull(strstr(complaint, "/r/.reloadignore: "));
	ck_assert(is_ignored("r", "a.py"));
	ck_assert(!read_folder("r"));
	ck_assert_uint_eq(complaints, 1);
}
END_TEST

START_TEST(test_names_are_known)
{
	ck_assert(fr_ignorefiles_is_name(".gitignore"));
	ck_assert(fr_ignorefiles_is_name(".reloadignore"));
	ck_assert(fr_ignorefiles_is_name(".git"));
	ck_assert(!fr_ignorefiles_is_name("gitignore"));
	ck_assert(!fr_ignorefiles_is_name(".gitignore~"));
}
END_TEST

START_TEST(test_any_allocation_fails_and_the_next_reading_makes_it_good)
{
	unsigned nth = 0;
	bool has_failed;

	put("r/.git/info/exclude", "a.py\n");
	put("r/.gitignore", "b.py\n");
	put("r/.reloadignore", "c.py\n");
	do {
		struct fr_ignorefiles *made = NULL;
		char root[PATH_MAX];

		snprintf(root, sizeof(root), "%s", at("r"));
		fr_allocator_fail_once(++nth);
		if (fr_ignorefiles_new(true, NULL, NULL, &made) == 0)
			(void)fr_ignorefiles_read(made, root, false);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
		if (made) {
			fr_ignorefiles_free(files);
			files = made;
			(void)fr_ignorefiles_read(files, root, false);
			ck_assert(is_ignored("r", "a.py"));
			ck_assert(is_ignored("r", "b.py"));
			ck_assert(is_ignored("r", "c.py"));
		}
	} while (has_failed);
	ck_assert_uint_gt(nth, 10);
	fr_ignorefiles_free(NULL);
}
END_TEST

Suite *fr_check_ignorefiles_suite(void)
{
	Suite *suite = suite_create("ignorefiles");
	TCase *tcase = tcase_create("ignorefiles");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_reading_tells_whether_something_is_new);
	tcase_add_test(tcase, test_git_files_can_be_turned_off);
	tcase_add_test(tcase, test_what_is_no_regular_file_is_left_alone);
	tcase_add_test(tcase, test_links_are_read_but_not_for_a_gitignore);
	tcase_add_test(tcase, test_endless_file_is_read_to_its_limit_and_not_honoured);
	tcase_add_test(tcase, test_files_above_are_read_up_to_the_top_of_the_repository);
	tcase_add_test(tcase, test_nothing_above_is_read_without_a_repository_or_for_its_top);
	tcase_add_test(tcase, test_repository_of_somebody_else_above_has_no_say);
	tcase_add_test(tcase, test_worktrees_and_submodules_are_repositories);
	tcase_add_test(tcase, test_file_that_is_named_like_a_repository_and_is_none);
	tcase_add_test(tcase, test_file_of_an_option_is_refused_with_its_line);
	tcase_add_test(tcase, test_bad_line_of_a_folders_file_is_named_once);
	tcase_add_test(tcase, test_names_are_known);
	tcase_add_test(tcase, test_any_allocation_fails_and_the_next_reading_makes_it_good);
	suite_add_tcase(suite, tcase);
	return suite;
}
