/*
 * Values of options, good and bad. A bad one changes nothing and says in one sentence what would be
 * right.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "decide/config.h"
#include "disk.h"

static char error[256];
static char *folder;

static void setup(void)
{
	error[0] = '\0';
	folder = fr_disk_new();
}

static void teardown(void)
{
	fr_disk_free(folder);
	folder = NULL;
}

START_TEST(test_actions_are_known_by_name)
{
	static const struct {
		const char *value;
		enum fr_action action;
	} good[] = {
		{"auto", FR_ACTION_AUTO},     {"swap", FR_ACTION_SWAP},
		{"reload", FR_ACTION_RELOAD}, {"workers", FR_ACTION_WORKERS},
		{"chain", FR_ACTION_CHAIN},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		enum fr_action action = FR_ACTIONS;
		const char *file = "unset";

		ck_assert_int_eq(
			fr_config_parse_action(good[i].value, &action, &file, error, sizeof(error)),
			0);
		ck_assert_int_eq(action, good[i].action);
		ck_assert_ptr_null(file);
	}
}
END_TEST

START_TEST(test_touch_has_a_file)
{
	enum fr_action action;
	const char *file;

	ck_assert_int_eq(
		fr_config_parse_action("touch:/tmp/x:y", &action, &file, error, sizeof(error)), 0);
	ck_assert_int_eq(action, FR_ACTION_TOUCH);
	ck_assert_str_eq(file, "/tmp/x:y");
}
END_TEST

START_TEST(test_bad_action_is_refused_with_a_sentence)
{
	static const char *const bad[] = {"",        "touch", "touch:", "Reload",
					  "reload ", "exec",  "autox"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		enum fr_action action = FR_ACTIONS;
		const char *file = "unset";

		error[0] = '\0';
		ck_assert_int_eq(
			fr_config_parse_action(bad[i], &action, &file, error, sizeof(error)),
			-EINVAL);
		ck_assert_int_eq(action, FR_ACTIONS);
		ck_assert_str_eq(file, "unset");
		ck_assert_ptr_nonnull(strstr(error, "touch:FILE"));
	}
}
END_TEST

START_TEST(test_settle_takes_whole_milliseconds)
{
	int64_t ms = -1;

	ck_assert_int_eq(fr_config_parse_settle("0", &ms, error, sizeof(error)), 0);
	ck_assert_int_eq(ms, 0);
	ck_assert_int_eq(fr_config_parse_settle("010", &ms, error, sizeof(error)), 0);
	ck_assert_int_eq(ms, 10);
	ck_assert_int_eq(fr_config_parse_settle("60000", &ms, error, sizeof(error)), 0);
	ck_assert_int_eq(ms, FR_CONFIG_MAX_SETTLE_MS);
}
END_TEST

START_TEST(test_bad_settle_is_refused_with_a_sentence)
{
	static const char *const bad[] = {
		"",
		" ",
		"-1",
		"+1",
		" 1",
		"1 ",
		"1.5",
		"1e3",
		"0x10",
		"10ms",
		"60001",
		"4294967297",
		"99999999999999999999999999",
		"ten",
		"\n",
		"\xff",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int64_t ms = -7;

		error[0] = '\0';
		ck_assert_msg(fr_config_parse_settle(bad[i], &ms, error, sizeof(error)) == -EINVAL,
			      "\"%s\" was taken", bad[i]);
		ck_assert_int_eq(ms, -7);
		ck_assert_ptr_nonnull(strstr(error, "whole milliseconds"));
	}
}
END_TEST

START_TEST(test_sentence_is_cut_to_the_room_there_is)
{
	int64_t ms;
	char small[8];

	ck_assert_int_eq(fr_config_parse_settle("x", &ms, small, sizeof(small)), -EINVAL);
	ck_assert_uint_eq(strlen(small), 7);
}
END_TEST

START_TEST(test_folder_is_resolved)
{
	char *path = NULL;
	const char *link = fr_disk_at(folder, "link");

	fr_disk_mkdir(fr_disk_at(folder, "real/deep"));
	ck_assert_int_eq(symlink("real", link), 0);
	ck_assert_int_eq(fr_config_resolve_folder(fr_disk_at(link, "deep/../deep/."), &path, error,
						  sizeof(error)),
			 0);
	ck_assert_str_eq(path, fr_disk_at(folder, "real/deep"));
	free(path);
	ck_assert_int_eq(fr_config_resolve_folder("/", &path, error, sizeof(error)), 0);
	ck_assert_str_eq(path, "/");
	free(path);
}
END_TEST

static void expect_bad_folder(const char *value, int code, const char *words)
{
	char *path = NULL;

	error[0] = '\0';
	ck_assert_int_eq(fr_config_resolve_folder(value, &path, error, sizeof(error)), code);
	ck_assert_ptr_null(path);
	ck_assert_msg(strstr(error, words) != NULL, "\"%s\"", error);
}

START_TEST(test_bad_folder_is_refused_with_a_sentence)
{
	fr_disk_write(fr_disk_at(folder, "file"), "");
	ck_assert_int_eq(symlink("loop", fr_disk_at(folder, "loop")), 0);
	expect_bad_folder("", -EINVAL, "is empty");
	expect_bad_folder(fr_disk_at(folder, "missing"), -ENOENT, "does not exist");
	expect_bad_folder(fr_disk_at(folder, "file"), -EINVAL, "is no folder");
	expect_bad_folder(fr_disk_at(folder, "file/x"), -ENOTDIR, "name a folder that exists");
	expect_bad_folder(fr_disk_at(folder, "loop"), -ELOOP, "name a folder that exists");
}
END_TEST

START_TEST(test_folder_that_cannot_be_read_is_refused_with_the_user)
{
	const char *locked = fr_disk_at(folder, "locked");
	int status;
	pid_t child;

	fr_disk_mkdir(locked);
	ck_assert_int_eq(chmod(locked, 0), 0);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	child = fork();
	if (child == 0) {
		char *path = NULL;

		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(99);
		_exit(fr_config_resolve_folder(locked, &path, error, sizeof(error)) == -EACCES &&
				      !path && strstr(error, "by user ")
			      ? 0
			      : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_strategy_is_one_of_the_list)
{
	static const char *const bad[] = {"", "Swap", "swap ", "none", "checkpoints"};
	enum fr_pin pin = FR_PINS;

	for (int i = 0; i < FR_PINS; i++) {
		ck_assert_int_eq(fr_config_parse_strategy(fr_pin_name((enum fr_pin)i), &pin, error,
							  sizeof(error)),
				 0);
		ck_assert_int_eq((int)pin, i);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		pin = FR_PIN_WARM;
		ck_assert_int_eq(fr_config_parse_strategy(bad[i], &pin, error, sizeof(error)),
				 -EINVAL);
		ck_assert_int_eq((int)pin, (int)FR_PIN_WARM);
		ck_assert_ptr_nonnull(strstr(error, "checkpoint"));
	}
}
END_TEST

START_TEST(test_strategy_says_how_the_action_is_done)
{
	static const struct {
		enum fr_pin pin;
		enum fr_action action, expected;
		int snapshots;
		const char *error; /* part of it; NULL: there is none */
	} cases[] = {
		{FR_PIN_AUTO, FR_ACTION_CHAIN, FR_ACTION_CHAIN, 0, NULL},
		{FR_PIN_FULL, FR_ACTION_AUTO, FR_ACTION_RELOAD, 3, NULL},
		{FR_PIN_FULL, FR_ACTION_RELOAD, FR_ACTION_RELOAD, 3, NULL},
		{FR_PIN_FULL, FR_ACTION_SWAP, FR_ACTION_SWAP, 3, "--fastreload-action = swap"},
		{FR_PIN_WORKERS, FR_ACTION_AUTO, FR_ACTION_WORKERS, 0, NULL},
		{FR_PIN_WORKERS, FR_ACTION_CHAIN, FR_ACTION_CHAIN, 3, "make the action workers"},
		{FR_PIN_SWAP, FR_ACTION_AUTO, FR_ACTION_SWAP, 0, NULL},
		{FR_PIN_WARM, FR_ACTION_SWAP, FR_ACTION_SWAP, 1, NULL},
		{FR_PIN_WARM, FR_ACTION_AUTO, FR_ACTION_AUTO, 0, "--fastreload-snapshots = 0"},
		{FR_PIN_CHECKPOINT, FR_ACTION_AUTO, FR_ACTION_SWAP, 16, NULL},
		{FR_PIN_CHECKPOINT, FR_ACTION_SWAP, FR_ACTION_SWAP, 0,
		 "--fastreload-snapshots = 0"},
		{FR_PIN_CHECKPOINT, FR_ACTION_TOUCH, FR_ACTION_TOUCH, 3, "make the action swap"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		enum fr_action action = cases[i].action;
		int ret = fr_config_pin(cases[i].pin, cases[i].snapshots, &action, error,
					sizeof(error));

		ck_assert_int_eq(ret, cases[i].error ? -EINVAL : 0);
		ck_assert_int_eq((int)action, (int)cases[i].expected);
		ck_assert_msg(!cases[i].error || strstr(error, cases[i].error), "%s", error);
	}
}
END_TEST

START_TEST(test_memory_is_whole_mebibytes_within_bounds)
{
	static const char *const bad[] = {"",    "0",    "-1", "65537",
					  "1.5", "256M", " 1", "99999999999999999999"};
	int64_t kib = 7;

	ck_assert_int_eq(fr_config_parse_memory("1", &kib, error, sizeof(error)), 0);
	ck_assert_int_eq(kib, 1024);
	ck_assert_int_eq(fr_config_parse_memory("65536", &kib, error, sizeof(error)), 0);
	ck_assert_int_eq(kib, 65536 * 1024);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		kib = 7;
		ck_assert_int_eq(fr_config_parse_memory(bad[i], &kib, error, sizeof(error)),
				 -EINVAL);
		ck_assert_int_eq(kib, 7);
	}
}
END_TEST

START_TEST(test_modules_have_names_of_python)
{
	static const char *const good[] = {"numpy", "os.path", "_a1.b_2", "m\xc3\xa4rz"};
	static const char *const bad[] = {"",    ".",   "a.",  ".a",  "a..b",
					  "1a",  "a.1", "a-b", "a b", "numpy,",
					  "a/b", "a:b", "a\n", "\ta", "a.py/"};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ck_assert_int_eq(fr_config_check_module(good[i], error, sizeof(error)), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_int_eq(fr_config_check_module(bad[i], error, sizeof(error)), -EINVAL);
		ck_assert_ptr_nonnull(strstr(error, "as in"));
	}
}
END_TEST

START_TEST(test_seconds_and_snapshots_are_whole_numbers_within_bounds)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "1s", "1.5", "3601", "99999999999999999999"};
	int64_t ms = -1;
	int number = -1;

	ck_assert_int_eq(fr_config_parse_seconds("1", &ms, error, sizeof(error)), 0);
	ck_assert_int_eq(ms, 1000);
	ck_assert_int_eq(fr_config_parse_seconds("3600", &ms, error, sizeof(error)), 0);
	ck_assert_int_eq(ms, 3600000);
	ck_assert_int_eq(fr_config_parse_seconds("0", &ms, error, sizeof(error)), -EINVAL);
	ck_assert_int_eq(fr_config_parse_snapshots("0", &number, error, sizeof(error)), 0);
	ck_assert_int_eq(number, 0);
	ck_assert_int_eq(fr_config_parse_snapshots("16", &number, error, sizeof(error)), 0);
	ck_assert_int_eq(number, 16);
	ck_assert_int_eq(fr_config_parse_snapshots("17", &number, error, sizeof(error)), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_int_eq(fr_config_parse_seconds(bad[i], &ms, error, sizeof(error)),
				 -EINVAL);
		ck_assert_ptr_nonnull(strstr(error, "as in"));
		ck_assert_int_eq(fr_config_parse_snapshots(bad[i], &number, error, sizeof(error)),
				 -EINVAL);
	}
	ck_assert_int_eq(ms, 3600000);
	ck_assert_int_eq(number, 16);
}
END_TEST

Suite *fr_check_config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_actions_are_known_by_name);
	tcase_add_test(tcase, test_touch_has_a_file);
	tcase_add_test(tcase, test_bad_action_is_refused_with_a_sentence);
	tcase_add_test(tcase, test_settle_takes_whole_milliseconds);
	tcase_add_test(tcase, test_bad_settle_is_refused_with_a_sentence);
	tcase_add_test(tcase, test_strategy_is_one_of_the_list);
	tcase_add_test(tcase, test_strategy_says_how_the_action_is_done);
	tcase_add_test(tcase, test_memory_is_whole_mebibytes_within_bounds);
	tcase_add_test(tcase, test_seconds_and_snapshots_are_whole_numbers_within_bounds);
	tcase_add_test(tcase, test_modules_have_names_of_python);
	tcase_add_test(tcase, test_sentence_is_cut_to_the_room_there_is);
	tcase_add_test(tcase, test_folder_is_resolved);
	tcase_add_test(tcase, test_bad_folder_is_refused_with_a_sentence);
	tcase_add_test(tcase, test_folder_that_cannot_be_read_is_refused_with_the_user);
	suite_add_tcase(suite, tcase);
	return suite;
}
