/*
 * check_loaded: which files the application has loaded, and which it writes.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocator.h"
#include "decide/loaded.h"

Suite *fr_check_loaded_suite(void);

static struct fr_writes writes;
static struct fr_loaded *loaded;

static void setup(void)
{
	memset(&writes, 0, sizeof(writes));
	ck_assert_int_eq(fr_loaded_new(&writes, &loaded), 0);
}

static void teardown(void)
{
	fr_loaded_free(loaded);
}

START_TEST(test_a_file_is_known_once_it_was_added)
{
	ck_assert(!fr_loaded_has(loaded, "/a/b.py"));
	ck_assert_int_eq(fr_loaded_add(loaded, "/a/b.py"), 1);
	ck_assert_int_eq(fr_loaded_add(loaded, "/a/b.py"), 0);
	ck_assert(fr_loaded_has(loaded, "/a/b.py"));
	ck_assert(!fr_loaded_has(loaded, "/a/b.p"));
	ck_assert(!fr_loaded_has(NULL, "/a/b.py"));
}
END_TEST

START_TEST(test_the_first_time_is_told_once_for_each)
{
	ck_assert(!fr_loaded_is_first_time(loaded, "/a"));
	fr_loaded_add(loaded, "/a");
	fr_loaded_add(loaded, "/b");
	ck_assert(fr_loaded_is_first_time(loaded, "/a"));
	ck_assert(!fr_loaded_is_first_time(loaded, "/a"));
	ck_assert(fr_loaded_is_first_time(loaded, "/b"));
}
END_TEST

START_TEST(test_what_is_written_is_seen_at_once_and_of_many_the_last)
{
	char path[64];

	ck_assert(!fr_loaded_is_written(loaded, "/a"));
	ck_assert(!fr_loaded_is_written(NULL, "/a"));
	fr_writes_note(&writes, "/a");
	ck_assert(fr_loaded_is_written(loaded, "/a"));
	ck_assert(!fr_loaded_is_written(loaded, "/b"));
	for (int i = 0; i < 100000; i++) {
		snprintf(path, sizeof(path), "/cache/%d.yaml", i);
		fr_writes_note(&writes, path);
		ck_assert(fr_loaded_is_written(loaded, path));
	}
}
END_TEST

START_TEST(test_where_nobody_tells_nothing_is_written)
{
	fr_loaded_free(loaded);
	ck_assert_int_eq(fr_loaded_new(NULL, &loaded), 0);
	ck_assert(!fr_loaded_is_written(loaded, "/a"));
}
END_TEST

START_TEST(test_there_are_bounded_many_and_all_are_found)
{
	char path[4096];
	int i, r = 1;

	for (i = 0; r == 1; i++) {
		snprintf(path, sizeof(path), "/srv/%d.py", i);
		r = fr_loaded_add(loaded, path);
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_eq(i - 1, FR_LOADED_MAX_PATHS);
	for (i = 0; i < FR_LOADED_MAX_PATHS; i++) {
		snprintf(path, sizeof(path), "/srv/%d.py", i);
		ck_assert(fr_loaded_has(loaded, path));
	}
	ck_assert_int_eq(fr_loaded_add(loaded, "/srv/0.py"), 0);
}
END_TEST

START_TEST(test_long_paths_are_bounded_together)
{
	char path[4096];
	int i, r = 1;

	for (i = 0; r == 1; i++) {
		snprintf(path, sizeof(path), "/%4000d", i);
		r = fr_loaded_add(loaded, path);
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_le((i - 1) * 4000, FR_LOADED_MAX_BYTES);
}
END_TEST

START_TEST(test_others_know_that_what_they_have_is_outdated)
{
	uint32_t before = fr_loaded_version(loaded);

	fr_loaded_bump(loaded);
	ck_assert_uint_ne(fr_loaded_version(loaded), before);
	ck_assert_uint_eq(fr_loaded_version(NULL), 0);
}
END_TEST

START_TEST(test_any_allocation_fails_and_nothing_is_left)
{
	struct fr_loaded *made = NULL;

	fr_allocator_fail_once(1);
	ck_assert_int_eq(fr_loaded_new(NULL, &made), -ENOMEM);
	ck_assert_ptr_null(made);
	fr_allocator_fail_once(1);
	ck_assert_int_eq(fr_loaded_add(loaded, "/a"), -ENOMEM);
	fr_allocator_fail_once(0);
	ck_assert(!fr_loaded_has(loaded, "/a"));
	ck_assert_int_eq(fr_loaded_add(loaded, "/a"), 1);
	fr_loaded_free(NULL);
}
END_TEST

Suite *fr_check_loaded_suite(void)
{
	Suite *suite = suite_create("loaded");
	TCase *tcase = tcase_create("loaded");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_a_file_is_known_once_it_was_added);
	tcase_add_test(tcase, test_the_first_time_is_told_once_for_each);
	tcase_add_test(tcase, test_what_is_written_is_seen_at_once_and_of_many_the_last);
	tcase_add_test(tcase, test_where_nobody_tells_nothing_is_written);
	tcase_add_test(tcase, test_there_are_bounded_many_and_all_are_found);
	tcase_add_test(tcase, test_long_paths_are_bounded_together);
	tcase_add_test(tcase, test_others_know_that_what_they_have_is_outdated);
	tcase_add_test(tcase, test_any_allocation_fails_and_nothing_is_left);
	suite_add_tcase(suite, tcase);
	return suite;
}
