/*
 * From what may have changed to what has, a slice at a time.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator.h"
#include "decide/batch.h"
#include "disk.h"
#include "watch/changes.h"
#include "world.h"

static struct fr_world world;
static struct fr_changes changes;

static void setup(void)
{
	fr_world_init(&world, &fr_inotify_ops);
	changes = (struct fr_changes){0};
}

static void teardown(void)
{
	fr_changes_clear(&changes);
	fr_world_clear(&world);
}

/* Items "f0.py", "f1.py", … of the root. */
static struct fr_batch_item *items(size_t len)
{
	struct fr_batch_item *made = calloc(len + 1, sizeof(*made));
	char name[32];

	ck_assert_ptr_nonnull(made);
	for (size_t i = 0; i < len; i++) {
		snprintf(name, sizeof(name), "f%zu.py", i);
		made[i] = (struct fr_batch_item){strdup(fr_disk_at(world.root, name)), true};
	}
	return made;
}

static void write_files(size_t len, const char *text)
{
	char name[32];

	for (size_t i = 0; i < len; i++) {
		snprintf(name, sizeof(name), "f%zu.py", i);
		fr_disk_write(fr_disk_at(world.root, name), text);
	}
}

static bool has_cache(const char *name)
{
	return access(fr_disk_at(fr_disk_at(world.root, "__pycache__"), name), F_OK) == 0;
}

static void make_cache(const char *name)
{
	fr_disk_mkdir(fr_disk_at(world.root, "__pycache__"));
	fr_disk_write(fr_disk_at(fr_disk_at(world.root, "__pycache__"), name), "");
}

START_TEST(test_only_what_changed_is_kept_in_the_order_of_the_batch)
{
	write_files(4, "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(fr_disk_at(world.root, "f3.py"), "two");
	fr_disk_write(fr_disk_at(world.root, "f1.py"), "two");
	ck_assert_int_eq(fr_disk_remove(fr_disk_at(world.root, "f0.py")), 0);
	fr_disk_write(fr_disk_at(world.root, "f4.py"), "one");
	ck_assert(!fr_changes_is_open(&changes));
	ck_assert_int_eq(fr_changes_begin(&changes, items(5), 5), 0);
	ck_assert(fr_changes_is_open(&changes));
	ck_assert(!fr_changes_step(&changes, world.watcher));
	ck_assert_uint_eq(changes.len, 4);
	ck_assert_str_eq(changes.paths[0], fr_disk_at(world.root, "f0.py"));
	ck_assert_int_eq(changes.kinds[0], FR_CHANGE_REMOVED);
	ck_assert_int_eq(changes.kinds[1], FR_CHANGE_MODIFIED);
	ck_assert_int_eq(changes.kinds[2], FR_CHANGE_MODIFIED);
	ck_assert_int_eq(changes.kinds[3], FR_CHANGE_ADDED);
	fr_changes_clear(&changes);
	ck_assert(!fr_changes_is_open(&changes));
}
END_TEST

START_TEST(test_many_files_are_verified_in_slices)
{
	unsigned steps = 1;

	write_files(900, "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	write_files(900, "two");
	ck_assert_int_eq(fr_changes_begin(&changes, items(900), 900), 0);
	while (fr_changes_step(&changes, world.watcher))
		steps++;
	ck_assert_uint_ge(steps, 4);
	ck_assert_uint_eq(changes.len, 900);
}
END_TEST

/* The same content again: below a storm it is read and found the same, in a storm the new times are
 * believed. */
START_TEST(test_storm_is_taken_without_reading)
{
	write_files(1000, "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	write_files(1000, "one");
	ck_assert_int_eq(fr_changes_begin(&changes, items(999), 999), 0);
	while (fr_changes_step(&changes, world.watcher))
		continue;
	ck_assert_uint_eq(changes.len, 0);
	fr_changes_clear(&changes);
	write_files(1000, "one");
	ck_assert_int_eq(fr_changes_begin(&changes, items(1000), 1000), 0);
	while (fr_changes_step(&changes, world.watcher))
		continue;
	ck_assert_uint_eq(changes.len, 1000);
}
END_TEST

START_TEST(test_bytecode_goes_with_a_changed_source_only)
{
	write_files(4, "one");
	make_cache("f0.cpython-311.pyc");
	make_cache("f1.cpython-311.pyc");
	make_cache("f2.cpython-311.pyc");
	make_cache("f3.cpython-311.pyc");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(fr_disk_at(world.root, "f0.py"), "two");
	fr_disk_write(fr_disk_at(world.root, "f1.py"), "one");
	fr_disk_set_time(fr_disk_at(world.root, "f2.py"), 1000000000);
	ck_assert_int_eq(fr_disk_remove(fr_disk_at(world.root, "f3.py")), 0);
	ck_assert_int_eq(fr_changes_begin(&changes, items(4), 4), 0);
	changes.items[2].was_written = false;
	ck_assert(!fr_changes_step(&changes, world.watcher));
	ck_assert_uint_eq(changes.len, 3);
	ck_assert_int_eq(changes.kinds[1], FR_CHANGE_TOUCHED);
	ck_assert(!has_cache("f0.cpython-311.pyc"));
	ck_assert(has_cache("f1.cpython-311.pyc"));
	ck_assert(has_cache("f2.cpython-311.pyc"));
	ck_assert(!has_cache("f3.cpython-311.pyc"));
}
END_TEST

START_TEST(test_nothing_to_verify_is_done_at_once)
{
	ck_assert_int_eq(fr_changes_begin(&changes, NULL, 0), 0);
	ck_assert(fr_changes_is_open(&changes));
	ck_assert(!fr_changes_step(&changes, world.watcher));
	fr_changes_clear(&changes);
	fr_changes_clear(&changes);
}
END_TEST

START_TEST(test_no_memory_frees_the_items)
{
	for (unsigned n = 1; n <= 2; n++) {
		struct fr_batch_item *made = items(3);
		int error;

		fr_allocator_fail_once(n);
		error = fr_changes_begin(&changes, made, 3);
		fr_allocator_fail_once(0);
		ck_assert_int_eq(error, -ENOMEM);
		ck_assert(!fr_changes_is_open(&changes));
	}
}
END_TEST

START_TEST(test_each_kind_has_its_word)
{
	ck_assert_str_eq(fr_change_word(FR_CHANGE_ADDED), "added");
	ck_assert_str_eq(fr_change_word(FR_CHANGE_MODIFIED), "changed");
	ck_assert_str_eq(fr_change_word(FR_CHANGE_TOUCHED), "touched");
	ck_assert_str_eq(fr_change_word(FR_CHANGE_REMOVED), "removed");
	ck_assert_str_eq(fr_change_word(FR_CHANGE_NONE), "unchanged");
}
END_TEST

Suite *fr_check_changes_suite(void)
{
	Suite *suite = suite_create("changes");
	TCase *tcase = tcase_create("changes");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_only_what_changed_is_kept_in_the_order_of_the_batch);
	tcase_add_test(tcase, test_many_files_are_verified_in_slices);
	tcase_add_test(tcase, test_storm_is_taken_without_reading);
	tcase_add_test(tcase, test_bytecode_goes_with_a_changed_source_only);
	tcase_add_test(tcase, test_nothing_to_verify_is_done_at_once);
	tcase_add_test(tcase, test_no_memory_frees_the_items);
	tcase_add_test(tcase, test_each_kind_has_its_word);
	suite_add_tcase(suite, tcase);
	return suite;
}
