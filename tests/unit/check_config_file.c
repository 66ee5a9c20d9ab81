/*
 * check_config_file: a file of options, good and bad. A bad one says where, and what was expected.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator.h"
#include "decide/config_file.h"
#include "disk.h"

Suite *fr_check_config_file_suite(void);

static char error[1024];

static struct fr_config_file *parse(const char *text)
{
	struct fr_config_file *file = NULL;
	int r = fr_config_file_parse(text, strlen(text), &file, error, sizeof(error));

	ck_assert_msg(r == 0, "%s: %s", text, error);
	return file;
}

static void expect_value(const struct fr_config_file *file, size_t i, const char *key,
			 const char *text)
{
	ck_assert_uint_lt(i, file->len);
	ck_assert_str_eq(file->values[i].key, key);
	ck_assert_str_eq(file->values[i].text, text);
}

START_TEST(test_values_are_the_texts_of_the_options)
{
	struct fr_config_file *file = parse(
		"{\"$schema\": \"x\", \"dir\": \".\", \"include\": [\"*.html\", \"a b\"],\n"
		" \"on\": [{\"action\": \"exec:make \\\"$@\\\"\", \"pattern\": \"a b\\\\ "
		"c.po\"}],\n"
		" \"settle\": 50, \"verbose\": true, \"no-gitignore\": false, \"exclude\": []}");

	ck_assert_uint_eq(file->len, 7);
	expect_value(file, 0, "dir", ".");
	expect_value(file, 1, "include", "*.html");
	expect_value(file, 2, "include", "a b");
	expect_value(file, 3, "on", "a\\ b\\ c.po exec:make \"$@\"");
	expect_value(file, 4, "settle", "50");
	expect_value(file, 5, "verbose", "true");
	expect_value(file, 6, "no-gitignore", "false");
	fr_config_file_free(file);
	fr_config_file_free(NULL);
}
END_TEST

START_TEST(test_places_are_found_again)
{
	struct fr_config_file *file =
		parse("{ \"dir\": [ \"a\" ,\"\xc3\xa4\\\"]\", \"c\" ],\n\t\"settle\" : 7,\n"
		      "\"on\": [\n  {\"pattern\": \"{\", \"action\": \"log\"}, {\"pattern\": "
		      "\"b\", \"action\": \"log\"}]}");
	static const unsigned places[][2] = {{1, 12}, {1, 17}, {1, 25}, {2, 13}, {4, 3}, {4, 38}};
	unsigned line, column;

	ck_assert_uint_eq(file->len, 6);
	for (size_t i = 0; i < file->len; i++) {
		fr_config_file_locate(file, &file->values[i].place, &line, &column);
		ck_assert_msg(line == places[i][0] && column == places[i][1], "%zu: %u, %u", i,
			      line, column);
	}
	ck_assert_ptr_eq(fr_config_file_find(file, "dir", "c"), &file->values[2]);
	ck_assert_ptr_eq(fr_config_file_find(file, "dir", NULL), &file->values[0]);
	ck_assert_ptr_null(fr_config_file_find(file, "dir", "d"));
	fr_config_file_free(file);
}
END_TEST

START_TEST(test_what_is_wrong_is_said_with_its_place_and_what_was_expected)
{
	static const struct {
		const char *text, *place, *expected;
	} bad[] = {
		{"", "line 1, column 0", "expected"},
		{"{", "line 1, column 1", "expected"},
		{"{\"settle\": 10,}", "line 1, column 15", "expected"},
		{"{\"settle\": 10\n \"mercy\": 5}", "line 2, column 8", "'}' expected"},
		{"{\"settle\": 1, \"settle\": 2}", "line 1, column 22", "duplicate"},
		{"[]", "line 1, column 1", "expected an object"},
		{"null", "line 1, column 1", "expected an object"},
		{"{\n  \"setle\": 10}", "line 2, column 3", "expected one of $schema, dir, "},
		{"{\"settle\": \"10\"}", "line 1, column 12", "expected a whole number"},
		{"{\"settle\": 1.5}", "line 1, column 12", "expected a whole number"},
		{"{\"settle\": -1}", "line 1, column 12", "whole milliseconds from 0 to 60000"},
		{"{\"mercy\": 99999999999999999}", "line 1, column 11", "whole seconds"},
		{"{\"mercy\": 99999999999999999999999}", "line 1", "too big"},
		{"{\"verbose\": 1}", "line 1, column 13", "expected true or false"},
		{"{\"verbose\": null}", "line 1, column 13", "expected true or false"},
		{"{\"dir\": {}}", "line 1, column 9", "expected a string or a list"},
		{"{\"dir\": [\".\",\n 1]}", "line 2, column 2", "expected a string"},
		{"{\"include\": [\"[a\"]}", "line 1, column 14", "]"},
		{"{\"include\": [\"\"]}", "line 1, column 14", "empty"},
		{"{\"action\": \"restart\"}", "line 1, column 12", "auto, swap, reload"},
		{"{\"broken\": \"new\"}", "line 1, column 12", "old and page"},
		{"{\"on\": \"*.py log\"}", "line 1, column 8", "expected a list of rules"},
		{"{\"on\": [\"*.py log\"]}", "line 1, column 9", "\"pattern\" and \"action\""},
		{"{\"on\": [{\"pattern\": \"a\"}]}", "line 1, column 9", "no \"action\""},
		{"{\"on\": [{\"action\": \"log\"}]}", "line 1, column 9", "no \"pattern\""},
		{"{\"on\": [{\"pattern\": \"a\", \"action\": 7}]}", "line 1, column 36",
		 "expected a string"},
		{"{\"on\": [{\"pattern\": \"\", \"action\": \"log\"}]}", "line 1, column 21",
		 "something in it"},
		{"{\"on\": [{\"pattern\": \"a\", \"x\": 7}]}", "line 1, column 26",
		 "expected \"pattern\" or \"action\""},
		{"{\"on\": [{\"pattern\": \"a\", \"action\": \"signal:256\"}]}", "line 1, column 9",
		 "0 to 255"},
		{"{\"dir\": \"\\u0000\"}", "line 1", "NUL"},
		{"{\"dir\": \"\xff\"}", "line 1", "unable to decode"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fr_config_file *file = NULL;

		error[0] = '\0';
		ck_assert_msg(fr_config_file_parse(bad[i].text, strlen(bad[i].text), &file, error,
						   sizeof(error)) == -EINVAL,
			      "\"%s\" was taken", bad[i].text);
		ck_assert_ptr_null(file);
		ck_assert_msg(strncmp(error, bad[i].place, strlen(bad[i].place)) == 0 &&
				      strstr(error, bad[i].expected),
			      "%s: \"%s\"", bad[i].text, error);
	}
}
END_TEST

START_TEST(test_nesting_without_end_is_refused)
{
	size_t len = 900000;
	char *text = malloc(len + 1);
	struct fr_config_file *file = NULL;

	ck_assert_ptr_nonnull(text);
	memset(text, '[', len);
	ck_assert_int_eq(fr_config_file_parse(text, len, &file, error, sizeof(error)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "depth"));
	free(text);
}
END_TEST

START_TEST(test_only_files_of_a_sensible_size_are_read)
{
	char *folder = fr_disk_new(), *text = NULL;
	const char *path = fr_disk_at(folder, "a");
	size_t len = 0;

	ck_assert_int_eq(fr_config_file_load(path, &text, &len, error, sizeof(error)), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error, "No such file"));
	ck_assert_int_eq(fr_config_file_load(folder, &text, &len, error, sizeof(error)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "is no file"));
	ck_assert_int_eq(mkfifo(fr_disk_at(folder, "fifo"), 0600), 0);
	ck_assert_int_eq(
		fr_config_file_load(fr_disk_at(folder, "fifo"), &text, &len, error, sizeof(error)),
		-EINVAL);
	fr_disk_write(path, "{}");
	ck_assert_int_eq(fr_config_file_load(path, &text, &len, error, sizeof(error)), 0);
	ck_assert_uint_eq(len, 2);
	free(text);
	ck_assert_int_eq(truncate(path, FR_CONFIG_FILE_MAX_BYTES + 1), 0);
	ck_assert_int_eq(fr_config_file_load(path, &text, &len, error, sizeof(error)), -EFBIG);
	ck_assert_ptr_nonnull(strstr(error, "1 MiB"));
	fr_disk_free(folder);
}
END_TEST

START_TEST(test_no_memory_is_an_error)
{
	static const char text[] = "{\"dir\": [\"a\", \"b\"], \"on\": [{\"pattern\": \"a\", "
				   "\"action\": \"log\"}], \"settle\": 1}";
	bool has_failed = true;

	for (unsigned nth = 1; has_failed; nth++) {
		struct fr_config_file *file = NULL;
		int r;

		fr_allocator_fail_from(nth);
		r = fr_config_file_parse(text, sizeof(text) - 1, &file, error, sizeof(error));
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_from(0);
		ck_assert_msg(has_failed ? r < 0 : r == 0, "%u: %d", nth, r);
		fr_config_file_free(file);
	}
}
END_TEST

Suite *fr_check_config_file_suite(void)
{
	Suite *suite = suite_create("config_file");
	TCase *tcase = tcase_create("config_file");

	tcase_add_test(tcase, test_values_are_the_texts_of_the_options);
	tcase_add_test(tcase, test_places_are_found_again);
	tcase_add_test(tcase, test_what_is_wrong_is_said_with_its_place_and_what_was_expected);
	tcase_add_test(tcase, test_nesting_without_end_is_refused);
	tcase_add_test(tcase, test_only_files_of_a_sensible_size_are_read);
	tcase_add_test(tcase, test_no_memory_is_an_error);
	suite_add_tcase(suite, tcase);
	return suite;
}
