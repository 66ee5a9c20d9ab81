/*
 * The table of folders and files.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "watch/hashes.h"
#include "watch/packed.h"
#include "watch/tree.h"
#include "watch/walk.h"

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

/* ---- packed files ---- */

static struct fr_stamp stamp_of(uint64_t number)
{
	return (struct fr_stamp){.ino = number, .mtime_ns = (int64_t)number * 1000};
}

START_TEST(test_packed_file_is_known_and_has_no_node)
{
	struct fr_node *srv = root("/srv"), *pkg = folder(srv, "pkg");
	struct fr_stamp stamp;

	file(srv, "a.py")->stamp = stamp_of(1);
	file(pkg, "a.py")->stamp = stamp_of(2);
	file(pkg, "b.py")->stamp = stamp_of(3);
	ck_assert_int_eq(fr_tree_pack(tree, pkg), 0);
	ck_assert_int_eq(fr_tree_pack(tree, pkg), 0);
	ck_assert_ptr_null(fr_tree_first_child(pkg));
	ck_assert(!fr_tree_is_empty(pkg));
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 3);
	ck_assert(fr_tree_stamp(tree, "/srv/pkg/a.py", &stamp));
	ck_assert_uint_eq(stamp.ino, 2);
	ck_assert(fr_tree_stamp(tree, "/srv/a.py", &stamp));
	ck_assert_uint_eq(stamp.ino, 1);
	ck_assert(fr_tree_stamp(tree, "/srv/pkg/b.py", NULL));
	ck_assert(!fr_tree_stamp(tree, "/srv/pkg/c.py", &stamp));
	ck_assert(!fr_tree_stamp(tree, "/srv/pkg", &stamp));
	ck_assert_ptr_nonnull(pkg->packed);
	ck_assert_uint_eq(fr_tree_file(tree, "/srv/pkg/b.py")->stamp.ino, 3);
	ck_assert_ptr_null(pkg->packed);
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 3);
}
END_TEST

START_TEST(test_file_that_comes_to_a_packed_folder_is_among_the_others)
{
	struct fr_node *srv = root("/srv");

	file(srv, "a.py")->stamp = stamp_of(1);
	ck_assert_int_eq(fr_tree_pack(tree, srv), 0);
	file(srv, "b.py")->stamp = stamp_of(2);
	ck_assert_uint_eq(fr_tree_file(tree, "/srv/a.py")->stamp.ino, 1);
	fr_tree_remove(tree, fr_tree_file(tree, "/srv/a.py"));
	ck_assert_int_eq(fr_tree_pack(tree, srv), 0);
	ck_assert(!fr_tree_stamp(tree, "/srv/a.py", NULL));
	fr_tree_remove(tree, fr_tree_file(tree, "/srv/b.py"));
	ck_assert(fr_tree_is_empty(srv));
	ck_assert_int_eq(fr_tree_pack(tree, srv), 0);
	ck_assert(fr_tree_is_empty(srv));
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 0);
}
END_TEST

START_TEST(test_file_that_somebody_waits_for_is_not_packed)
{
	struct fr_node *srv = root("/srv"), *a = file(srv, "a.py");
	struct fr_stamp hashed = {.hash = 77, .has_hash = true};
	struct fr_hashes *hashes;

	a->is_settling = true;
	ck_assert_int_eq(fr_tree_pack(tree, srv), -EBUSY);
	a->is_settling = false;
	a->hash_number = 1;
	ck_assert_int_eq(fr_hashes_new(1, &hashes), 0);
	fr_tree_take_hashes(tree, hashes);
	ck_assert_int_eq(fr_tree_pack(tree, srv), -EBUSY);
	ck_assert_ptr_eq(fr_tree_first_child(srv), a);
	fr_hashes_put(hashes, 1, &hashed);
	ck_assert_int_eq(fr_tree_pack(tree, srv), 0);
	ck_assert_uint_eq(fr_tree_file(tree, "/srv/a.py")->stamp.hash, 77);
}
END_TEST

START_TEST(test_hash_that_comes_to_a_packed_file_is_its_own)
{
	struct fr_node *srv = root("/srv");
	struct fr_stamp hashed = {.hash = 77, .has_hash = true}, stamp;
	struct fr_hashes *hashes;
	struct fr_walk walk;

	file(srv, "c.py");
	file(srv, "b.py");
	file(srv, "a.py");
	ck_assert_int_eq(fr_tree_pack(tree, srv), 0);
	ck_assert_int_eq(fr_hashes_new(4, &hashes), 0);
	fr_tree_take_hashes(tree, hashes);
	srv->hash_number = 2;
	fr_hashes_put(hashes, 3, &hashed); /* of b.py: a.py has 2 */
	ck_assert(fr_tree_stamp(tree, "/srv/b.py", &stamp));
	ck_assert(stamp.has_hash && stamp.hash == 77);
	ck_assert(fr_tree_stamp(tree, "/srv/c.py", &stamp));
	ck_assert(!stamp.has_hash);
	fr_walk_begin(&walk, tree);
	while (fr_walk_next(&walk)) {
		ck_assert_int_eq(walk.stamp.has_hash, strcmp(walk.name, "b.py") == 0);
		ck_assert_uint_eq(walk.hash_number, (unsigned)(walk.name[0] - 'a') + 2);
	}
	ck_assert(fr_tree_file(tree, "/srv/b.py")->stamp.has_hash);
	ck_assert_uint_eq(fr_tree_file(tree, "/srv/b.py")->hash_number, 0);
	ck_assert(!fr_tree_file(tree, "/srv/c.py")->stamp.has_hash);
	/* It has a node when its hash comes. */
	fr_hashes_put(hashes, 4, &hashed);
	ck_assert(fr_tree_file(tree, "/srv/c.py")->stamp.has_hash);
	ck_assert_int_eq(fr_tree_pack(tree, srv), -EBUSY); /* a.py */
	fr_tree_end_hashes(tree);
	ck_assert_int_eq(fr_tree_pack(tree, srv), 0);
	ck_assert(fr_tree_stamp(tree, "/srv/c.py", &stamp));
	ck_assert(stamp.has_hash);
}
END_TEST

START_TEST(test_folder_of_thousands_of_files_keeps_its_nodes)
{
	struct fr_node *srv = root("/srv"), *small = folder(srv, "small");
	char name[16];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		file(srv, name);
	}
	ck_assert_int_eq(fr_tree_pack(tree, srv), -EFBIG);
	ck_assert_ptr_null(srv->packed);
	file(small, "a.py");
	fr_tree_settle(tree);
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 5001);
}
END_TEST

static size_t packed_folders(struct fr_node *top)
{
	size_t len = 0;

	for (struct fr_node *node = top; node; node = fr_tree_next(node, top))
		len += node->kind == FR_NODE_FOLDER && node->packed;
	return len;
}

/* Bounded in each call, and none for a few: they are likely to be asked for again. */
START_TEST(test_settling_packs_all_but_a_few)
{
	struct fr_node *srv = root("/srv"), *last = NULL;
	char name[16];
	size_t before;

	ck_assert_int_eq(fr_tree_pack(tree, srv), 0);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		last = folder(srv, name);
		for (int j = 0; j < 10; j++) {
			snprintf(name, sizeof(name), "f%d", j);
			file(last, name)->stamp = stamp_of((uint64_t)j);
		}
	}
	fr_tree_settle(tree);
	ck_assert_uint_gt(packed_folders(srv), 100);
	ck_assert_uint_le(packed_folders(srv), 500);
	do {
		before = packed_folders(srv);
		fr_tree_settle(tree);
	} while (packed_folders(srv) > before);
	ck_assert_uint_ge(packed_folders(srv), 1900);
	ck_assert_uint_lt(packed_folders(srv), 2000);
	ck_assert_ptr_null(last->packed); /* the last one stays */
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 20000);
	/* Those that go are not settled any more. */
	while (fr_tree_first_child(srv)) {
		struct fr_node *child = fr_tree_first_child(srv);

		ck_assert_int_eq(fr_tree_unpack(tree, child), 0);
		while (fr_tree_first_child(child))
			fr_tree_remove(tree, fr_tree_first_child(child));
		fr_tree_remove(tree, child);
		fr_tree_settle(tree);
	}
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 0);
}
END_TEST

START_TEST(test_walk_through_files_meets_each_once_packed_or_not)
{
	struct fr_node *srv = root("/srv"), *a = folder(srv, "a"), *deep = folder(a, "deep");
	struct fr_node *b = folder(srv, "b"), *other = root("/other");
	struct fr_walk walk;
	uint64_t met = 0;

	fr_walk_begin(&walk, tree);
	ck_assert(!fr_walk_next(&walk));
	ck_assert(!fr_walk_next(&walk));
	file(srv, "0")->stamp = stamp_of(0);
	file(a, "1")->stamp = stamp_of(1);
	file(a, "2")->stamp = stamp_of(2);
	file(deep, "3")->stamp = stamp_of(3);
	file(b, "4")->stamp = stamp_of(4);
	file(other, "5")->stamp = stamp_of(5);
	for (int round = 0; round < 3; round++) {
		met = 0;
		fr_walk_begin(&walk, tree);
		while (fr_walk_next(&walk)) {
			ck_assert_uint_eq(walk.stamp.ino, (unsigned)(walk.name[0] - '0'));
			ck_assert_uint_eq(met & 1u << walk.stamp.ino, 0);
			met |= 1u << walk.stamp.ino;
			ck_assert(walk.stamp.ino != 3 || walk.folder == deep);
			ck_assert(walk.stamp.ino != 2 || walk.folder == a);
		}
		ck_assert_uint_eq(met, 0x3f);
		met = 0;
		for (fr_walk_begin_below(&walk, tree, a); fr_walk_next(&walk);)
			met |= 1u << walk.stamp.ino;
		ck_assert_uint_eq(met, 0x0e);
		met = 0;
		for (fr_walk_begin_in(&walk, tree, a); fr_walk_next(&walk);)
			met |= 1u << walk.stamp.ino;
		ck_assert_uint_eq(met, 0x06);
		if (round == 0)
			ck_assert_int_eq(fr_tree_pack(tree, a), 0);
		if (round == 1) {
			ck_assert_int_eq(fr_tree_pack(tree, srv), 0);
			ck_assert_int_eq(fr_tree_pack(tree, deep), 0);
			ck_assert_int_eq(fr_tree_pack(tree, other), 0);
		}
	}
}
END_TEST

/* Random work on two trees, of which one is packed now and then. */
#define TWIN_FOLDERS 20
#define TWIN_FILES   8

static uint64_t state = 1;

static unsigned below(unsigned limit)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (unsigned)((state * 2685821657736338717ULL) >> 33) % limit;
}

static void assert_twins(struct fr_tree *plain)
{
	struct fr_walk walk;
	struct fr_stamp stamp;
	size_t len = 0;

	fr_walk_begin(&walk, plain);
	for (; fr_walk_next(&walk); len++) {
		const char *path = fr_tree_path_in(plain, walk.folder, walk.name, NULL);

		ck_assert(fr_tree_stamp(tree, path, &stamp));
		ck_assert_int_eq(memcmp(&stamp, &walk.stamp, sizeof(stamp)), 0);
	}
	ck_assert_uint_eq(fr_tree_count(plain, FR_NODE_FILE), len);
	ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), len);
}

static void work_on_file(struct fr_tree *plain, struct fr_node *const folders[2], const char *name)
{
	struct fr_tree *both[2] = {plain, tree};
	struct fr_stamp stamp;
	unsigned what = below(3);

	memset(&stamp, 0, sizeof(stamp)); /* its gaps are compared, too */
	stamp.ino = below(1000);
	stamp.size = below(100000);
	stamp.mtime_ns = below(2000000000);
	stamp.ctime_ns = below(2) ? stamp.mtime_ns : (int64_t)below(2000000000);
	stamp.has_hash = below(2);
	stamp.hash = stamp.has_hash ? below(2000000000) : 0;
	stamp.dev = below(3);
	stamp.is_fresh = below(2);
	for (int i = 0; i < 2; i++) {
		struct fr_node *node = fr_tree_child(both[i], folders[i], name, FR_NODE_FILE);

		if (what == 0 && node)
			fr_tree_remove(both[i], node);
		else if (what == 1 && !node)
			fr_tree_add(both[i], folders[i], name, FR_NODE_FILE)->stamp = stamp;
		else if (what == 2 && node)
			node->stamp = stamp;
	}
}

START_TEST(test_tree_that_is_packed_now_and_then_is_like_one_that_never_is)
{
	struct fr_node *folders[TWIN_FOLDERS][2];
	struct fr_tree *plain;
	char name[16];

	ck_assert_int_eq(fr_tree_new(&plain), 0);
	folders[0][0] = fr_tree_add_root(plain, "/r", FR_NODE_FOLDER);
	folders[0][1] = root("/r");
	for (unsigned i = 1; i < TWIN_FOLDERS; i++) {
		unsigned above = below(i);

		snprintf(name, sizeof(name), "d%u", i);
		folders[i][0] = fr_tree_add(plain, folders[above][0], name, FR_NODE_FOLDER);
		folders[i][1] = folder(folders[above][1], name);
	}
	for (int round = 0; round < 20000; round++) {
		struct fr_node **both = folders[below(TWIN_FOLDERS)];

		snprintf(name, sizeof(name), below(2) ? "%u.py" : "\xff%u", below(TWIN_FILES));
		switch (below(4)) {
		case 0:
			ck_assert_int_eq(fr_tree_pack(tree, both[1]), 0);
			break;
		case 1:
			ck_assert_int_eq(fr_tree_unpack(tree, both[1]), 0);
			break;
		default:
			work_on_file(plain, both, name);
		}
		if (round % 100 == 0)
			assert_twins(plain);
	}
	assert_twins(plain);
	fr_tree_free(plain);
}
END_TEST

START_TEST(test_any_allocation_fails_and_packed_files_stay_what_they_are)
{
	bool has_failed = true;

	for (unsigned n = 1; has_failed; n++) {
		struct fr_node *srv;
		struct fr_stamp stamp;
		char name[16];
		int packed, unpacked;

		fr_tree_free(tree);
		ck_assert_int_eq(fr_tree_new(&tree), 0);
		srv = root("/srv");
		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "%d", i);
			file(srv, name)->stamp = stamp_of((uint64_t)i);
		}
		fr_allocator_fail_once(n);
		packed = fr_tree_pack(tree, srv);
		unpacked = fr_tree_unpack(tree, srv);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
		ck_assert(packed == 0 || packed == -ENOMEM);
		ck_assert(unpacked == 0 || unpacked == -ENOMEM);
		ck_assert_uint_eq(fr_tree_count(tree, FR_NODE_FILE), 300);
		for (int i = 0; i < 300; i++) {
			ck_assert_int_eq(fr_tree_stamp_in(tree, srv, "x", NULL), 0);
			snprintf(name, sizeof(name), "%d", i);
			ck_assert(fr_tree_stamp_in(tree, srv, name, &stamp));
			ck_assert_uint_eq(stamp.ino, (unsigned)i);
		}
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
	tcase_add_test(tcase, test_packed_file_is_known_and_has_no_node);
	tcase_add_test(tcase, test_file_that_comes_to_a_packed_folder_is_among_the_others);
	tcase_add_test(tcase, test_file_that_somebody_waits_for_is_not_packed);
	tcase_add_test(tcase, test_hash_that_comes_to_a_packed_file_is_its_own);
	tcase_add_test(tcase, test_folder_of_thousands_of_files_keeps_its_nodes);
	tcase_add_test(tcase, test_settling_packs_all_but_a_few);
	tcase_add_test(tcase, test_walk_through_files_meets_each_once_packed_or_not);
	tcase_add_test(tcase, test_tree_that_is_packed_now_and_then_is_like_one_that_never_is);
	tcase_add_test(tcase, test_any_allocation_fails_and_packed_files_stay_what_they_are);
	suite_add_tcase(suite, tcase);
	return suite;
}
