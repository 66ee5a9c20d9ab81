/*
 * Which folders share the number of a watch.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "allocator.h"
#include "watch/tree.h"
#include "watch/watches.h"

#define MANY 5000

static struct fr_tree *tree;
static struct fr_node *root;
static struct fr_watches watches;

static void setup(void)
{
	ck_assert_int_eq(fr_tree_new(&tree), 0);
	root = fr_tree_add_root(tree, "/r", FR_NODE_FOLDER);
	ck_assert_int_eq(fr_watches_init(&watches), 0);
}

static void teardown(void)
{
	fr_watches_clear(&watches);
	fr_tree_free(tree);
}

static struct fr_node *watched(int number)
{
	struct fr_node *node = fr_tree_add(tree, root, "f", FR_NODE_FOLDER);

	ck_assert_int_eq(fr_watches_reserve(&watches), 0);
	fr_watches_attach(&watches, node, number);
	ck_assert_int_eq(node->watch, number);
	return node;
}

START_TEST(test_many_numbers_are_found_whatever_came_and_went)
{
	static struct fr_node *nodes[MANY];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			nodes[i] = watched(i * 64 + round);
		for (int i = 0; i < MANY; i++) {
			ck_assert_ptr_eq(fr_watches_first(&watches, i * 64 + round), nodes[i]);
			ck_assert_ptr_null(fr_watches_first(&watches, i * 64 + 63));
		}
		for (int i = 0; i < MANY; i++) {
			ck_assert(fr_watches_detach(&watches, nodes[i]));
			ck_assert_int_eq(nodes[i]->watch, -1);
			ck_assert_ptr_null(fr_watches_first(&watches, i * 64 + round));
			ck_assert(i + 1 == MANY ||
				  fr_watches_first(&watches, (i + 1) * 64 + round));
		}
	}
	/* What was detached makes room again. */
	ck_assert_uint_le(watches.len, 4 * MANY);
}
END_TEST

START_TEST(test_number_goes_with_the_last_of_its_nodes)
{
	struct fr_node *a = watched(7), *b = watched(7), *c = watched(8);

	ck_assert(!fr_watches_detach(&watches, a));
	ck_assert_ptr_eq(fr_watches_first(&watches, 7), b);
	ck_assert(fr_watches_detach(&watches, b));
	ck_assert_ptr_null(fr_watches_first(&watches, 7));
	ck_assert_ptr_eq(fr_watches_first(&watches, 8), c);
	fr_watches_attach(&watches, a, 7);
	ck_assert_ptr_eq(fr_watches_first(&watches, 7), a);
}
END_TEST

static struct fr_node *told[8];
static size_t told_len;
static struct fr_node *to_detach;

static void take(void *ctx, struct fr_node *folder, const char *name, enum fr_hint hint)
{
	ck_assert_ptr_eq(ctx, &told);
	ck_assert_str_eq(name, "x");
	ck_assert_int_eq(hint, FR_HINT_GONE);
	told[told_len++] = folder;
	if (to_detach)
		(void)fr_watches_detach(&watches, to_detach);
	to_detach = NULL;
}

START_TEST(test_all_of_a_number_are_told_but_those_that_go_meanwhile)
{
	struct fr_node *a = watched(7), *b = watched(7), *c = watched(7);

	(void)watched(8);
	fr_watches_tell(&watches, 7, "x", FR_HINT_GONE, take, &told);
	ck_assert_uint_eq(told_len, 3);
	told_len = 0;
	to_detach = b; /* the next */
	fr_watches_tell(&watches, 7, "x", FR_HINT_GONE, take, &told);
	ck_assert_uint_eq(told_len, 2);
	told_len = 0;
	to_detach = c; /* the one that is told */
	fr_watches_tell(&watches, 7, "x", FR_HINT_GONE, take, &told);
	ck_assert_uint_eq(told_len, 2);
	ck_assert_ptr_eq(fr_watches_first(&watches, 7), a);
	fr_watches_tell(&watches, 99, "x", FR_HINT_GONE, take, &told);
	ck_assert_uint_eq(told_len, 2);
}
END_TEST

START_TEST(test_no_memory_leaves_the_table_as_it_was)
{
	bool has_failed = false;
	int len = 0, error = 0;

	while (!has_failed) {
		(void)watched(len++);
		fr_allocator_fail_once(1);
		error = fr_watches_reserve(&watches);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
	}
	ck_assert_int_eq(error, -ENOMEM);
	for (int i = 0; i < len; i++)
		ck_assert_ptr_nonnull(fr_watches_first(&watches, i));
	ck_assert_ptr_null(fr_watches_first(&watches, len));
	fr_allocator_fail_once(1);
	error = fr_watches_init(&(struct fr_watches){0});
	fr_allocator_fail_once(0);
	ck_assert_int_eq(error, -ENOMEM);
}
END_TEST

Suite *fr_check_watches_suite(void)
{
	Suite *suite = suite_create("watches");
	TCase *tcase = tcase_create("watches");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_many_numbers_are_found_whatever_came_and_went);
	tcase_add_test(tcase, test_number_goes_with_the_last_of_its_nodes);
	tcase_add_test(tcase, test_all_of_a_number_are_told_but_those_that_go_meanwhile);
	tcase_add_test(tcase, test_no_memory_leaves_the_table_as_it_was);
	suite_add_tcase(suite, tcase);
	return suite;
}
