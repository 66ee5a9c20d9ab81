/*
 * Where is looked, and when, with a clock of our own.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocator.h"
#include "watch/push_due.h"

static struct fr_push_due *due;
static size_t file_looks, folder_looks, all_looks;
static char last[64];

static bool is_folder(void *ctx, const char *path)
{
	(void)ctx;
	return strncmp(path, "/folder", 7) == 0;
}

static void look(void *ctx, const char *path)
{
	(*(is_folder(ctx, path) ? &folder_looks : &file_looks))++;
	snprintf(last, sizeof(last), "%s", path);
}

static void look_everywhere(void *ctx)
{
	(void)ctx;
	all_looks++;
}

static const struct fr_push_due_hooks hooks = {is_folder, look, look_everywhere};

static void setup(void)
{
	file_looks = folder_looks = all_looks = 0;
	ck_assert_int_eq(fr_push_due_new(&hooks, NULL, &due), 0);
}

static void teardown(void)
{
	fr_push_due_free(due);
}

/* Steps whenever it is asked for, until end_ms. Returns when the next one is to come. */
static int64_t run(int64_t from_ms, int64_t end_ms)
{
	int64_t when_ms = fr_push_due_step(due, from_ms, false);

	while (when_ms >= 0 && when_ms <= end_ms)
		when_ms = fr_push_due_step(due, when_ms, false);
	return when_ms;
}

START_TEST(test_a_file_is_looked_at_at_once_and_a_few_times_more)
{
	ck_assert_int_eq(fr_push_due_step(due, 1000, false), -1);
	fr_push_due_note(due, "/a.py", 1000);
	ck_assert_int_eq(fr_push_due_step(due, 1000, false), 1100);
	ck_assert_uint_eq(file_looks, 1);
	ck_assert_str_eq(last, "/a.py");
	ck_assert_int_eq(fr_push_due_step(due, 1099, false), 1100);
	ck_assert_uint_eq(file_looks, 1);
	run(1100, 1000 + 5000); /* NFS has forgotten by then what it knew of a file */
	ck_assert_uint_eq(file_looks, 5);
	ck_assert_int_eq(run(6001, 1000 + FR_PUSH_DUE_LAST_MS), -1);
	ck_assert_uint_eq(file_looks, 7);
	ck_assert_uint_eq(fr_push_due_len(due), 0);
}
END_TEST

START_TEST(test_a_word_said_again_is_looked_at_again)
{
	fr_push_due_note(due, "/a.py", 1000);
	fr_push_due_note(due, "/a.py", 1000);
	fr_push_due_step(due, 1000, false);
	ck_assert_uint_eq(file_looks, 1);
	fr_push_due_note(due, "/a.py", 1030);
	ck_assert_int_eq(fr_push_due_step(due, 1030, false), 1130);
	ck_assert_uint_eq(file_looks, 2);
	ck_assert_uint_eq(fr_push_due_len(due), 1);
}
END_TEST

START_TEST(test_chatter_about_folders_costs_a_tenth)
{
	int64_t now_ms;

	/* Somebody speaks of it every 10 ms, and to list it takes 300. */
	for (now_ms = 0; now_ms < 60000; now_ms += 10) {
		static int64_t begun_ms;
		size_t before = folder_looks;

		fr_push_due_note(due, "/folder", now_ms);
		fr_push_due_step(due, now_ms, now_ms - begun_ms < 300 && folder_looks > 0);
		if (folder_looks > before)
			begun_ms = now_ms;
	}
	ck_assert_uint_ge(folder_looks, 15);
	ck_assert_uint_le(folder_looks, 20);
	ck_assert_uint_eq(all_looks, 0);
}
END_TEST

START_TEST(test_a_file_does_not_wait_for_folders)
{
	fr_push_due_note(due, "/folder", 0);
	fr_push_due_step(due, 0, false);
	fr_push_due_note(due, "/folder", 10);
	fr_push_due_note(due, "/a.py", 10);
	fr_push_due_step(due, 10, true);
	ck_assert_uint_eq(folder_looks, 1);
	ck_assert_uint_eq(file_looks, 1);
	run(11, 1100);
	ck_assert_uint_ge(folder_looks, 2);
}
END_TEST

START_TEST(test_everything_is_looked_at_at_once_and_then_rests)
{
	fr_push_due_note_all(due, 5000);
	fr_push_due_step(due, 5000, false);
	ck_assert_uint_eq(all_looks, 1);
	fr_push_due_note_all(due, 5001);
	fr_push_due_step(due, 5001, false);
	ck_assert_uint_eq(all_looks, 1);
	run(5002, 6100);
	ck_assert_uint_eq(all_looks, 2);
	ck_assert_int_eq(run(6101, 60000), -1);
	ck_assert_uint_eq(all_looks, 8);
}
END_TEST

START_TEST(test_too_many_paths_are_everything)
{
	char path[32];

	for (int i = 0; i <= FR_PUSH_DUE_MAX; i++) {
		snprintf(path, sizeof(path), "/%d.py", i);
		fr_push_due_note(due, path, 0);
	}
	ck_assert_uint_eq(fr_push_due_len(due), 0);
	run(0, 0);
	ck_assert_uint_eq(all_looks, 1);
	ck_assert_uint_eq(file_looks, 0);
}
END_TEST

START_TEST(test_too_many_bytes_are_everything)
{
	static char path[4000];

	memset(path, 'x', sizeof(path) - 1);
	for (int i = 0; i < 600; i++) {
		path[0] = '/';
		path[1] = (char)('a' + i % 26);
		path[2] = (char)('a' + i / 26);
		fr_push_due_note(due, path, 0);
		ck_assert_uint_le(fr_push_due_len(due) * 3999, FR_PUSH_DUE_MAX_BYTES);
	}
	run(0, 0);
	ck_assert_uint_eq(all_looks, 1);
}
END_TEST

START_TEST(test_all_have_their_turn)
{
	char path[32];

	for (int i = 0; i < FR_PUSH_DUE_MAX; i++) {
		snprintf(path, sizeof(path), "/%d.py", i);
		fr_push_due_note(due, path, 0);
	}
	ck_assert_int_gt(fr_push_due_step(due, 0, false), 0);
	ck_assert_uint_eq(file_looks, FR_PUSH_DUE_PER_STEP);
	run(1, 99);
	ck_assert_uint_eq(file_looks, FR_PUSH_DUE_MAX);
}
END_TEST

START_TEST(test_without_memory_everything_is_looked_at)
{
	fr_allocator_fail_once(1);
	fr_push_due_note(due, "/a.py", 0);
	fr_allocator_fail_once(0);
	run(0, 0);
	ck_assert_uint_eq(all_looks, 1);
}
END_TEST

START_TEST(test_without_memory_there_is_none)
{
	struct fr_push_due *none = NULL;
	int error;

	fr_allocator_fail_once(1);
	error = fr_push_due_new(&hooks, NULL, &none);
	fr_allocator_fail_once(0);
	ck_assert_int_eq(error, -ENOMEM);
	ck_assert_ptr_null(none);
}
END_TEST

Suite *fr_check_push_due_suite(void);

Suite *fr_check_push_due_suite(void)
{
	Suite *suite = suite_create("push_due");
	TCase *tcase = tcase_create("looks");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_a_file_is_looked_at_at_once_and_a_few_times_more);
	tcase_add_test(tcase, test_a_word_said_again_is_looked_at_again);
	tcase_add_test(tcase, test_chatter_about_folders_costs_a_tenth);
	tcase_add_test(tcase, test_a_file_does_not_wait_for_folders);
	tcase_add_test(tcase, test_everything_is_looked_at_at_once_and_then_rests);
	tcase_add_test(tcase, test_too_many_paths_are_everything);
	tcase_add_test(tcase, test_too_many_bytes_are_everything);
	tcase_add_test(tcase, test_all_have_their_turn);
	tcase_add_test(tcase, test_without_memory_everything_is_looked_at);
	tcase_add_test(tcase, test_without_memory_there_is_none);
	suite_add_tcase(suite, tcase);
	return suite;
}
