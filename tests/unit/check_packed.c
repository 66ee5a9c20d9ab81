/*
 * Files at rest: what is packed comes out as it went in, in few bytes.
 */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "watch/packed.h"

#define FILES 300

static struct fr_packer packer;
static uint64_t state;

static void setup(void)
{
	packer = (struct fr_packer){0};
	state = 1;
}

static void teardown(void)
{
	fr_packer_clear(&packer);
}

/* xorshift64*: the same on every machine. */
static uint64_t chance(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717ULL;
}

/* Small ones, large ones, and the ends of the range. */
static uint64_t number(void)
{
	switch (chance() % 4) {
	case 0:
		return chance() % 3;
	case 1:
		return UINT64_MAX - chance() % 3;
	case 2:
		return (UINT64_MAX >> 1) + chance() % 3 - 1;
	default:
		return chance() >> chance() % 64;
	}
}

static struct fr_stamp any_stamp(void)
{
	struct fr_stamp stamp = {
		.ino = number(),
		.size = (off_t)number(),
		.mtime_ns = (int64_t)number(),
		.ctime_ns = (int64_t)number(),
		.dev = (uint32_t)number(),
		.has_hash = chance() % 2,
		.is_fresh = chance() % 2,
	};

	if (chance() % 2)
		stamp.ctime_ns = stamp.mtime_ns;
	if (stamp.has_hash)
		stamp.hash = number();
	return stamp;
}

/* Bytes that no name can have are 0 and '/'. */
static void any_name(char name[NAME_MAX + 1])
{
	static const char *const ends[] = {"", ".py", "py", ".pyc", ".py.py", "."};
	size_t len = 1 + chance() % (chance() % 4 ? 12 : NAME_MAX - 6);

	for (size_t i = 0; i < len; i++) {
		char byte = (char)(1 + chance() % 255);

		name[i] = byte == '/' ? '_' : byte;
	}
	strcpy(name + len, ends[chance() % (sizeof(ends) / sizeof(*ends))]);
}

static void assert_same(const struct fr_stamp *a, const struct fr_stamp *b)
{
	ck_assert_uint_eq(a->ino, b->ino);
	ck_assert_int_eq(a->size, b->size);
	ck_assert_int_eq(a->mtime_ns, b->mtime_ns);
	ck_assert_int_eq(a->ctime_ns, b->ctime_ns);
	ck_assert_uint_eq(a->dev, b->dev);
	ck_assert_int_eq(a->is_fresh, b->is_fresh);
	ck_assert_int_eq(a->has_hash, b->has_hash);
	ck_assert(!a->has_hash || a->hash == b->hash);
}

static struct fr_packed *end(void)
{
	struct fr_packed *packed = NULL;

	ck_assert_int_eq(fr_packer_end(&packer, &packed), 0);
	return packed;
}

START_TEST(test_whatever_goes_in_comes_out)
{
	static char names[FILES][NAME_MAX + 1];
	static struct fr_stamp stamps[FILES];
	struct fr_unpacker unpacker;

	for (int round = 0; round < 50; round++) {
		uint32_t len = (uint32_t)(chance() % FILES) + 1, i;
		struct fr_packed *packed;

		for (i = 0; i < len; i++) {
			any_name(names[i]);
			stamps[i] = any_stamp();
			ck_assert_int_eq(fr_packer_add(&packer, names[i], &stamps[i]), 0);
		}
		packed = end();
		ck_assert_uint_eq(fr_packed_count(packed), len);
		fr_unpacker_init(&unpacker, packed);
		ck_assert_str_eq(unpacker.name, "");
		for (i = 0; fr_unpacker_next(&unpacker); i++) {
			ck_assert_uint_lt(i, len);
			ck_assert_str_eq(unpacker.name, names[i]);
			assert_same(&unpacker.stamp, &stamps[i]);
		}
		ck_assert_uint_eq(i, len);
		ck_assert(!fr_unpacker_next(&unpacker));
		free(packed);
	}
}
END_TEST

START_TEST(test_nothing_is_nothing)
{
	struct fr_unpacker unpacker;

	ck_assert_ptr_null(end());
	ck_assert_uint_eq(fr_packed_count(NULL), 0);
	fr_unpacker_init(&unpacker, NULL);
	ck_assert(!fr_unpacker_next(&unpacker));
	ck_assert_int_eq(fr_packer_add(&packer, "a.py", &(struct fr_stamp){0}), 0);
	fr_packer_reset(&packer);
	ck_assert_ptr_null(end());
}
END_TEST

START_TEST(test_longest_name_fits_and_a_longer_one_is_refused)
{
	struct fr_unpacker unpacker;
	struct fr_packed *packed;
	char name[NAME_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	ck_assert_int_eq(fr_packer_add(&packer, name, &(struct fr_stamp){0}), -ENAMETOOLONG);
	strcpy(name + NAME_MAX - 2, ".py");
	ck_assert_int_eq(fr_packer_add(&packer, name, &(struct fr_stamp){0}), -ENAMETOOLONG);
	strcpy(name + NAME_MAX - 3, ".py");
	ck_assert_int_eq(fr_packer_add(&packer, name, &(struct fr_stamp){0}), 0);
	packed = end();
	fr_unpacker_init(&unpacker, packed);
	ck_assert(fr_unpacker_next(&unpacker));
	ck_assert_str_eq(unpacker.name, name);
	free(packed);
}
END_TEST

/* A checkout writes a file some microseconds after the other. */
START_TEST(test_files_that_are_much_alike_take_few_bytes)
{
	struct fr_stamp stamp = {
		.dev = 2049, .ino = 5317077, .size = 1234, .mtime_ns = 1700000000123456789};
	char name[16];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "module%02d.py", i);
		stamp.ino += 1 + (ino_t)i % 3;
		stamp.mtime_ns += 20000 + i * 100;
		stamp.ctime_ns = stamp.mtime_ns;
		ck_assert_int_eq(fr_packer_add(&packer, name, &stamp), 0);
	}
	/* Eight of the name, and eight for all that is left. */
	ck_assert_uint_lt(packer.len, 100 * (8 + 8) + 20);
}
END_TEST

START_TEST(test_any_allocation_fails_and_nothing_is_lost_before)
{
	bool has_failed = true;

	for (unsigned n = 1; has_failed; n++) {
		struct fr_packed *packed = (struct fr_packed *)&packer;
		uint32_t added = 0;
		char name[16];
		int error;

		fr_packer_clear(&packer);
		fr_allocator_fail_once(n);
		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			added += fr_packer_add(&packer, name, &(struct fr_stamp){0}) == 0;
		}
		error = fr_packer_end(&packer, &packed);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
		ck_assert_uint_ge(added, 99);
		ck_assert(!has_failed || added == 99 || error == -ENOMEM);
		if (error) {
			ck_assert_ptr_eq(packed, (struct fr_packed *)&packer); /* untouched */
			continue;
		}
		ck_assert_uint_eq(fr_packed_count(packed), added);
		free(packed);
	}
}
END_TEST

Suite *fr_check_packed_suite(void)
{
	Suite *suite = suite_create("packed");
	TCase *tcase = tcase_create("packed");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_whatever_goes_in_comes_out);
	tcase_add_test(tcase, test_nothing_is_nothing);
	tcase_add_test(tcase, test_longest_name_fits_and_a_longer_one_is_refused);
	tcase_add_test(tcase, test_files_that_are_much_alike_take_few_bytes);
	tcase_add_test(tcase, test_any_allocation_fails_and_nothing_is_lost_before);
	suite_add_tcase(suite, tcase);
	return suite;
}
