/*
 * The names in a folder: all of them, each once, whatever their number.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "watch/names.h"

#define MANY 3000

static char *folder;
static struct fr_names names;

static void setup(void)
{
	folder = fr_disk_new();
	fr_names_init(&names);
}

static void teardown(void)
{
	fr_names_clear(&names);
	fr_disk_free(folder);
}

/* A name so long that a buffer has no room for many. */
static const char *long_name(int i)
{
	static char name[64];

	snprintf(name, sizeof(name), "%04d-a-name-that-is-rather-long-for-one.py", i);
	return name;
}

static void write_many(int len)
{
	for (int i = 0; i < len; i++)
		fr_disk_write(fr_disk_at(folder, long_name(i)), "");
}

START_TEST(test_each_name_comes_once_with_its_type)
{
	struct fr_name name;
	int files = 0, folders = 0;

	fr_disk_write(fr_disk_at(folder, "\xff\x80.py"), "");
	fr_disk_write(fr_disk_at(folder, "..."), "");
	fr_disk_mkdir(fr_disk_at(folder, "sub"));
	ck_assert_int_eq(fr_names_open(&names, folder), 0);
	ck_assert(names.is_whole);
	while (fr_names_next(&names, &name) > 0) {
		if (strcmp(name.text, "sub") == 0) {
			ck_assert(name.type == DT_DIR || name.type == DT_UNKNOWN);
			folders++;
		} else {
			ck_assert(name.type == DT_REG || name.type == DT_UNKNOWN);
			files++;
		}
	}
	ck_assert_int_eq(files, 2);
	ck_assert_int_eq(folders, 1);
	ck_assert_int_eq(fr_names_next(&names, &name), 0);
	ck_assert(fr_names_may_have(&names, "..."));
	ck_assert(fr_names_may_have(&names, "\xff\x80.py"));
	ck_assert(!fr_names_may_have(&names, "su"));
	ck_assert(!fr_names_may_have(&names, "subs"));
}
END_TEST

START_TEST(test_more_names_than_a_buffer_holds_all_come)
{
	static bool has_come[MANY];
	struct fr_name name;
	int result, len = 0;

	write_many(MANY);
	ck_assert_int_eq(fr_names_open(&names, folder), 0);
	ck_assert(!names.is_whole);
	ck_assert(fr_names_may_have(&names, "no such name"));
	while ((result = fr_names_next(&names, &name)) > 0) {
		int i = atoi(name.text);

		ck_assert_int_lt(i, MANY);
		ck_assert_str_eq(name.text, long_name(i));
		ck_assert(!has_come[i]);
		has_come[i] = true;
		len++;
	}
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(len, MANY);
}
END_TEST

START_TEST(test_empty_folder_has_no_name_and_is_opened_again)
{
	struct fr_name name;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(fr_names_open(&names, folder), 0);
		ck_assert_int_ge(names.fd, 0);
		ck_assert(names.is_whole);
		ck_assert_int_eq(fr_names_next(&names, &name), 0);
		fr_names_close(&names);
		ck_assert_int_eq(names.fd, -1);
	}
}
END_TEST

START_TEST(test_what_is_no_folder_is_an_error)
{
	fr_disk_write(fr_disk_at(folder, "file"), "");
	ck_assert_int_eq(mkfifo(fr_disk_at(folder, "fifo"), 0600), 0);
	ck_assert_int_eq(fr_names_open(&names, fr_disk_at(folder, "gone")), -ENOENT);
	ck_assert_int_eq(fr_names_open(&names, fr_disk_at(folder, "file")), -ENOTDIR);
	ck_assert_int_eq(fr_names_open(&names, fr_disk_at(folder, "fifo")), -ENOTDIR);
	ck_assert_int_eq(names.fd, -1);
}
END_TEST

/* getdents64(2) of a deleted folder fails, and readdir(3) says that this is its end. */
START_TEST(test_folder_that_is_deleted_has_an_end)
{
	struct fr_name name;
	int len = 0;

	fr_disk_mkdir(fr_disk_at(folder, "sub"));
	write_many(MANY);
	ck_assert_int_eq(fr_names_open(&names, folder), 0);
	ck_assert_int_eq(fr_disk_remove(folder), 0);
	while (fr_names_next(&names, &name) > 0)
		len++;
	ck_assert_int_eq(fr_names_next(&names, &name), 0);
	ck_assert_int_le(len, MANY + 1);
}
END_TEST

START_TEST(test_no_memory_is_an_error)
{
	int error;

	fr_allocator_fail_once(1);
	error = fr_names_open(&names, folder);
	fr_allocator_fail_once(0);
	ck_assert_int_eq(error, -ENOMEM);
	ck_assert_int_eq(names.fd, -1);
	ck_assert_int_eq(fr_names_open(&names, folder), 0);
}
END_TEST

START_TEST(test_descriptor_closes_at_exec)
{
	ck_assert_int_eq(fr_names_open(&names, folder), 0);
	ck_assert(fcntl(names.fd, F_GETFD) & FD_CLOEXEC);
}
END_TEST

Suite *fr_check_names_suite(void)
{
	Suite *suite = suite_create("names");
	TCase *tcase = tcase_create("names");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_each_name_comes_once_with_its_type);
	tcase_add_test(tcase, test_more_names_than_a_buffer_holds_all_come);
	tcase_add_test(tcase, test_empty_folder_has_no_name_and_is_opened_again);
	tcase_add_test(tcase, test_what_is_no_folder_is_an_error);
	tcase_add_test(tcase, test_folder_that_is_deleted_has_an_end);
	tcase_add_test(tcase, test_no_memory_is_an_error);
	tcase_add_test(tcase, test_descriptor_closes_at_exec);
	suite_add_tcase(suite, tcase);
	return suite;
}
