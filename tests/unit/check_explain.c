/*
 * explain: what people are told about a path.
 */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decide/ignores.h"
#include "decide/judge.h"
#include "decide/loaded.h"
#include "decide/rules.h"
#include "disk.h"
#include "watch/explain.h"
#include "watch/ignorefiles.h"

static char *folder;
static struct fr_rules *rules;
static struct fr_ignorefiles *files;
static char said[4096];

static void setup(void)
{
	folder = fr_disk_new();
	ck_assert_int_eq(fr_rules_new(&rules), 0);
	ck_assert_int_eq(fr_ignorefiles_new(true, NULL, NULL, &files), 0);
}

static void teardown(void)
{
	fr_rules_free(rules);
	fr_ignorefiles_free(files);
	fr_disk_free(folder);
}

/* What is said about a path below the folder; NULL: it is not below root. */
static const char *explain(const char *root, const char *path)
{
	FILE *out = fmemopen(said, sizeof(said), "w");
	bool is_below = fr_explain_path(rules, files, root, path, out);

	fclose(out);
	return is_below ? said : NULL;
}

START_TEST(test_the_rule_that_decides_is_named)
{
	ck_assert_str_eq(explain("/srv", "/srv/app/views.py"),
			 "app/views.py: counts: \"*.py\" (built-in source files)\n");
	ck_assert_str_eq(explain("/srv", "/srv/app/data.json"),
			 "app/data.json: does not count: no pattern says that it does\n");
	ck_assert_ptr_nonnull(strstr(explain("/", "/srv/x.py"), "srv/x.py: counts"));
}
END_TEST

START_TEST(test_a_folder_on_the_way_is_named)
{
	const char *text = explain("/srv", "/srv/node_modules/a/b.py");

	ck_assert_ptr_nonnull(strstr(text, "does not count: a folder on its way is left out by"));
	ck_assert_ptr_nonnull(strstr(text, "\"node_modules/\""));
}
END_TEST

START_TEST(test_a_virtual_environment_is_looked_up_on_the_disk)
{
	fr_disk_mkdir(fr_disk_at(folder, "env"));
	ck_assert_ptr_nonnull(
		strstr(explain(folder, fr_disk_at(folder, "env/x.py")), "counts: \"*.py\""));
	fr_disk_write(fr_disk_at(folder, "env/pyvenv.cfg"), "");
	ck_assert_ptr_nonnull(
		strstr(explain(folder, fr_disk_at(folder, "env/x.py")), "virtual environment"));
}
END_TEST

START_TEST(test_the_ignore_file_and_its_line_are_named)
{
	static const char unless[] = ", unless a Python application loads it";
	char expected[8192];

	fr_disk_mkdir(fr_disk_at(folder, ".git/info"));
	fr_disk_mkdir(fr_disk_at(folder, "app/a"));
	fr_disk_write(fr_disk_at(folder, ".git/info/exclude"), "secret.py\n");
	fr_disk_write(fr_disk_at(folder, ".gitignore"), "# generated\n*_pb2.py\n");
	fr_disk_write(fr_disk_at(folder, "app/a/.reloadignore"), "# regex\n^old_\n");
	snprintf(expected, sizeof(expected), "a/x_pb2.py: does not count: \"*_pb2.py\" (%s:2)%s\n",
		 fr_disk_at(folder, ".gitignore"), unless);
	ck_assert_str_eq(explain(fr_disk_at(folder, "app"), fr_disk_at(folder, "app/a/x_pb2.py")),
			 expected);
	snprintf(expected, sizeof(expected),
		 "a/secret.py: does not count: \"secret.py\" (%s:1)%s\n",
		 fr_disk_at(folder, ".git/info/exclude"), unless);
	ck_assert_str_eq(explain(fr_disk_at(folder, "app"), fr_disk_at(folder, "app/a/secret.py")),
			 expected);
	snprintf(expected, sizeof(expected), "a/old_x.py: does not count: \"^old_\" (%s:2)\n",
		 fr_disk_at(folder, "app/a/.reloadignore"));
	ck_assert_str_eq(explain(fr_disk_at(folder, "app"), fr_disk_at(folder, "app/a/old_x.py")),
			 expected);
}
END_TEST

START_TEST(test_a_path_elsewhere_is_not_explained)
{
	ck_assert_ptr_null(explain("/srv/app", "/srv/apple/x.py"));
	ck_assert_ptr_null(explain("/srv/app", "/srv/app"));
}
END_TEST

START_TEST(test_a_path_is_made_absolute_as_far_as_it_exists)
{
	char path[PATH_MAX], here[PATH_MAX];

	fr_disk_mkdir(fr_disk_at(folder, "a"));
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	ck_assert_str_eq(fr_explain_absolute("/x.py", path, sizeof(path)), "/x.py");
	fr_explain_absolute("x.py", path, sizeof(path));
	ck_assert_int_eq(strncmp(path, here, strlen(here)), 0);
	ck_assert_str_eq(path + strlen(here), "/x.py");
	fr_explain_absolute("a/../a/x.py", path, sizeof(path));
	ck_assert_str_eq(path + strlen(here), "/a/x.py");
	fr_explain_absolute("missing/x.py", path, sizeof(path));
	ck_assert_str_eq(path + strlen(here), "/missing/x.py");
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(test_what_the_application_has_loaded_makes_the_difference)
{
	static struct fr_writes writes;
	const struct fr_judge judge = {rules, fr_ignorefiles_ignores(files)};
	struct fr_explanation explanation;
	struct fr_loaded *loaded;
	char text[FR_EXPLAIN_TEXT_SIZE], expected[8192], path[PATH_MAX];

	fr_disk_write(fr_disk_at(folder, ".gitignore"), "local.py\n");
	snprintf(path, sizeof(path), "%s", fr_disk_at(folder, "local.py"));
	ck_assert_int_eq(fr_loaded_new(&writes, &loaded), 0);
	fr_ignores_use_loaded(judge.ignores, loaded);
	ck_assert(fr_explain_judge(&judge, files, true, folder, path, &explanation));
	ck_assert_ptr_nonnull(strstr(fr_explain_text(&explanation, text),
				     ":1), and the application has not loaded it"));
	fr_loaded_add(loaded, path);
	ck_assert(fr_explain_judge(&judge, files, true, folder, path, &explanation));
	snprintf(expected, sizeof(expected),
		 "local.py: counts: it is ignored by \"local.py\" (%s/.gitignore:1), but the "
		 "application has loaded it",
		 folder);
	ck_assert_str_eq(fr_explain_text(&explanation, text), expected);
	fr_writes_note(&writes, path);
	ck_assert(fr_explain_judge(&judge, files, true, folder, path, &explanation));
	ck_assert_ptr_nonnull(strstr(fr_explain_text(&explanation, text), "writes it itself"));
	fr_loaded_free(loaded);
}
END_TEST

Suite *fr_check_explain_suite(void)
{
	Suite *suite = suite_create("explain");
	TCase *tcase = tcase_create("explain");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_the_rule_that_decides_is_named);
	tcase_add_test(tcase, test_a_folder_on_the_way_is_named);
	tcase_add_test(tcase, test_a_virtual_environment_is_looked_up_on_the_disk);
	tcase_add_test(tcase, test_the_ignore_file_and_its_line_are_named);
	tcase_add_test(tcase, test_what_the_application_has_loaded_makes_the_difference);
	tcase_add_test(tcase, test_a_path_elsewhere_is_not_explained);
	tcase_add_test(tcase, test_a_path_is_made_absolute_as_far_as_it_exists);
	suite_add_tcase(suite, tcase);
	return suite;
}
