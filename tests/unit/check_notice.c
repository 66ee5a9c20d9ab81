/*
 * check_notice: the file that says what changed is JSON whatever the paths are, and is replaced as
 * a whole.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "report/notice.h"

Suite *fr_check_notice_suite(void);

static char *folder;
static struct fr_notice *notice;

static void setup(void)
{
	folder = fr_disk_new();
	ck_assert_int_eq(fr_notice_new(fr_disk_at(folder, "changes.json"), &notice), 0);
}

static void teardown(void)
{
	fr_notice_free(notice);
	fr_notice_free(NULL);
	fr_disk_free(folder);
}

static void write_one(const char *path)
{
	const struct fr_notice_change change = {path, "changed", 17};

	ck_assert_int_eq(fr_notice_write(notice, &change, 1), 0);
}

static json_t *read_back(void)
{
	json_error_t error;
	json_t *root = json_load_file(fr_disk_at(folder, "changes.json"), 0, &error);

	ck_assert_msg(root, "%d:%d: %s", error.line, error.column, error.text);
	return root;
}

static const char *first_path(const json_t *batch)
{
	return json_string_value(
		json_object_get(json_array_get(json_object_get(batch, "changes"), 0), "path"));
}

START_TEST(test_newest_batch_comes_first_and_a_few_before_it_stay)
{
	json_t *root, *earlier;
	char name[16];

	for (int i = 1; i <= FR_NOTICE_MAX_BATCHES + 2; i++) {
		snprintf(name, sizeof(name), "/a%d", i);
		write_one(name);
	}
	root = read_back();
	earlier = json_object_get(root, "earlier");
	ck_assert_int_eq(json_integer_value(json_object_get(root, "version")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(root, "batch")),
			 FR_NOTICE_MAX_BATCHES + 2);
	ck_assert_str_eq(first_path(root), name);
	ck_assert_uint_eq(json_array_size(earlier), FR_NOTICE_MAX_BATCHES - 1);
	ck_assert_str_eq(first_path(json_array_get(earlier, FR_NOTICE_MAX_BATCHES - 2)), "/a3");
	ck_assert_int_lt(access(fr_disk_at(folder, "changes.json.new"), F_OK), 0);
	json_decref(root);
}
END_TEST

START_TEST(test_any_text_is_a_string)
{
	static const char name[] = "/a\"\\\n\x01\x7f\xc3\xa4\xf0\x9f\x98\x80";
	json_t *root;

	write_one(name);
	root = read_back();
	ck_assert_str_eq(first_path(root), name);
	json_decref(root);
}
END_TEST

START_TEST(test_bytes_that_are_no_text_are_lone_surrogates)
{
	char text[256] = "";
	FILE *file;

	write_one("/\xff\xc3(");
	file = fopen(fr_disk_at(folder, "changes.json"), "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, file), 0);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, "\"/\\udcff\\udcc3(\""));
}
END_TEST

START_TEST(test_a_storm_is_cut_and_counted)
{
	static struct fr_notice_change many[FR_NOTICE_MAX_CHANGES + 5];
	json_t *root;

	for (size_t i = 0; i < FR_NOTICE_MAX_CHANGES + 5; i++)
		many[i] = (struct fr_notice_change){"/a", "added", 1};
	ck_assert_int_eq(fr_notice_write(notice, many, FR_NOTICE_MAX_CHANGES + 5), 0);
	root = read_back();
	ck_assert_int_eq(json_integer_value(json_object_get(root, "total")),
			 FR_NOTICE_MAX_CHANGES + 5);
	ck_assert_uint_eq(json_array_size(json_object_get(root, "changes")), FR_NOTICE_MAX_CHANGES);
	json_decref(root);
}
END_TEST

START_TEST(test_what_cannot_be_written_leaves_the_file_as_it_was)
{
	const struct fr_notice_change change = {"/b", "changed", 17};
	json_t *root;

	write_one("/a");
	fr_disk_mkdir(fr_disk_at(folder, "changes.json.new"));
	ck_assert_int_eq(fr_notice_write(notice, &change, 1), -EISDIR);
	root = read_back();
	ck_assert_str_eq(first_path(root), "/a");
	json_decref(root);
}
END_TEST

Suite *fr_check_notice_suite(void)
{
	Suite *suite = suite_create("notice");
	TCase *tcase = tcase_create("notice");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_newest_batch_comes_first_and_a_few_before_it_stay);
	tcase_add_test(tcase, test_any_text_is_a_string);
	tcase_add_test(tcase, test_bytes_that_are_no_text_are_lone_surrogates);
	tcase_add_test(tcase, test_a_storm_is_cut_and_counted);
	tcase_add_test(tcase, test_what_cannot_be_written_leaves_the_file_as_it_was);
	suite_add_tcase(suite, tcase);
	return suite;
}
