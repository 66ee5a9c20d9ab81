/*
 * roll: how two moments of a folder of vassals differ.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "allocator.h"
#include "emperor/roll.h"

static struct fr_roll before, now;

static void teardown(void)
{
	fr_roll_clear(&before);
	fr_roll_clear(&now);
}

static struct stat file(ino_t ino, off_t size, long mtime_s, long mtime_ns)
{
	return (struct stat){
		.st_ino = ino,
		.st_size = size,
		.st_mtim = {.tv_sec = mtime_s, .tv_nsec = mtime_ns},
	};
}

static void add(struct fr_roll *roll, const char *name, struct stat st)
{
	ck_assert_int_eq(fr_roll_add(roll, name, &st), 0);
}

/* Makes `before` the successor of nothing, as at the first look. */
static void begin(void)
{
	struct fr_roll nothing = {0};

	fr_roll_follow(&before, &nothing);
}

static bool is_changed(const char *name)
{
	const struct fr_roll_entry *entry = fr_roll_find(&now, name);

	ck_assert_ptr_nonnull(entry);
	return entry->is_changed;
}

START_TEST(test_an_empty_roll_knows_nobody)
{
	begin();
	ck_assert_ptr_null(fr_roll_find(&before, "shop.ini"));
	fr_roll_follow(&now, &before);
	ck_assert_uint_eq(now.len, 0);
}
END_TEST

START_TEST(test_what_is_new_is_not_changed_and_what_is_gone_is_not_there)
{
	add(&before, "old.ini", file(1, 10, 100, 0));
	begin();
	add(&now, "new.ini", file(2, 10, 200, 0));
	fr_roll_follow(&now, &before);
	ck_assert(!is_changed("new.ini"));
	ck_assert_ptr_null(fr_roll_find(&now, "old.ini"));
	ck_assert_uint_eq(before.len, 0);
}
END_TEST

START_TEST(test_each_difference_is_a_change)
{
	add(&before, "same.ini", file(1, 10, 100, 5));
	add(&before, "touched.ini", file(2, 10, 100, 5));
	add(&before, "older.ini", file(3, 10, 100, 5));
	add(&before, "replaced.ini", file(4, 10, 100, 5));
	add(&before, "longer.ini", file(5, 10, 100, 5));
	begin();
	add(&now, "touched.ini", file(2, 10, 100, 6)); /* within the second */
	add(&now, "older.ini", file(3, 10, 90, 5));    /* from an archive */
	add(&now, "replaced.ini", file(14, 10, 100, 5));
	add(&now, "longer.ini", file(5, 11, 100, 5));
	add(&now, "same.ini", file(1, 10, 100, 5));
	fr_roll_follow(&now, &before);
	ck_assert(!is_changed("same.ini"));
	ck_assert(is_changed("touched.ini"));
	ck_assert(is_changed("older.ini"));
	ck_assert(is_changed("replaced.ini"));
	ck_assert(is_changed("longer.ini"));
	ck_assert_int_eq(fr_roll_find(&now, "older.ini")->mtime_s, 90);
}
END_TEST

START_TEST(test_mode_and_owner_are_no_change)
{
	struct stat st = file(1, 10, 100, 0);

	add(&before, "shop.ini", st);
	begin();
	st.st_mode = S_IFREG | 0600;
	st.st_uid = 33;
	st.st_ctim.tv_sec = 300;
	add(&now, "shop.ini", st);
	fr_roll_follow(&now, &before);
	ck_assert(!is_changed("shop.ini"));
}
END_TEST

START_TEST(test_a_change_stays_until_it_is_cleared_and_notes_are_kept)
{
	struct fr_roll later = {0};

	add(&before, "shop.ini", file(1, 10, 100, 0));
	begin();
	add(&now, "shop.ini", file(1, 20, 101, 0));
	fr_roll_follow(&now, &before);
	fr_roll_find(&now, "shop.ini")->forgave_ms = 78;

	add(&later, "shop.ini", file(1, 20, 101, 0));
	fr_roll_follow(&later, &now);
	ck_assert(fr_roll_find(&later, "shop.ini")->is_changed);
	ck_assert_int_eq(fr_roll_find(&later, "shop.ini")->forgave_ms, 78);

	fr_roll_find(&later, "shop.ini")->is_changed = false;
	add(&now, "shop.ini", file(1, 20, 101, 0));
	fr_roll_follow(&now, &later);
	ck_assert(!is_changed("shop.ini"));
}
END_TEST

START_TEST(test_two_hundred_are_told_apart)
{
	char name[32];

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%d.ini", (i * 7) % 200);
		add(&before, name, file((ino_t)(i * 7) % 200, 1, 1, 0));
	}
	begin();
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%d.ini", i);
		add(&now, name, file((ino_t)i, 1, 1, i == 123));
	}
	fr_roll_follow(&now, &before);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%d.ini", i);
		ck_assert(is_changed(name) == (i == 123));
	}
}
END_TEST

START_TEST(test_no_memory_is_said_and_leaves_the_roll_whole)
{
	struct stat st = file(1, 10, 100, 0);

	for (unsigned nth = 1; nth <= 2; nth++) {
		int error;

		fr_roll_clear(&now);
		fr_allocator_fail_once(nth);
		error = fr_roll_add(&now, "shop.ini", &st);
		fr_allocator_fail_from(0);
		ck_assert_int_eq(error, -ENOMEM);
		ck_assert_uint_eq(now.len, 0);
	}
	add(&now, "shop.ini", st);
	ck_assert_uint_eq(now.len, 1);
}
END_TEST

Suite *fr_check_roll_suite(void);

Suite *fr_check_roll_suite(void)
{
	Suite *suite = suite_create("roll");
	TCase *tcase = tcase_create("roll");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, test_an_empty_roll_knows_nobody);
	tcase_add_test(tcase, test_what_is_new_is_not_changed_and_what_is_gone_is_not_there);
	tcase_add_test(tcase, test_each_difference_is_a_change);
	tcase_add_test(tcase, test_mode_and_owner_are_no_change);
	tcase_add_test(tcase, test_a_change_stays_until_it_is_cleared_and_notes_are_kept);
	tcase_add_test(tcase, test_two_hundred_are_told_apart);
	tcase_add_test(tcase, test_no_memory_is_said_and_leaves_the_roll_whole);
	suite_add_tcase(suite, tcase);
	return suite;
}
