/*
 * Is it the application that changes a file each time that it is loaded, or a developer who is
 * quick?
 */
#include <check.h>
#include <string.h>

#include "decide/loop_guard.h"

#define LOAD_MS 100

static struct fr_loop_guard guard;
static int64_t now;

static void setup(void)
{
	memset(&guard, 0, sizeof(guard));
	now = 1000000;
}

static int64_t judge(const char *path)
{
	return fr_loop_guard_judge(&guard, &path, 1, now, now);
}

/* A load that takes LOAD_MS, and in the middle of which the file changes. Returns how long the next
 * one has to wait; -1: for ever. */
static int64_t round_with(const char *path)
{
	int64_t changed_ms, at;

	fr_loop_guard_begin(&guard, now);
	changed_ms = now + LOAD_MS / 2;
	now += LOAD_MS;
	fr_loop_guard_end(&guard, now);
	at = fr_loop_guard_judge(&guard, &path, 1, changed_ms, now);
	if (at > now) {
		at -= now;
		now += at;
		return at;
	}
	return at < 0 ? -1 : 0;
}

/* Returns after how many rounds it was held, and in *ret_paused_ms how long all of them waited. */
static int rounds_until_held(const char *path, int64_t *ret_paused_ms)
{
	*ret_paused_ms = 0;
	for (int rounds = 1; rounds < 100; rounds++) {
		int64_t pause = round_with(path);

		if (pause < 0)
			return rounds;
		*ret_paused_ms += pause;
	}
	return -1;
}

START_TEST(test_application_s_own_file_is_held_after_a_few_rounds)
{
	int64_t paused_ms;

	ck_assert_int_eq(judge("/a.json"), now);
	ck_assert_int_eq(rounds_until_held("/a.json", &paused_ms), 7);
	ck_assert_int_eq(paused_ms, 7000);
	ck_assert(fr_loop_guard_holds(&guard, "/a.json"));
	ck_assert(!fr_loop_guard_holds(&guard, "/b.json"));
	ck_assert(!fr_loop_guard_holds(&guard, ""));
}
END_TEST

START_TEST(test_other_edit_lets_it_go_and_the_next_load_holds_it_at_once)
{
	int64_t paused_ms;

	ck_assert_int_eq(rounds_until_held("/a.json", &paused_ms), 7);
	now += 60000;
	ck_assert_int_eq(judge("/views.py"), now);
	ck_assert(!fr_loop_guard_holds(&guard, "/a.json"));
	now++;
	ck_assert_int_eq(round_with("/a.json"), -1);
	ck_assert(fr_loop_guard_holds(&guard, "/a.json"));
}
END_TEST

START_TEST(test_other_edit_during_the_load_is_served_and_forgets_nothing)
{
	int64_t paused_ms;

	ck_assert_int_eq(rounds_until_held("/a.json", &paused_ms), 7);
	ck_assert_int_eq(round_with("/views.py"), 0);
	ck_assert_int_eq(round_with("/a.json"), -1);
}
END_TEST

START_TEST(test_its_change_at_another_time_is_a_human_s)
{
	int64_t paused_ms;

	ck_assert_int_eq(rounds_until_held("/a.json", &paused_ms), 7);
	now += 60000;
	ck_assert_int_eq(judge("/views.py"), now); /* it is let go */
	now += 60000;
	ck_assert_int_eq(judge("/a.json"), now);
	ck_assert_int_eq(round_with("/a.json"), 0); /* and has to be recognised anew */
}
END_TEST

START_TEST(test_quick_saves_wait_at_most_a_moment_and_are_never_lost)
{
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(round_with("/views.py"), 0);
	ck_assert_int_eq(round_with("/views.py"), 1000);
	now += LOAD_MS + 10000; /* the developer has looked at the page */
	ck_assert_int_eq(judge("/views.py"), now);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(round_with("/views.py"), 0);
}
END_TEST

START_TEST(test_saves_of_many_files_are_never_a_loop)
{
	const char *const paths[] = {"/1", "/2", "/3", "/4"};

	for (int i = 0; i < 50; i++) {
		fr_loop_guard_begin(&guard, now);
		ck_assert_int_eq(fr_loop_guard_judge(&guard, paths, 4, now, now), now);
		ck_assert_int_eq(round_with(i % 2 ? "/views.py" : "/urls.py"), 0);
	}
}
END_TEST

START_TEST(test_several_own_files_are_one_loop_in_one_batch_or_in_several)
{
	const char *const first[] = {"/a", "/b"}, *const second[] = {"/b"}, *const third[] = {"/a"};

	for (int i = 0; i < 7; i++) {
		int64_t at;

		fr_loop_guard_begin(&guard, ++now);
		if (i % 2) {
			at = fr_loop_guard_judge(&guard, first, 2, now, now);
		} else {
			(void)fr_loop_guard_judge(&guard, second, 1, now, now);
			at = fr_loop_guard_judge(&guard, third, 1, now, now);
		}
		ck_assert((at < 0) == (i == 6));
	}
	ck_assert(fr_loop_guard_holds(&guard, "/a"));
	ck_assert(fr_loop_guard_holds(&guard, "/b"));
}
END_TEST

START_TEST(test_human_s_file_that_came_with_the_first_round_is_not_held)
{
	const char *const both[] = {"/a.json", "/views.py"};
	int64_t paused_ms;

	fr_loop_guard_begin(&guard, ++now);
	ck_assert_int_eq(fr_loop_guard_judge(&guard, both, 2, now, now), now);
	now++;
	ck_assert_int_gt(rounds_until_held("/a.json", &paused_ms), 0);
	ck_assert(fr_loop_guard_holds(&guard, "/a.json"));
	ck_assert(!fr_loop_guard_holds(&guard, "/views.py"));
}
END_TEST

START_TEST(test_change_long_after_a_load_is_no_round)
{
	for (int i = 0; i < 20; i++) {
		fr_loop_guard_begin(&guard, now);
		now += LOAD_MS;
		fr_loop_guard_end(&guard, now);
		now += 600;
		ck_assert_int_eq(judge("/a"), now);
	}
}
END_TEST

START_TEST(test_path_too_long_to_remember_is_never_held)
{
	char path[FR_LOOP_GUARD_PATH_SIZE + 1];

	memset(path, 'n', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(round_with(path), 0);
	path[sizeof(path) - 2] = '\0';
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(round_with(path), 0);
	ck_assert_int_eq(round_with(path), 1000);
}
END_TEST

Suite *fr_check_loop_guard_suite(void)
{
	Suite *suite = suite_create("loop_guard");
	TCase *tcase = tcase_create("loop_guard");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_application_s_own_file_is_held_after_a_few_rounds);
	tcase_add_test(tcase, test_other_edit_lets_it_go_and_the_next_load_holds_it_at_once);
	tcase_add_test(tcase, test_other_edit_during_the_load_is_served_and_forgets_nothing);
	tcase_add_test(tcase, test_its_change_at_another_time_is_a_human_s);
	tcase_add_test(tcase, test_quick_saves_wait_at_most_a_moment_and_are_never_lost);
	tcase_add_test(tcase, test_saves_of_many_files_are_never_a_loop);
	tcase_add_test(tcase, test_several_own_files_are_one_loop_in_one_batch_or_in_several);
	tcase_add_test(tcase, test_human_s_file_that_came_with_the_first_round_is_not_held);
	tcase_add_test(tcase, test_change_long_after_a_load_is_no_round);
	tcase_add_test(tcase, test_path_too_long_to_remember_is_never_held);
	suite_add_tcase(suite, tcase);
	return suite;
}
