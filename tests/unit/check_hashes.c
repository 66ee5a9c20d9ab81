/*
 * Hashes by number, in memory that two processes share.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator.h"
#include "watch/hashes.h"
#include "watch/tree.h"

#define LARGEST (UINT64_MAX >> (64 - FR_STAMP_HASH_BITS))

START_TEST(test_what_is_put_is_there_and_nothing_else)
{
	const uint64_t values[] = {0, 1, LARGEST};
	struct fr_hashes *hashes;

	ck_assert_int_eq(fr_hashes_new(6, &hashes), 0);
	for (uint32_t i = 0; i < 6; i++) {
		struct fr_stamp put = {.hash = values[i / 2], .has_hash = true, .is_fresh = i % 2};
		struct fr_stamp got = {.ino = 7, .is_fresh = !(i % 2)};

		ck_assert(!fr_hashes_get(hashes, i + 1, &got));
		ck_assert(!got.has_hash);
		fr_hashes_put(hashes, i + 1, &put);
		ck_assert(fr_hashes_get(hashes, i + 1, &got));
		ck_assert(got.has_hash && got.is_fresh == put.is_fresh && got.ino == 7);
		ck_assert_uint_eq(got.hash, put.hash);
	}
	fr_hashes_free(hashes);
	fr_hashes_free(NULL);
}
END_TEST

START_TEST(test_number_that_is_none_means_nothing)
{
	struct fr_stamp stamp = {.hash = 5, .has_hash = true};
	struct fr_hashes *hashes;

	ck_assert_int_eq(fr_hashes_new(1, &hashes), 0);
	fr_hashes_put(hashes, 0, &stamp);
	fr_hashes_put(hashes, 2, &stamp);
	ck_assert(!fr_hashes_get(hashes, 0, &stamp));
	ck_assert(!fr_hashes_get(hashes, 1, &stamp));
	ck_assert(!fr_hashes_get(hashes, 2, &stamp));
	ck_assert(!fr_hashes_get(NULL, 1, &stamp));
	fr_hashes_free(hashes);
}
END_TEST

START_TEST(test_child_puts_and_parent_gets)
{
	struct fr_stamp stamp = {.hash = 12345, .has_hash = true};
	struct fr_hashes *hashes;
	pid_t child;
	int status;

	ck_assert_int_eq(fr_hashes_new(100000, &hashes), 0);
	child = fork();
	if (child == 0) {
		fr_hashes_put(hashes, 100000, &stamp);
		fr_hashes_free(hashes);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	stamp = (struct fr_stamp){0};
	ck_assert(fr_hashes_get(hashes, 100000, &stamp));
	ck_assert_uint_eq(stamp.hash, 12345);
	ck_assert(!fr_hashes_get(hashes, 99999, &stamp));
	fr_hashes_free(hashes);
}
END_TEST

START_TEST(test_no_room_is_an_error)
{
	struct fr_hashes *hashes;
	int error;

	ck_assert_int_eq(fr_hashes_new(0, &hashes), -ENOMEM);
	ck_assert_int_eq(fr_hashes_new(SIZE_MAX, &hashes), -ENOMEM);
	fr_allocator_fail_once(1);
	error = fr_hashes_new(1, &hashes);
	fr_allocator_fail_once(0);
	ck_assert_int_eq(error, -ENOMEM);
}
END_TEST

Suite *fr_check_hashes_suite(void)
{
	Suite *suite = suite_create("hashes");
	TCase *tcase = tcase_create("hashes");

	tcase_add_test(tcase, test_what_is_put_is_there_and_nothing_else);
	tcase_add_test(tcase, test_number_that_is_none_means_nothing);
	tcase_add_test(tcase, test_child_puts_and_parent_gets);
	tcase_add_test(tcase, test_no_room_is_an_error);
	suite_add_tcase(suite, tcase);
	return suite;
}
