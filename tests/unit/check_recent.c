/*
 * check_recent: who comes late hears what is kept, in order and once, and whoever has missed
 * something that is not kept can tell.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "browser/recent.h"

Suite *fr_check_recent_suite(void);

static struct fr_recent recent;

static void begin(void)
{
	memset(&recent, 0, sizeof(recent));
}

static void keep(int64_t number, size_t len)
{
	char text[FR_RECENT_SIZE + 1];

	memset(text, (int)('a' + number % 26), sizeof(text));
	fr_recent_keep(&recent, number, text, len);
}

/* All that is told behind `heard` are the news from `first` to the last, whole. */
static void check_told(int64_t heard, int64_t first)
{
	const struct fr_recent_news *news;
	int64_t expected = first;

	while ((news = fr_recent_next(&recent, heard))) {
		ck_assert_int_eq(news->number, expected++);
		for (size_t i = 0; i < news->len; i++)
			ck_assert_int_eq(news->text[i], (int)('a' + news->number % 26));
		heard = news->number;
	}
	ck_assert_int_eq(expected, recent.number + 1);
}

START_TEST(test_at_first_nobody_has_missed_anything)
{
	fr_recent_reach(&recent, 0);
	ck_assert_int_eq(recent.since, 0);
	ck_assert_ptr_null(fr_recent_next(&recent, 0));
}
END_TEST

START_TEST(test_who_comes_late_hears_what_is_behind_its_number)
{
	for (int64_t number = 1; number <= 5; number++)
		keep(number, 10 * (size_t)number);
	check_told(0, 1);
	check_told(3, 4);
	check_told(5, 6);
	check_told(9, 6);
	ck_assert_int_eq(recent.since, 0);
}
END_TEST

START_TEST(test_what_pages_are_loaded_again_for_takes_the_place_of_all_before)
{
	keep(1, 1);
	keep(2, 1);
	fr_recent_pass(&recent, 3);
	ck_assert_int_eq(recent.since, 3);
	check_told(0, 4);
	keep(4, 1);
	check_told(3, 4);
	ck_assert_int_eq(recent.since, 3);
}
END_TEST

/* A new process begins with the number that there is; and what the full ear of one did not take up
 * leaves a gap. */
START_TEST(test_news_that_were_told_to_somebody_else_are_missed)
{
	fr_recent_reach(&recent, 7);
	ck_assert_int_eq(recent.since, 7);
	keep(8, 1);
	fr_recent_reach(&recent, 8);
	ck_assert_int_eq(recent.since, 7);
	check_told(7, 8);
	keep(10, 1);
	ck_assert_int_eq(recent.since, 9);
	check_told(0, 10);
}
END_TEST

START_TEST(test_the_oldest_goes_when_there_are_too_many)
{
	for (int64_t number = 1; number <= FR_RECENT_MAX + 3; number++)
		keep(number, 1);
	ck_assert_int_eq(recent.since, 3);
	check_told(0, 4);
}
END_TEST

START_TEST(test_the_oldest_go_when_they_are_too_long)
{
	keep(1, FR_RECENT_SIZE / 2);
	keep(2, FR_RECENT_SIZE / 2);
	check_told(0, 1);
	keep(3, 1);
	ck_assert_int_eq(recent.since, 1);
	check_told(0, 2);
	keep(4, FR_RECENT_SIZE);
	ck_assert_int_eq(recent.since, 3);
	check_told(3, 4);
	keep(5, FR_RECENT_SIZE + 1);
	ck_assert_int_eq(recent.since, 5);
	check_told(0, 6);
}
END_TEST

Suite *fr_check_recent_suite(void)
{
	Suite *suite = suite_create("recent");
	TCase *tcase = tcase_create("recent");

	tcase_add_checked_fixture(tcase, begin, NULL);
	tcase_add_test(tcase, test_at_first_nobody_has_missed_anything);
	tcase_add_test(tcase, test_who_comes_late_hears_what_is_behind_its_number);
	tcase_add_test(tcase, test_what_pages_are_loaded_again_for_takes_the_place_of_all_before);
	tcase_add_test(tcase, test_news_that_were_told_to_somebody_else_are_missed);
	tcase_add_test(tcase, test_the_oldest_goes_when_there_are_too_many);
	tcase_add_test(tcase, test_the_oldest_go_when_they_are_too_long);
	suite_add_tcase(suite, tcase);
	return suite;
}
