/*
 * Paths of another host, translated.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "allocator.h"
#include "watch/push_path.h"

static const char *const maps_given[] = {
	"/Users/me/code=/vagrant", "/Users/me/code/deep/=/srv/deep/",
	"C:\\code=/vagrant",       "project=/vagrant/project",
	"/odd=name=/srv/odd",
};

static struct fr_push_map *maps;
static char error[256];

static void setup(void)
{
	for (size_t i = 0; i < sizeof(maps_given) / sizeof(*maps_given); i++)
		ck_assert_int_eq(fr_push_map_add(&maps, maps_given[i], error, sizeof(error)), 0);
}

static void teardown(void)
{
	fr_push_map_free(maps);
	maps = NULL;
}

static const struct {
	const char *path, *expected; /* NULL: refused */
} paths[] = {
	{"/Users/me/code/a.py", "/vagrant/a.py"},
	{"/Users/me/code", "/vagrant"},
	{"/Users/me/code//sub/./a.py", "/vagrant/sub/a.py"},
	{"/Users/me/coder/a.py", "/Users/me/coder/a.py"},
	{"/Users/me/code/deep/a.py", "/srv/deep/a.py"},
	{"C:\\code\\sub\\a.py", "/vagrant/sub/a.py"},
	{"C:\\code\\..\\a.py", NULL},
	{"project/a.py", "/vagrant/project/a.py"},
	{"/odd=name/a.py", "/srv/odd/a.py"},
	{"/other/a.py/", "/other/a.py"},
	{"/", "/"},
	{"./a.py", "a.py"},
	{".", ""},
	{"a//b", "a/b"},
	{"back\\slash.py", "back\\slash.py"},
	{"/a/...py", "/a/...py"},
	{"/Users/me/code/../x.py", NULL},
	{"../x.py", NULL},
	{"/a/..", NULL},
};

START_TEST(test_paths_are_translated)
{
	char path[PATH_MAX];
	int code = fr_push_path_translate(maps, paths[_i].path, path, sizeof(path));

	if (paths[_i].expected) {
		ck_assert_int_eq(code, 0);
		ck_assert_str_eq(path, paths[_i].expected);
	} else {
		ck_assert_int_eq(code, -EINVAL);
	}
}
END_TEST

START_TEST(test_a_map_may_lead_from_the_root)
{
	struct fr_push_map *root = NULL;
	char path[PATH_MAX];

	ck_assert_int_eq(fr_push_map_add(&root, "/=/host", error, sizeof(error)), 0);
	ck_assert_int_eq(fr_push_path_translate(root, "/a/b", path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/host/a/b");
	fr_push_map_free(root);
}
END_TEST

START_TEST(test_bad_maps_are_refused)
{
	static const char *const bad[] = {"", "=", "=/vagrant", "/code", "/code=", "/code=vagrant"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct fr_push_map *none = NULL;

		error[0] = '\0';
		ck_assert_int_eq(fr_push_map_add(&none, bad[i], error, sizeof(error)), -EINVAL);
		ck_assert_ptr_nonnull(strstr(error, "as in /Users/me/code=/vagrant"));
		ck_assert_ptr_null(none);
	}
}
END_TEST

START_TEST(test_what_does_not_fit_is_refused)
{
	char small[10];

	ck_assert_int_eq(fr_push_path_translate(NULL, "/1234/678", small, sizeof(small)), 0);
	ck_assert_int_eq(fr_push_path_translate(NULL, "/1234/6789", small, sizeof(small)),
			 -ENAMETOOLONG);
	ck_assert_int_eq(fr_push_path_translate(maps, "/Users/me/code/a.py", small, sizeof(small)),
			 -ENAMETOOLONG);
}
END_TEST

START_TEST(test_without_memory_there_is_no_map)
{
	for (unsigned nth = 1; nth <= 2; nth++) {
		struct fr_push_map *none = NULL;
		int code;

		fr_allocator_fail_once(nth);
		code = fr_push_map_add(&none, "/a=/b", error, sizeof(error));
		fr_allocator_fail_once(0);
		ck_assert_int_eq(code, -ENOMEM);
		ck_assert_ptr_null(none);
	}
}
END_TEST

Suite *fr_check_push_path_suite(void);

Suite *fr_check_push_path_suite(void)
{
	Suite *suite = suite_create("push_path");
	TCase *tcase = tcase_create("paths");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_paths_are_translated, 0, sizeof(paths) / sizeof(*paths));
	tcase_add_test(tcase, test_a_map_may_lead_from_the_root);
	tcase_add_test(tcase, test_bad_maps_are_refused);
	tcase_add_test(tcase, test_what_does_not_fit_is_refused);
	tcase_add_test(tcase, test_without_memory_there_is_no_map);
	suite_add_tcase(suite, tcase);
	return suite;
}
