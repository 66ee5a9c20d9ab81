/*
 * The table of folders and files.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "watch/tree.h"

static struct fr_tree *tree;

static void setup(void)
{
	ck_assert_int_eq(fr_tree_new(&tree), 0);
}

static void teardown(void)
{
	fr_tree_free(tree);
	tree = NULL;
}

static struct fr_node *root(const char *path)
{
	return fr_tree_add_root(tree, path, FR_NODE_FOLDER);
}

static struct fr_node *folder(struct fr_node *parent, const char *name)
{
	return fr_tree_add(tree, parent, name, FR_NODE_FOLDER);
}

static struct fr_node *file(struct fr_node *parent, const char *name)
{
	return fr_tree_add(tree, parent, name, FR_NODE_FILE);
}

START_TEST(test_empty_tree_knows_nothing)
{
	const char *rest;

	ck_assert_ptr_null(fr_tree_roots(tree));
	ck_assert_ptr_null(fr_tree_file(tree, "/a/b.py"));
	ck_assert_ptr_null(fr_tree_folder_of(tree, "/a/b.py"));
	ck_assert_ptr_null(fr_tree_root_of(tree, "/a", &rest));
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 0);
	fr_tree_free(NULL);
}
END_TEST

START_TEST(test_file_is_found_by_its_path)
{
	struct fr_node *srv = root("/srv/app"), *pkg = folder(srv, "pkg"),
		       *views = file(pkg, "views.py");

	ck_assert_ptr_eq(fr_tree_file(tree, "/srv/app/pkg/views.py"), views);
	ck_assert_ptr_eq(fr_tree_folder_of(tree, "/srv/app/pkg/new.py"), pkg);
	ck_assert_ptr_eq(fr_tree_folder_of(tree, "/srv/app/new.py"), srv);
	ck_assert_ptr_null(fr_tree_file(tree, "/srv/app/pkg"));
	ck_assert_ptr_null(fr_tree_file(tree, "/srv/app/pkg/view"));
	ck_assert_ptr_null(fr_tree_file(tree, "/srv/app/pkg/views.pyc"));
	ck_assert_ptr_null(fr_tree_folder_of(tree, "/srv/app/other/new.py"));
	ck_assert_ptr_null(fr_tree_folder_of(tree, "/srv/app"));
	ck_assert_ptr_null(fr_tree_folder_of(tree, "/srv/application/new.py"));
	ck_assert_ptr_null(fr_tree_folder_of(tree, "relative.py"));
	ck_assert_ptr_null(fr_tree_folder_of(tree, ""));
}
END_TEST

START_TEST(test_innermost_of_overlapping_roots_is_taken)
{
	struct fr_node *outer = root("/a"), *inner = root("/a/b/c"), *b = folder(outer, "b");
	const char *rest;

	ck_assert_ptr_eq(fr_tree_root_of(tree, "/a/b/c/d.py", &rest), inner);
	ck_assert_str_eq(rest, "d.py");
	ck_assert_ptr_eq(fr_tree_root_of(tree, "/a/b/c", &rest), inner);
	ck_assert_str_eq(rest, "");
	ck_assert_ptr_eq(fr_tree_root_of(tree, "/a/b/cc/d.py", &rest), outer);
	ck_assert_str_eq(rest, "b/cc/d.py");
	ck_assert_ptr_null(fr_tree_root_of(tree, "/ab", &rest));
	ck_assert_ptr_eq(fr_tree_folder_of(tree, "/a/b/c/d.py"), inner);
	ck_assert_ptr_eq(fr_tree_folder_of(tree, "/a/b/x.py"), b);
	/* The entry "c" of the outer folder, should it become a file one day. */
	ck_assert_ptr_eq(fr_tree_folder_of(tree, "/a/b/c"), b);
}
END_TEST

START_TEST(test_root_of_the_file_system_is_a_root)
{
	struct fr_node *slash = root("/"), *srv = folder(slash, "srv"), *a = file(srv, "a.py");
	const char *relative, *rest;

	ck_assert_ptr_eq(fr_tree_file(tree, "/srv/a.py"), a);
	ck_assert_ptr_eq(fr_tree_folder_of(tree, "/b.py"), slash);
	ck_assert_str_eq(fr_tree_path(tree, a, &relative), "/srv/a.py");
	ck_assert_str_eq(relative, "srv/a.py");
	ck_assert_str_eq(fr_tree_path(tree, slash, &relative), "/");
	ck_assert_str_eq(relative, "");
	ck_assert_str_eq(fr_tree_path_in(tree, slash, "x", &relative), "/x");
	ck_assert_str_eq(relative, "x");
	ck_assert_ptr_eq(fr_tree_root_of(tree, "/", &rest), slash);
	ck_assert_str_eq(rest, "");
}
END_TEST

START_TEST(test_gates_are_no_roots)
{
	const char *rest;

	ck_assert_ptr_nonnull(fr_tree_add_root(tree, "/a", FR_NODE_GATE));
	ck_assert_ptr_null(fr_tree_root_of(tree, "/a/b.py", &rest));
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_GATE), 1);
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FOLDER), 0);
}
END_TEST

/* Bug: a file that took a folder's name made what had been in that folder unknown, and its end was
 * never reported. */
START_TEST(test_file_and_folder_of_one_name_are_two)
{
	struct fr_node *srv = root("/srv"), *old = folder(srv, "x.py"), *below = file(old, "a.py");
	struct fr_node *new = file(srv, "x.py");

	ck_assert_ptr_eq(fr_tree_file(tree, "/srv/x.py"), new);
	ck_assert_ptr_eq(fr_tree_file(tree, "/srv/x.py/a.py"), below);
	ck_assert_ptr_eq(fr_tree_child(tree, srv, "x.py", FR_NODE_FOLDER), old);
	fr_tree_remove(tree, below);
	fr_tree_remove(tree, old);
	ck_assert_ptr_eq(fr_tree_file(tree, "/srv/x.py"), new);
	ck_assert_ptr_null(fr_tree_child(tree, srv, "x.py", FR_NODE_FOLDER));
}
END_TEST

START_TEST(test_names_are_bytes_of_any_length)
{
	struct fr_node *srv = root("/srv"), *odd = folder(srv, "\xff\x80 \n"), *node;
	char name[1000], path[1100];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	node = file(odd, name);
	snprintf(path, sizeof(path), "/srv/\xff\x80 \n/%s", name);
	ck_assert_ptr_eq(fr_tree_file(tree, path), node);
	ck_assert_str_eq(fr_tree_path(tree, node, NULL), path);
	path[strlen(path) - 1] = '\0';
	ck_assert_ptr_null(fr_tree_file(tree, path));
}
END_TEST

START_TEST(test_twenty_thousand_nodes_are_found_and_removed)
{
	static struct fr_node *nodes[20000];
	struct fr_node *srv = root("/srv"), *parent = srv;
	char name[32], path[64];

	for (int i = 0; i < 20000; i++) {
		if (i % 100 == 0) {
			snprintf(name, sizeof(name), "d%d", i);
			parent = folder(srv, name);
		}
		snprintf(name, sizeof(name), "f%d.py", i);
		nodes[i] = file(parent, name);
		ck_assert_ptr_nonnull(nodes[i]);
	}
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 20000);
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FOLDER), 201);
	for (int i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "/srv/d%d/f%d.py", i / 100 * 100, i);
		ck_assert_ptr_eq(fr_tree_file(tree, path), nodes[i]);
		if (i % 2)
			fr_tree_remove(tree, nodes[i]);
	}
	for (int i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "/srv/d%d/f%d.py", i / 100 * 100, i);
		ck_assert_ptr_eq(fr_tree_file(tree, path), i % 2 ? NULL : nodes[i]);
	}
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 10000);
}
END_TEST

START_TEST(test_walk_meets_each_node_once_and_parents_first)
{
	struct fr_node *srv = root("/srv"), *a = folder(srv, "a"), *b = folder(srv, "b");
	struct fr_node *other = root("/other");
	size_t met = 0;

	file(folder(a, "deep"), "x.py");
	file(a, "y.py");
	file(b, "z.py");
	for (struct fr_node *node = srv; node; node = fr_tree_next(node, srv)) {
		ck_assert(!node->seen);
		ck_assert(!node->parent || node->parent->seen);
		node->seen = 1;
		met++;
	}
	ck_assert_uint_eq(met, 7);
	ck_assert(!other->seen);
	met = 0;
	for (struct fr_node *node = a; node; node = fr_tree_next(node, a))
		met++;
	ck_assert_uint_eq(met, 4);
	ck_assert_ptr_null(fr_tree_next(other, other));
	ck_assert_ptr_eq(fr_tree_next_beside(b, srv), a);
	ck_assert_ptr_null(fr_tree_next_beside(a, srv));
	ck_assert_ptr_null(fr_tree_next_beside(srv, srv));
}
END_TEST

START_TEST(test_roots_come_in_the_order_of_adding_and_go_from_anywhere)
{
	struct fr_node *a = root("/a"), *b = root("/b"), *c = root("/c");

	ck_assert_ptr_eq(fr_tree_roots(tree), a);
	ck_assert_ptr_eq(a->next, b);
	ck_assert_ptr_eq(b->next, c);
	fr_tree_remove(tree, b);
	ck_assert_ptr_eq(a->next, c);
	fr_tree_remove(tree, c);
	ck_assert_ptr_eq(a->next, NULL);
	c = root("/c");
	ck_assert_ptr_eq(a->next, c);
	fr_tree_remove(tree, a);
	ck_assert_ptr_eq(fr_tree_roots(tree), c);
}
END_TEST

START_TEST(test_path_of_a_deep_node_is_whole)
{
	struct fr_node *node = root("/srv");
	const char *path, *relative;

	for (int i = 0; i < 5000; i++)
		node = folder(node, "d");
	path = fr_tree_path(tree, node, &relative);
	ck_assert_uint_eq(strlen(path), 4 + 2 * 5000);
	ck_assert_int_eq(strncmp(path, "/srv/d/d/d/", 11), 0);
	ck_assert_ptr_eq(relative, path + 5);
	path = fr_tree_path_in(tree, node, "x.py", &relative);
	ck_assert_str_eq(path + 4 + 2 * 5000, "/x.py");
	ck_assert_ptr_eq(fr_tree_folder_of(tree, path), node);
}
END_TEST

START_TEST(test_any_allocation_fails_and_the_tree_stays_whole)
{
	bool has_failed = true;

	for (unsigned n = 1; has_failed; n++) {
		struct fr_node *srv = NULL;
		size_t added = 0, met = 0;
		char name[16];
		int error;

		fr_tree_free(tree);
		tree = NULL;
		fr_allocator_fail_once(n);
		error = fr_tree_new(&tree);
		if (tree)
			srv = root("/srv");
		for (int i = 0; srv && i < 600; i++) {
			snprintf(name, sizeof(name), "%d", i);
			added += file(srv, name) != NULL;
		}
		if (srv)
			(void)fr_tree_path_in(tree, srv, "x", NULL);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
		ck_assert_int_eq(error, tree ? 0 : -ENOMEM);
		for (struct fr_node *node = srv; node; node = fr_tree_next(node, srv))
			met++;
		ck_assert_uint_eq(met, srv ? added + 1 : 0);
		ck_assert(!srv || added >= 599);
	}
}
END_TEST

Suite *fr_check_tree_suite(void)
{
	Suite *suite = suite_create("tree");
	TCase *tcase = tcase_create("tree");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_empty_tree_knows_nothing);
	tcase_add_test(tcase, test_file_is_found_by_its_path);
	tcase_add_test(tcase, test_innermost_of_overlapping_roots_is_taken);
	tcase_add_test(tcase, test_root_of_the_file_system_is_a_root);
	tcase_add_test(tcase, test_gates_are_no_roots);
	tcase_add_test(tcase, test_file_and_folder_of_one_name_are_two);
	tcase_add_test(tcase, test_names_are_bytes_of_any_length);
	tcase_add_test(tcase, test_twenty_thousand_nodes_are_found_and_removed);
	tcase_add_test(tcase, test_walk_meets_each_node_once_and_parents_first);
	tcase_add_test(tcase, test_roots_come_in_the_order_of_adding_and_go_from_anywhere);
	tcase_add_test(tcase, test_path_of_a_deep_node_is_whole);
	tcase_add_test(tcase, test_any_allocation_fails_and_the_tree_stays_whole);
	suite_add_tcase(suite, tcase);
	return suite;
}
