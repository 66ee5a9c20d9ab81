/*
 * The list of the files that changed last.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "allocator.h"
#include "watch/hot.h"

static struct fr_hot hot;

static void teardown(void)
{
	fr_hot_clear(&hot);
}

static void note(int number, int64_t changed_ms)
{
	char path[32];

	snprintf(path, sizeof(path), "/%d.py", number);
	ck_assert_int_eq(fr_hot_note(&hot, path, changed_ms), 0);
}

START_TEST(test_latest_is_first_and_each_is_there_once)
{
	note(1, 10);
	note(2, 30);
	note(3, 20);
	note(1, 40);
	ck_assert_uint_eq(hot.len, 3);
	ck_assert_str_eq(hot.files[0].path, "/1.py");
	ck_assert_str_eq(hot.files[1].path, "/2.py");
	ck_assert_str_eq(hot.files[2].path, "/3.py");
	ck_assert_uint_eq(fr_hot_since(&hot, 20), 2);
	ck_assert_uint_eq(fr_hot_since(&hot, 40), 0);
}
END_TEST

START_TEST(test_file_does_not_get_older)
{
	note(1, 10);
	note(2, 20);
	note(2, 5);
	ck_assert_uint_eq(hot.len, 2);
	ck_assert_int_eq(hot.files[0].changed_ms, 20);
}
END_TEST

START_TEST(test_of_too_many_the_oldest_are_forgotten)
{
	for (int i = 0; i < 3 * FR_HOT_MAX; i++)
		note(i, (i * 7919) % (3 * FR_HOT_MAX));
	ck_assert_uint_eq(hot.len, FR_HOT_MAX);
	for (size_t i = 0; i < hot.len; i++)
		ck_assert_int_eq(hot.files[i].changed_ms, 3 * FR_HOT_MAX - 1 - (int64_t)i);
}
END_TEST

START_TEST(test_no_memory_leaves_it_as_it_was)
{
	note(1, 10);
	fr_allocator_fail_once(1);
	ck_assert_int_eq(fr_hot_note(&hot, "/2.py", 20), -ENOMEM);
	ck_assert(fr_allocator_has_failed());
	ck_assert_uint_eq(hot.len, 1);
}
END_TEST

Suite *fr_check_hot_suite(void)
{
	Suite *suite = suite_create("hot");
	TCase *tcase = tcase_create("hot");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, test_latest_is_first_and_each_is_there_once);
	tcase_add_test(tcase, test_file_does_not_get_older);
	tcase_add_test(tcase, test_of_too_many_the_oldest_are_forgotten);
	tcase_add_test(tcase, test_no_memory_leaves_it_as_it_was);
	suite_add_tcase(suite, tcase);
	return suite;
}
