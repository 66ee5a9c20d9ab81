/*
 * Python's caches go where they could hide an edit, and stay elsewhere.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "watch/bytecode.h"
#include "watch/tree.h"

static char *folder;

static void setup(void)
{
	unsetenv("PYTHONPYCACHEPREFIX");
	folder = fr_disk_new();
	fr_disk_mkdir(fr_disk_at(folder, "pkg/__pycache__"));
	fr_disk_write(fr_disk_at(folder, "pkg/views.py"), "");
}

static void teardown(void)
{
	unsetenv("PYTHONPYCACHEPREFIX");
	fr_disk_free(folder);
	folder = NULL;
}

static void make(const char *name)
{
	fr_disk_write(fr_disk_at(folder, name), "");
}

static bool is_there(const char *name)
{
	return access(fr_disk_at(folder, name), F_OK) == 0;
}

START_TEST(test_all_caches_of_the_source_go_and_no_other)
{
	static const char *const stale[] = {
		"pkg/__pycache__/views.cpython-311.pyc",
		"pkg/__pycache__/views.cpython-311.opt-1.pyc",
		"pkg/__pycache__/views.cpython-39.opt-2.pyc",
		"pkg/__pycache__/views.pypy39.pyc",
	};
	static const char *const others[] = {
		"pkg/__pycache__/views2.cpython-311.pyc",
		"pkg/__pycache__/aviews.cpython-311.pyc",
		"pkg/__pycache__/views.cpython-311.pyc.140",
		"pkg/__pycache__/views.txt",
		"pkg/views.pyc",
	};
	size_t i;

	for (i = 0; i < sizeof(stale) / sizeof(*stale); i++)
		make(stale[i]);
	for (i = 0; i < sizeof(others) / sizeof(*others); i++)
		make(others[i]);
	fr_bytecode_drop(fr_disk_at(folder, "pkg/views.py"));
	for (i = 0; i < sizeof(stale) / sizeof(*stale); i++)
		ck_assert_msg(!is_there(stale[i]), "%s", stale[i]);
	for (i = 0; i < sizeof(others) / sizeof(*others); i++)
		ck_assert_msg(is_there(others[i]), "%s", others[i]);
	ck_assert(is_there("pkg/views.py"));
}
END_TEST

START_TEST(test_what_is_no_source_has_no_cache)
{
	make("pkg/__pycache__/views.cpython-311.pyc");
	make("pkg/__pycache__/.pyc");
	fr_bytecode_drop(fr_disk_at(folder, "pkg/views.ini"));
	fr_bytecode_drop(fr_disk_at(folder, "pkg/views"));
	fr_bytecode_drop(fr_disk_at(folder, "pkg/viewspy"));
	fr_bytecode_drop("views.py");
	fr_bytecode_drop("");
	ck_assert(is_there("pkg/__pycache__/views.cpython-311.pyc"));
}
END_TEST

START_TEST(test_source_without_a_cache_is_fine)
{
	make("lone.py");
	fr_bytecode_drop(fr_disk_at(folder, "lone.py"));
	fr_bytecode_drop(fr_disk_at(folder, "missing/lone.py"));
	ck_assert(is_there("lone.py"));
}
END_TEST

START_TEST(test_prefix_of_the_environment_is_honoured)
{
	char cache[1024];

	snprintf(cache, sizeof(cache), "%s/prefix%s/pkg", folder, folder);
	fr_disk_mkdir(cache);
	fr_disk_write(fr_disk_at(cache, "views.cpython-311.pyc"), "");
	make("pkg/__pycache__/views.cpython-311.pyc");
	setenv("PYTHONPYCACHEPREFIX", fr_disk_at(folder, "prefix"), 1);
	fr_bytecode_drop(fr_disk_at(folder, "pkg/views.py"));
	ck_assert_int_ne(access(fr_disk_at(cache, "views.cpython-311.pyc"), F_OK), 0);
	ck_assert(is_there("pkg/__pycache__/views.cpython-311.pyc"));
	setenv("PYTHONPYCACHEPREFIX", "", 1);
	fr_bytecode_drop(fr_disk_at(folder, "pkg/views.py"));
	ck_assert(!is_there("pkg/__pycache__/views.cpython-311.pyc"));
}
END_TEST

START_TEST(test_path_that_is_too_long_is_left_alone)
{
	static char path[10000];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = path[9000] = '/';
	memcpy(path + sizeof(path) - 4, ".py", 4);
	fr_bytecode_drop(path);
}
END_TEST

START_TEST(test_only_caches_of_recent_sources_go_at_the_start)
{
	struct fr_tree *tree;
	struct fr_node *pkg;
	int64_t now_ns = (int64_t)time(NULL) * 1000000000LL;

	make("pkg/__pycache__/views.cpython-311.pyc");
	make("pkg/__pycache__/old.cpython-311.pyc");
	make("pkg/__pycache__/unknown.cpython-311.pyc");
	ck_assert_int_eq(fr_tree_new(&tree), 0);
	pkg = fr_tree_add(tree, fr_tree_add_root(tree, folder, FR_NODE_FOLDER), "pkg",
			  FR_NODE_FOLDER);
	fr_tree_add(tree, pkg, "views.py", FR_NODE_FILE)->stamp.mtime_ns = now_ns;
	fr_tree_add(tree, pkg, "old.py", FR_NODE_FILE)->stamp.mtime_ns = now_ns - 10000000000LL;
	fr_bytecode_drop_recent(tree);
	ck_assert(!is_there("pkg/__pycache__/views.cpython-311.pyc"));
	ck_assert(is_there("pkg/__pycache__/old.cpython-311.pyc"));
	ck_assert(is_there("pkg/__pycache__/unknown.cpython-311.pyc"));
	fr_tree_free(tree);
}
END_TEST

START_TEST(test_all_caches_beside_a_source_go_in_a_storm)
{
	make("pkg/__pycache__/views.cpython-311.pyc");
	make("pkg/__pycache__/forms.cpython-311.pyc");
	make("pkg/__pycache__/notes.txt");
	fr_disk_mkdir(fr_disk_at(folder, "other/__pycache__"));
	make("other/__pycache__/views.cpython-311.pyc");
	fr_bytecode_drop_beside(fr_disk_at(folder, "pkg/views.py"));
	ck_assert(!is_there("pkg/__pycache__/views.cpython-311.pyc"));
	ck_assert(!is_there("pkg/__pycache__/forms.cpython-311.pyc"));
	ck_assert(is_there("pkg/__pycache__/notes.txt"));
	ck_assert(is_there("other/__pycache__/views.cpython-311.pyc"));
	fr_bytecode_drop_beside(fr_disk_at(folder, "other/settings.ini"));
	ck_assert(is_there("other/__pycache__/views.cpython-311.pyc"));
}
END_TEST

Suite *fr_check_bytecode_suite(void)
{
	Suite *suite = suite_create("bytecode");
	TCase *tcase = tcase_create("bytecode");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_all_caches_of_the_source_go_and_no_other);
	tcase_add_test(tcase, test_what_is_no_source_has_no_cache);
	tcase_add_test(tcase, test_source_without_a_cache_is_fine);
	tcase_add_test(tcase, test_prefix_of_the_environment_is_honoured);
	tcase_add_test(tcase, test_path_that_is_too_long_is_left_alone);
	tcase_add_test(tcase, test_all_caches_beside_a_source_go_in_a_storm);
	tcase_add_test(tcase, test_only_caches_of_recent_sources_go_at_the_start);
	suite_add_tcase(suite, tcase);
	return suite;
}
