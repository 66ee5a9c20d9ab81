/*
 * lookout: the folders that are watched for an Emperor, with the kernel's notifications.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "emperor/lookout.h"

static char *folder;
static struct fr_lookout *lookout;
static char heard[16384];

static void setup(void)
{
	folder = fr_disk_new();
	ck_assert_int_eq(fr_lookout_new(&fr_inotify_ops, &lookout), 0);
	fr_disk_mkdir(fr_disk_at(folder, "vassals"));
	fr_disk_mkdir(fr_disk_at(folder, "srv"));
}

static void teardown(void)
{
	fr_lookout_free(lookout);
	lookout = NULL;
	fr_disk_free(folder);
}

/* Notes "folder/name " for each entry, once in a row, and "? " for what nobody knows. */
static void note(void *ctx, const char *where, const char *name, enum fr_hint hint)
{
	char text[2 * PATH_MAX];
	size_t len = strlen(heard), text_len;

	(void)hint;
	ck_assert_ptr_eq(ctx, &heard);
	if (where)
		snprintf(text, sizeof(text), "%s/%s ", where + strlen(folder) + 1, name);
	else
		snprintf(text, sizeof(text), "? ");
	text_len = strlen(text);
	if (len < text_len || strcmp(heard + len - text_len, text) != 0)
		snprintf(heard + len, sizeof(heard) - len, "%s", text);
}

static const char *listen_now(void)
{
	heard[0] = '\0';
	while (fr_lookout_step(lookout, note, &heard) > 0)
		;
	return heard;
}

static unsigned long end(int expected)
{
	unsigned long wanted;

	ck_assert_int_eq(fr_lookout_end(lookout, &wanted), expected);
	return wanted;
}

static void write_file(const char *name)
{
	fr_disk_write(fr_disk_at(folder, name), "[uwsgi]\n");
}

START_TEST(test_only_what_matters_is_heard)
{
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, fr_disk_at(folder, "vassals"), "*.ini", true);
	fr_lookout_post(lookout, fr_disk_at(folder, "srv"), "real*.ini", false);
	fr_lookout_post(lookout, fr_disk_at(folder, "srv"), "other.ini", false);
	ck_assert_uint_eq(end(0), 2);
	write_file("vassals/shop.ini");
	write_file("vassals/shop.log");
	write_file("srv/real1.ini"); /* no pattern */
	write_file("srv/real*.ini");
	write_file("srv/other.ini");
	write_file("vassals/.shop.ini"); /* as glob(3) has it */
	ck_assert_str_eq(listen_now(), "vassals/shop.ini srv/real*.ini srv/other.ini ");
	ck_assert_str_eq(listen_now(), "");
}
END_TEST

START_TEST(test_what_is_not_given_again_is_not_heard_any_more)
{
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, fr_disk_at(folder, "vassals"), "*", true);
	fr_lookout_post(lookout, fr_disk_at(folder, "srv"), "a.ini", false);
	fr_lookout_post(lookout, fr_disk_at(folder, "srv"), "b.ini", false);
	ck_assert_uint_eq(end(0), 2);
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, fr_disk_at(folder, "srv"), "b.ini", false);
	ck_assert_uint_eq(end(0), 1);
	write_file("vassals/shop.ini");
	write_file("srv/a.ini");
	write_file("srv/b.ini");
	ck_assert_str_eq(listen_now(), "srv/b.ini ");
}
END_TEST

START_TEST(test_a_folder_that_goes_is_said_and_watched_when_it_is_back)
{
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, fr_disk_at(folder, "vassals"), "*", true);
	end(0);
	ck_assert_int_eq(rmdir(fr_disk_at(folder, "vassals")), 0);
	ck_assert_str_eq(listen_now(), "? ");
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, fr_disk_at(folder, "vassals"), "*", true);
	ck_assert_uint_eq(end(0), 1); /* one that is missing is no error */
	fr_disk_mkdir(fr_disk_at(folder, "vassals"));
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, fr_disk_at(folder, "vassals"), "*", true);
	end(0);
	write_file("vassals/shop.ini");
	ck_assert_str_eq(listen_now(), "vassals/shop.ini ");
}
END_TEST

START_TEST(test_another_folder_of_the_same_name_is_watched_without_a_word)
{
	fr_disk_mkdir(fr_disk_at(folder, "fresh"));
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, fr_disk_at(folder, "vassals"), "*", true);
	end(0);
	ck_assert_int_eq(rename(fr_disk_at(folder, "vassals"), fr_disk_at(folder, "away")), 0);
	ck_assert_int_eq(rename(fr_disk_at(folder, "fresh"), fr_disk_at(folder, "vassals")), 0);
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, fr_disk_at(folder, "vassals"), "*", true);
	end(0);
	listen_now();
	write_file("away/shop.ini");
	write_file("vassals/new.ini");
	ck_assert_str_eq(listen_now(), "vassals/new.ini ");
}
END_TEST

/* ---- a source at its limits ---- */

static int full_add(struct fr_source *source, struct fr_node *node, const char *path)
{
	(void)source;
	(void)node;
	return strstr(path, "srv") ? -ENOSPC : 0;
}

static int full_open(struct fr_source **ret_source)
{
	(void)ret_source;
	return -EMFILE;
}

START_TEST(test_limits_are_said_with_what_is_needed)
{
	static struct fr_source_ops ops; /* used until the teardown */
	struct fr_lookout *other = NULL;

	fr_lookout_free(lookout);
	lookout = NULL;
	ops = fr_inotify_ops;
	ops.add = full_add;
	ck_assert_int_eq(fr_lookout_new(&ops, &lookout), 0);
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, "/vassals", "*", true);
	fr_lookout_post(lookout, "/srv/a", "a.ini", false);
	fr_lookout_post(lookout, "/srv/b", "b.ini", false);
	ck_assert_uint_eq(end(-ENOSPC), 3);
	fr_lookout_begin(lookout);
	fr_lookout_post(lookout, "/vassals", "*", true);
	ck_assert_uint_eq(end(0), 1);
	ops.open = full_open;
	ck_assert_int_eq(fr_lookout_new(&ops, &other), -EMFILE);
	ck_assert_ptr_null(other);
	fr_lookout_free(NULL);
}
END_TEST

START_TEST(test_no_memory_is_said_and_nothing_is_left_behind)
{
	for (unsigned nth = 1; nth <= 6; nth++) {
		struct fr_lookout *other = NULL;
		int error;

		fr_allocator_fail_once(nth);
		error = fr_lookout_new(&fr_inotify_ops, &other);
		fr_allocator_fail_from(0);
		ck_assert_int_eq(error, -ENOMEM);
		ck_assert_ptr_null(other);
	}
	for (unsigned nth = 1; nth <= 2; nth++) {
		fr_lookout_begin(lookout);
		fr_allocator_fail_once(nth);
		fr_lookout_post(lookout, folder, nth == 1 ? "a.ini" : "b.ini", false);
		fr_allocator_fail_from(0);
		end(-ENOMEM);
	}
}
END_TEST

Suite *fr_check_lookout_suite(void);

Suite *fr_check_lookout_suite(void)
{
	Suite *suite = suite_create("lookout");
	TCase *tcase = tcase_create("lookout");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_only_what_matters_is_heard);
	tcase_add_test(tcase, test_what_is_not_given_again_is_not_heard_any_more);
	tcase_add_test(tcase, test_a_folder_that_goes_is_said_and_watched_when_it_is_back);
	tcase_add_test(tcase, test_another_folder_of_the_same_name_is_watched_without_a_word);
	tcase_add_test(tcase, test_limits_are_said_with_what_is_needed);
	tcase_add_test(tcase, test_no_memory_is_said_and_nothing_is_left_behind);
	suite_add_tcase(suite, tcase);
	return suite;
}
