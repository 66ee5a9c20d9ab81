/*
 * Which data files somebody has opened since.
 */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "watch/opens.h"
#include "watch/tree.h"
#include "watch/uses.h"

static char *folder;
static struct fr_tree *tree;
static struct fr_node *root, *pages;
static struct fr_uses *uses;
static struct fr_opens *opens;

static bool is_watched(void *ctx, const char *path)
{
	return true;
}

static bool is_noise(void *ctx, const char *path)
{
	return false;
}

static const struct fr_uses_hooks hooks = {.is_watched = is_watched, .is_noise = is_noise};

static const char *at(const char *name)
{
	return fr_disk_at(folder, name);
}

/* What was written before is older than what comes, by the clock that files are stamped with at
 * least. */
static void await_tick(void)
{
	struct timespec begin, now;

	ck_assert_int_eq(clock_gettime(CLOCK_REALTIME, &begin), 0);
	do {
		ck_assert_int_eq(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
	} while (now.tv_sec < begin.tv_sec ||
		 (now.tv_sec == begin.tv_sec && now.tv_nsec <= begin.tv_nsec));
}

/* A tree of app.py, data.yaml, pages/a.html, pages/b.html. */
static void setup(void)
{
	folder = fr_disk_new();
	ck_assert_int_eq(fr_tree_new(&tree), 0);
	ck_assert_int_eq(fr_uses_new(&hooks, NULL, &uses), 0);
	root = fr_tree_add_root(tree, folder, FR_NODE_FOLDER);
	pages = fr_tree_add(tree, root, "pages", FR_NODE_FOLDER);
	fr_disk_mkdir(at("pages"));
	fr_disk_write(at("app.py"), "1");
	fr_disk_write(at("data.yaml"), "1");
	fr_disk_write(at("pages/a.html"), "1");
	fr_disk_write(at("pages/b.html"), "1");
	fr_tree_add(tree, root, "app.py", FR_NODE_FILE);
	fr_tree_add(tree, root, "data.yaml", FR_NODE_FILE);
	fr_tree_add(tree, pages, "a.html", FR_NODE_FILE);
	fr_tree_add(tree, pages, "b.html", FR_NODE_FILE);
	await_tick();
	opens = fr_opens_new(tree);
	ck_assert_ptr_nonnull(opens);
}

static void teardown(void)
{
	fr_opens_free(opens);
	fr_uses_free(uses);
	fr_tree_free(tree);
	fr_disk_free(folder);
}

static void open_file(const char *name)
{
	int fd = open(at(name), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

/* It was not read, and that is sure. */
static bool is_free(const char *name)
{
	fr_opens_note(opens, uses);
	return !fr_uses_has(uses, at(name)) && fr_opens_tells(opens, at(name));
}

START_TEST(test_a_file_that_was_opened_is_noted_and_no_other)
{
	open_file("pages/a.html");
	ck_assert(!is_free("pages/a.html"));
	ck_assert(fr_uses_has(uses, at("pages/a.html")));
	ck_assert(is_free("pages/b.html"));
	ck_assert(is_free("data.yaml"));
}
END_TEST

START_TEST(test_another_process_counts_too)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		(void)!open(at("data.yaml"), O_RDONLY | O_CLOEXEC);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(!is_free("data.yaml"));
}
END_TEST

START_TEST(test_a_path_that_leads_around_is_heard)
{
	ck_assert_int_eq(symlink("pages", at("link")), 0);
	open_file("link/../pages/a.html");
	open_file("link/b.html");
	ck_assert(!is_free("pages/a.html"));
	ck_assert(!is_free("pages/b.html"));
}
END_TEST

START_TEST(test_sources_and_what_does_not_count_are_not_noted)
{
	fr_disk_write(at("pages/new.html"), "1");
	open_file("app.py");
	open_file("pages/new.html");
	fr_opens_note(opens, uses);
	ck_assert_uint_eq(fr_uses_len(uses), 0);
	ck_assert(is_free("data.yaml"));
}
END_TEST

START_TEST(test_a_file_that_came_later_may_have_been_looked_for)
{
	fr_disk_write(at("pages/new.html"), "1");
	ck_assert(!is_free("pages/new.html"));
}
END_TEST

START_TEST(test_a_file_with_two_names_or_none_may_have_been_read)
{
	ck_assert_int_eq(link(at("pages/a.html"), at("other")), 0);
	ck_assert(!is_free("pages/a.html"));
	ck_assert_int_eq(unlink(at("other")), 0);
	ck_assert(is_free("pages/a.html"));
	ck_assert_int_eq(rename(at("pages/a.html"), at("other")), 0);
	ck_assert(!is_free("pages/a.html"));
	ck_assert_int_eq(symlink("../other", at("pages/a.html")), 0);
	ck_assert(!is_free("pages/a.html"));
}
END_TEST

START_TEST(test_what_is_opened_in_a_pause_is_not_heard)
{
	ck_assert_int_ge(fr_opens_fd(opens), 0);
	fr_opens_pause(opens);
	ck_assert_int_eq(fr_opens_fd(opens), -1);
	open_file("pages/a.html");
	fr_opens_resume(opens);
	open_file("pages/b.html");
	ck_assert(is_free("pages/a.html"));
	ck_assert(!is_free("pages/b.html"));
}
END_TEST

/* The one that was opened may have been the one before. */
START_TEST(test_a_file_that_has_changed_meanwhile_makes_all_unsure)
{
	open_file("pages/a.html");
	fr_disk_write(at("pages/a.html"), "2");
	ck_assert(!is_free("pages/a.html"));
	ck_assert(!is_free("pages/b.html"));
	fr_opens_pause(opens);
	fr_opens_resume(opens);
	ck_assert(!is_free("pages/b.html"));
}
END_TEST

START_TEST(test_a_folder_that_was_replaced_makes_all_unsure)
{
	ck_assert_int_eq(rename(at("pages"), at("old")), 0);
	fr_disk_mkdir(at("pages"));
	fr_disk_write(at("pages/a.html"), "1");
	open_file("pages/a.html");
	ck_assert(!is_free("pages/a.html"));
	ck_assert(!is_free("data.yaml"));
}
END_TEST

START_TEST(test_a_folder_that_is_missing_makes_all_unsure)
{
	fr_opens_pause(opens);
	ck_assert_int_eq(rename(at("pages"), at("old")), 0);
	fr_opens_resume(opens);
	ck_assert(!is_free("data.yaml"));
}
END_TEST

START_TEST(test_events_that_were_dropped_make_all_unsure)
{
	for (int i = 0; i < 9000; i++) { /* the kernel joins those that follow each other */
		open_file("pages/a.html");
		open_file("pages/b.html");
	}
	ck_assert(!is_free("data.yaml"));
}
END_TEST

START_TEST(test_in_too_many_folders_all_is_unsure)
{
	char name[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "folder%d", i);
		fr_tree_add(tree, fr_tree_add(tree, root, name, FR_NODE_FOLDER), "a.html",
			    FR_NODE_FILE);
	}
	fr_opens_free(opens);
	opens = fr_opens_new(tree);
	ck_assert(!is_free("data.yaml"));
	ck_assert_int_eq(fr_opens_fd(opens), -1);
}
END_TEST

START_TEST(test_without_memory_all_is_unsure)
{
	const char *path = at("data.yaml");
	bool has_failed = true;

	for (unsigned nth = 1; has_failed; nth++) {
		bool tells;

		fr_opens_free(opens);
		fr_allocator_fail_from(nth);
		opens = fr_opens_new(tree);
		tells = fr_opens_tells(opens, path);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_from(0);
		ck_assert_int_eq(tells, !has_failed);
	}
	ck_assert(is_free("data.yaml")); /* with enough of it */
}
END_TEST

START_TEST(test_none_is_unsure_of_all)
{
	fr_opens_note(NULL, uses);
	fr_opens_pause(NULL);
	fr_opens_resume(NULL);
	fr_opens_free(NULL);
	ck_assert(!fr_opens_tells(NULL, at("data.yaml")));
	ck_assert_int_eq(fr_opens_fd(NULL), -1);
}
END_TEST

Suite *fr_check_opens_suite(void)
{
	Suite *suite = suite_create("opens");
	TCase *tcase = tcase_create("opens");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_a_file_that_was_opened_is_noted_and_no_other);
	tcase_add_test(tcase, test_another_process_counts_too);
	tcase_add_test(tcase, test_a_path_that_leads_around_is_heard);
	tcase_add_test(tcase, test_sources_and_what_does_not_count_are_not_noted);
	tcase_add_test(tcase, test_a_file_that_came_later_may_have_been_looked_for);
	tcase_add_test(tcase, test_a_file_with_two_names_or_none_may_have_been_read);
	tcase_add_test(tcase, test_what_is_opened_in_a_pause_is_not_heard);
	tcase_add_test(tcase, test_a_file_that_has_changed_meanwhile_makes_all_unsure);
	tcase_add_test(tcase, test_a_folder_that_was_replaced_makes_all_unsure);
	tcase_add_test(tcase, test_a_folder_that_is_missing_makes_all_unsure);
	tcase_add_test(tcase, test_events_that_were_dropped_make_all_unsure);
	tcase_add_test(tcase, test_in_too_many_folders_all_is_unsure);
	tcase_add_test(tcase, test_without_memory_all_is_unsure);
	tcase_add_test(tcase, test_none_is_unsure_of_all);
	suite_add_tcase(suite, tcase);
	return suite;
}
