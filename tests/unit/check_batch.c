/*
 * The batch with a clock that the cases make up: tests/cases/batch, one sentence a file.
 *
 *	{"name", "state": {settle_ms, gone_ms, writing_ms, bound_ms},
 *	 "events": [{"time_ms", "path", "hint", "repeat": N}],		repeat: the path is a printf
 *format, for 0 to N - 1 "expected": [{"time_ms", "items": [{"path", "was_written"}], "len",
 *"overflowed"}]}
 *
 * "time_ms" is when the batch is ready; it is taken then. "len" stands instead of a list of items.
 */
#include <check.h>
#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "decide/batch.h"

static glob_t cases;

static int64_t integer(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(object, key);

	return value ? (int64_t)json_integer_value(value) : otherwise;
}

static enum fr_batch_hint hint_of(const json_t *event)
{
	static const char *const words[] = {
		[FR_BATCH_WRITING] = "writing",
		[FR_BATCH_WRITTEN] = "written",
		[FR_BATCH_ATTRIB] = "attrib",
		[FR_BATCH_GONE] = "gone",
	};
	const char *word = json_string_value(json_object_get(event, "hint"));

	for (size_t i = 0; word && i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(word, words[i]) == 0)
			return (enum fr_batch_hint)i;
	}
	ck_abort_msg("what is the hint \"%s\"?", word ? word : "(none)");
	return FR_BATCH_WRITING;
}

static void note(struct fr_batch *batch, const json_t *event)
{
	const char *path = json_string_value(json_object_get(event, "path"));
	int64_t repeat = integer(event, "repeat", 0);
	char numbered[64];

	ck_assert_ptr_nonnull(path);
	if (!repeat)
		fr_batch_note(batch, path, hint_of(event), integer(event, "time_ms", 0));
	for (int64_t i = 0; i < repeat; i++) {
		const char *at = strstr(path, "%d");

		ck_assert_ptr_nonnull(at);
		snprintf(numbered, sizeof(numbered), "%.*s%lld%s", (int)(at - path), path,
			 (long long)i, at + 2);
		fr_batch_note(batch, numbered, hint_of(event), integer(event, "time_ms", 0));
	}
}

static void compare_items(const char *file, const json_t *expected,
			  const struct fr_batch_item *items, size_t len)
{
	const json_t *wanted = json_object_get(expected, "items"), *item;
	size_t i;

	if (!wanted) {
		ck_assert_msg((int64_t)len == integer(expected, "len", -1), "%s: %zu items", file,
			      len);
		return;
	}
	ck_assert_msg(len == json_array_size(wanted), "%s: %zu items", file, len);
	json_array_foreach(wanted, i, item)
	{
		ck_assert_msg(strcmp(items[i].path,
				     json_string_value(json_object_get(item, "path"))) == 0,
			      "%s: item %zu is %s", file, i, items[i].path);
		ck_assert_msg(
			items[i].was_written == json_is_true(json_object_get(item, "was_written")),
			"%s: %s: was_written is %d", file, items[i].path, items[i].was_written);
	}
}

/* Takes what is ready until `until_ms`; returns how many more of the expected have been seen. */
static size_t take_ready(const char *file, struct fr_batch *batch, const json_t *expected,
			 size_t seen, int64_t until_ms)
{
	struct fr_batch_item *items;
	int64_t deadline = fr_batch_deadline_ms(batch);
	const json_t *wanted = json_array_get(expected, seen);
	bool has_overflowed;
	size_t len;

	if (deadline < 0 || deadline > until_ms)
		return seen;
	ck_assert_msg(wanted != NULL, "%s: ready at %lld and not expected", file,
		      (long long)deadline);
	ck_assert_msg(deadline == integer(wanted, "time_ms", -1), "%s: batch %zu is ready at %lld",
		      file, seen, (long long)deadline);
	len = fr_batch_take(batch, &items, &has_overflowed);
	compare_items(file, wanted, items, len);
	ck_assert_msg(has_overflowed == json_is_true(json_object_get(wanted, "overflowed")),
		      "%s: overflowed is %d", file, has_overflowed);
	fr_batch_items_free(items, len);
	ck_assert_int_eq(fr_batch_deadline_ms(batch), -1);
	return seen + 1;
}

START_TEST(test_case)
{
	const char *file = cases.gl_pathv[_i];
	json_error_t error;
	json_t *data = json_load_file(file, 0, &error);
	const json_t *state, *expected, *event;
	struct fr_batch_times times;
	struct fr_batch *batch;
	size_t seen = 0, i;

	ck_assert_msg(data != NULL, "%s:%d: %s", file, error.line, error.text);
	state = json_object_get(data, "state");
	expected = json_object_get(data, "expected");
	times = (struct fr_batch_times){
		.settle_ms = integer(state, "settle_ms", 10),
		.gone_ms = integer(state, "gone_ms", 100),
		.writing_ms = integer(state, "writing_ms", 1000),
		.bound_ms = integer(state, "bound_ms", 2000),
	};
	ck_assert_int_eq(fr_batch_new(&times, &batch), 0);
	json_array_foreach(json_object_get(data, "events"), i, event)
	{
		seen = take_ready(file, batch, expected, seen, integer(event, "time_ms", 0) - 1);
		note(batch, event);
	}
	seen = take_ready(file, batch, expected, seen, INT64_MAX);
	ck_assert_msg(seen == json_array_size(expected), "%s: only %zu batches", file, seen);
	fr_batch_free(batch);
	json_decref(data);
}
END_TEST

static const struct fr_batch_times times = {10, 100, 1000, 2000};

START_TEST(test_empty_batch_has_no_deadline_and_no_items)
{
	struct fr_batch *batch;
	struct fr_batch_item *items;
	bool has_overflowed;

	ck_assert_int_eq(fr_batch_new(&times, &batch), 0);
	ck_assert_int_eq(fr_batch_deadline_ms(batch), -1);
	ck_assert_uint_eq(fr_batch_take(batch, &items, &has_overflowed), 0);
	ck_assert(!has_overflowed);
	fr_batch_items_free(items, 0);
	fr_batch_free(batch);
	fr_batch_free(NULL);
}
END_TEST

START_TEST(test_first_hint_is_remembered_until_the_batch_is_taken)
{
	struct fr_batch *batch;
	struct fr_batch_item *items;
	bool has_overflowed;
	size_t len;

	ck_assert_int_eq(fr_batch_new(&times, &batch), 0);
	fr_batch_note(batch, "/a", FR_BATCH_WRITTEN, 70);
	fr_batch_note(batch, "/b", FR_BATCH_WRITTEN, 75);
	ck_assert_int_eq(fr_batch_first_ms(batch), 70);
	len = fr_batch_take(batch, &items, &has_overflowed);
	fr_batch_items_free(items, len);
	fr_batch_note(batch, "/b", FR_BATCH_WRITTEN, 95);
	ck_assert_int_eq(fr_batch_first_ms(batch), 95);
	fr_batch_free(batch);
}
END_TEST

START_TEST(test_batch_that_is_full_is_freed_untaken)
{
	struct fr_batch *batch;
	char path[32];

	ck_assert_int_eq(fr_batch_new(&times, &batch), 0);
	for (int i = 0; i < FR_BATCH_MAX_ITEMS + 5; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		fr_batch_note(batch, path, FR_BATCH_WRITING, i);
	}
	fr_batch_free(batch);
}
END_TEST

/* A path that there was no memory for is somewhere in what the taker compares: nothing is lost. */
START_TEST(test_any_allocation_fails_and_the_batch_says_that_it_overflowed)
{
	bool has_failed = true;

	for (unsigned n = 1; has_failed; n++) {
		struct fr_batch *batch = NULL;
		struct fr_batch_item *items;
		bool has_overflowed = false;
		size_t len;
		char path[32];
		int error;

		fr_allocator_fail_once(n);
		error = fr_batch_new(&times, &batch);
		for (int i = 0; batch && i < 200; i++) {
			snprintf(path, sizeof(path), "/%d", i);
			fr_batch_note(batch, path, FR_BATCH_WRITTEN, i);
		}
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
		ck_assert_int_eq(error, batch ? 0 : -ENOMEM);
		if (!batch)
			continue;
		len = fr_batch_take(batch, &items, &has_overflowed);
		ck_assert_int_eq(has_overflowed, has_failed);
		ck_assert_uint_eq(len, has_failed ? 199 : 200);
		fr_batch_items_free(items, len);
		fr_batch_free(batch);
	}
}
END_TEST

START_TEST(test_no_memory_at_all_still_has_a_deadline)
{
	struct fr_batch *batch;
	struct fr_batch_item *items;
	bool has_overflowed;

	ck_assert_int_eq(fr_batch_new(&times, &batch), 0);
	fr_allocator_fail_from(1);
	fr_batch_note(batch, "/a", FR_BATCH_WRITTEN, 50);
	fr_allocator_fail_from(0);
	ck_assert_int_eq(fr_batch_deadline_ms(batch), 60);
	ck_assert_uint_eq(fr_batch_take(batch, &items, &has_overflowed), 0);
	ck_assert(has_overflowed);
	fr_batch_items_free(items, 0);
	fr_batch_free(batch);
}
END_TEST

Suite *fr_check_batch_suite(void)
{
	Suite *suite = suite_create("batch");
	TCase *tcase = tcase_create("cases");

	if (glob(FR_TESTS_DIR "/cases/batch/*.json", 0, NULL, &cases) != 0)
		abort();
	tcase_add_loop_test(tcase, test_case, 0, (int)cases.gl_pathc);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("batch");
	tcase_add_test(tcase, test_empty_batch_has_no_deadline_and_no_items);
	tcase_add_test(tcase, test_first_hint_is_remembered_until_the_batch_is_taken);
	tcase_add_test(tcase, test_batch_that_is_full_is_freed_untaken);
	tcase_add_test(tcase, test_any_allocation_fails_and_the_batch_says_that_it_overflowed);
	tcase_add_test(tcase, test_no_memory_at_all_still_has_a_deadline);
	suite_add_tcase(suite, tcase);
	return suite;
}
