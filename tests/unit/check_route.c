/*
 * route: which entries of which folders decide what a path leads to.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "emperor/route.h"

static char *folder;
static char visited[8192];

static void setup(void)
{
	folder = fr_disk_new();
	visited[0] = '\0';
}

static void teardown(void)
{
	fr_disk_free(folder);
}

/* Notes "folder|name " with the temporary folder left out. */
static void note(void *ctx, const char *where, const char *name, bool is_pattern)
{
	size_t len = strlen(visited), folder_len = strlen(folder);

	ck_assert_ptr_eq(ctx, &visited);
	if (strncmp(where, folder, folder_len) == 0)
		where += folder_len;
	snprintf(visited + len, sizeof(visited) - len, "%s%c%s ", where, is_pattern ? '~' : '|',
		 name);
}

static const char *walk(const char *path)
{
	visited[0] = '\0';
	ck_assert_int_eq(fr_route_walk(path, note, &visited), 0);
	return visited;
}

static const char *pattern(const char *text)
{
	visited[0] = '\0';
	ck_assert_int_eq(fr_route_pattern(text, note, &visited), 0);
	return visited;
}

static void make_link(const char *target, const char *path)
{
	ck_assert_int_eq(symlink(target, path), 0);
}

START_TEST(test_a_plain_path_is_its_last_entry)
{
	fr_disk_mkdir(fr_disk_at(folder, "a/b"));
	fr_disk_write(fr_disk_at(folder, "a/b/shop.ini"), "");
	ck_assert_str_eq(walk(fr_disk_at(folder, "a/b/shop.ini")), "/a/b|shop.ini ");
	ck_assert_str_eq(walk(fr_disk_at(folder, "a//./b/../b/shop.ini")), "/a/b|shop.ini ");
	ck_assert_str_eq(walk(fr_disk_at(folder, "a/b/")), "/a|b ");
}
END_TEST

START_TEST(test_each_link_on_the_way_counts)
{
	fr_disk_mkdir(fr_disk_at(folder, "enabled"));
	fr_disk_mkdir(fr_disk_at(folder, "srv/v1/conf"));
	fr_disk_write(fr_disk_at(folder, "srv/v1/conf/vassal.ini"), "");
	make_link("v1", fr_disk_at(folder, "srv/current"));
	make_link("../srv/current/conf/vassal.ini", fr_disk_at(folder, "enabled/shop.ini"));
	ck_assert_str_eq(walk(fr_disk_at(folder, "enabled/shop.ini")),
			 "/enabled|shop.ini /srv|current /srv/v1/conf|vassal.ini ");
}
END_TEST

START_TEST(test_an_absolute_link_begins_at_the_top)
{
	fr_disk_mkdir(fr_disk_at(folder, "enabled"));
	fr_disk_write(fr_disk_at(folder, "real.ini"), "");
	make_link(fr_disk_at(folder, "real.ini"), fr_disk_at(folder, "enabled/shop.ini"));
	ck_assert_str_eq(walk(fr_disk_at(folder, "enabled/shop.ini")),
			 "/enabled|shop.ini |real.ini ");
}
END_TEST

START_TEST(test_what_is_missing_is_awaited_where_it_is_missing)
{
	fr_disk_mkdir(fr_disk_at(folder, "a"));
	ck_assert_str_eq(walk(fr_disk_at(folder, "a/b/c/shop.ini")), "/a|b ");
	make_link("b/c/shop.ini", fr_disk_at(folder, "a/shop.ini"));
	ck_assert_str_eq(walk(fr_disk_at(folder, "a/shop.ini")), "/a|shop.ini /a|b ");
	ck_assert_str_eq(walk("/no such folder/x"), "/|no such folder ");
}
END_TEST

START_TEST(test_hostile_paths_end_with_an_error)
{
	char path[2 * PATH_MAX];

	make_link("two", fr_disk_at(folder, "one"));
	make_link("one", fr_disk_at(folder, "two"));
	ck_assert_int_eq(fr_route_walk(fr_disk_at(folder, "one"), note, &visited), -ELOOP);
	ck_assert_int_eq(fr_route_walk("relative", note, &visited), -EINVAL);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(fr_route_walk(path, note, &visited), -ENAMETOOLONG);
	ck_assert_int_eq(fr_route_pattern(path, note, &visited), -ENAMETOOLONG);
	/* More folders above than there are: the top is above itself. */
	ck_assert_str_eq(walk("/../../no such folder"), "/|no such folder ");
}
END_TEST

START_TEST(test_a_pattern_is_watched_from_its_first_wildcard_on)
{
	char text[PATH_MAX];

	fr_disk_mkdir(fr_disk_at(folder, "sites/a/conf"));
	fr_disk_mkdir(fr_disk_at(folder, "sites/b/conf"));
	fr_disk_mkdir(fr_disk_at(folder, "sites/c"));
	snprintf(text, sizeof(text), "%s/sites/*/conf/vassal.ini", folder);
	pattern(text);
	ck_assert_ptr_nonnull(strstr(visited, "/sites~* "));
	ck_assert_ptr_nonnull(strstr(visited, "/sites/a~conf "));
	ck_assert_ptr_nonnull(strstr(visited, "/sites/b~conf "));
	ck_assert_ptr_nonnull(strstr(visited, "/sites/c~conf "));
	ck_assert_ptr_nonnull(strstr(visited, "/sites/a/conf~vassal.ini "));
	ck_assert_ptr_nonnull(strstr(visited, "/sites/b/conf~vassal.ini "));
	ck_assert_ptr_null(strstr(visited, "/sites/c/conf"));
	snprintf(text, sizeof(text), "%s/sites/a/*.ini", folder);
	ck_assert_str_eq(pattern(text), "/sites/a~*.ini ");
	snprintf(text, sizeof(text), "%s/sites/shop.ini", folder);
	ck_assert_str_eq(pattern(text), "/sites~shop.ini ");
	snprintf(text, sizeof(text), "%s/missing/*.ini", folder);
	ck_assert_str_eq(pattern(text), "");
}
END_TEST

START_TEST(test_patterns_may_begin_anywhere)
{
	fr_disk_mkdir(fr_disk_at(folder, "a"));
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_str_eq(pattern("*.ini"), ".~*.ini ");
	ck_assert_str_eq(pattern("shop.ini"), ".~shop.ini ");
	ck_assert_str_eq(pattern("*/shop.ini"), ".~* a~shop.ini ");
	ck_assert_str_eq(pattern("a/*.ini"), "a~*.ini ");
	ck_assert_str_eq(pattern("/*.ini"), "/~*.ini ");
	pattern("");
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

Suite *fr_check_route_suite(void);

Suite *fr_check_route_suite(void)
{
	Suite *suite = suite_create("route");
	TCase *tcase = tcase_create("route");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_a_plain_path_is_its_last_entry);
	tcase_add_test(tcase, test_each_link_on_the_way_counts);
	tcase_add_test(tcase, test_an_absolute_link_begins_at_the_top);
	tcase_add_test(tcase, test_what_is_missing_is_awaited_where_it_is_missing);
	tcase_add_test(tcase, test_hostile_paths_end_with_an_error);
	tcase_add_test(tcase, test_a_pattern_is_watched_from_its_first_wildcard_on);
	tcase_add_test(tcase, test_patterns_may_begin_anywhere);
	suite_add_tcase(suite, tcase);
	return suite;
}
