/*
 * check_judge: several ignore files, the built-in rules and the user's: which of them decides. The
 * order among git's own files is compared with git by compare_ignore.py.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "decide/ignores.h"
#include "decide/judge.h"
#include "decide/loaded.h"
#include "decide/rules.h"

#define ROOT "/srv/app"

Suite *fr_check_judge_suite(void);

static struct fr_rules *rules;
static struct fr_ignores *ignores;
static struct fr_judge judge;
static struct fr_verdict verdict;
static struct fr_writes writes;
static struct fr_loaded *loaded;

static void setup(void)
{
	ck_assert_int_eq(fr_rules_new(&rules), 0);
	ck_assert_int_eq(fr_ignores_new(&ignores), 0);
	judge = (struct fr_judge){.rules = rules, .ignores = ignores};
	memset(&writes, 0, sizeof(writes));
	ck_assert_int_eq(fr_loaded_new(&writes, &loaded), 0);
}

static void teardown(void)
{
	fr_rules_free(rules);
	fr_ignores_free(ignores);
	fr_loaded_free(loaded);
}

static struct fr_ignore *file_of(const char *name, const char *text)
{
	struct fr_ignore *file = NULL;

	ck_assert_int_eq(
		fr_ignore_new(name, text, strlen(text), FR_IGNORE_EITHER, NULL, NULL, &file), 0);
	return file;
}

static void set_kept(const char *folder, enum fr_ignores_kind kind, const char *text, bool keeps)
{
	static const char *const names[] = {"exclude", ".gitignore", ".reloadignore"};

	ck_assert_int_eq(fr_ignores_set(ignores, folder, kind,
					text ? file_of(names[kind], text) : NULL, keeps),
			 0);
}

static void set(const char *folder, enum fr_ignores_kind kind, const char *text)
{
	set_kept(folder, kind, text, false);
}

static void add(enum fr_rule_kind kind, const char *pattern)
{
	const char *reason;

	ck_assert_int_eq(fr_rules_add(rules, kind, pattern, &reason), 0);
}

/* Below ROOT: a path with a '/' at its end is a folder. */
static bool counts_as(const char *path, bool was)
{
	static char full[4096];
	const struct fr_folder_facts facts = {0};
	size_t len = (size_t)snprintf(full, sizeof(full), "%s/%s", ROOT, path);

	if (full[len - 1] == '/') {
		full[len - 1] = '\0';
		fr_judge_folder(&judge, full, full + sizeof(ROOT), was, &facts, &verdict);
	} else {
		fr_judge_file(&judge, full, full + sizeof(ROOT), was, &verdict);
	}
	return verdict.counts;
}

static bool counts(const char *path)
{
	return counts_as(path, false);
}

START_TEST(test_ignored_files_and_folders_do_not_count_and_the_line_is_named)
{
	set(ROOT, FR_IGNORES_GIT, "\nlocal.py\ngen/\n");
	ck_assert(!counts("a/local.py"));
	ck_assert_str_eq(verdict.pattern, "local.py");
	ck_assert_str_eq(verdict.origin, ".gitignore");
	ck_assert_uint_eq(verdict.line, 2);
	ck_assert(!counts("gen/"));
	ck_assert_uint_eq(verdict.line, 3);
	ck_assert(!counts("gen/a/b.py"));
	ck_assert_uint_eq(verdict.line, 3);
	ck_assert(counts("a/views.py"));
	ck_assert_uint_eq(verdict.line, 0);
	ck_assert_str_eq(verdict.origin, "built-in source files");
	ck_assert(counts("a/"));
}
END_TEST

START_TEST(test_without_ignore_files_the_rules_decide)
{
	judge.ignores = NULL;
	ck_assert(counts("a.py"));
	ck_assert(counts("a/"));
	ck_assert(!counts("node_modules/"));
}
END_TEST

START_TEST(test_an_ignore_file_only_leaves_out)
{
	set(ROOT, FR_IGNORES_GIT, "!*.json\n!node_modules/\n");
	set(ROOT, FR_IGNORES_RELOAD, "*\n!*/\n!*.py\n!*.log\n");
	ck_assert(counts("a.py"));
	ck_assert(counts("b/a.py"));
	ck_assert(!counts("a.json"));
	ck_assert(!counts("a.ini"));
	ck_assert(!counts("a.log"));
	ck_assert(!counts("node_modules/"));
	ck_assert_str_eq(verdict.origin, "built-in skipped folders");
	ck_assert(counts("b/"));
}
END_TEST

START_TEST(test_reloadignore_decides_over_gitignore_however_deep)
{
	set(ROOT, FR_IGNORES_RELOAD, "!local.py\n!conf/\n");
	set(ROOT, FR_IGNORES_GIT, "conf/\n");
	set(ROOT "/a", FR_IGNORES_GIT, "local.py\nother.py\n");
	ck_assert(counts("a/local.py"));
	ck_assert(!counts("a/other.py"));
	ck_assert(counts("conf/"));
	ck_assert(counts("conf/x.py"));
}
END_TEST

START_TEST(test_files_of_the_options_decide_over_reloadignore_the_last_first)
{
	set(ROOT "/a", FR_IGNORES_RELOAD, "!x.py\ny.py\n");
	ck_assert_int_eq(fr_ignores_add(ignores, file_of("one", "x.py\n!/a/z.py\n")), 0);
	ck_assert_int_eq(fr_ignores_add(ignores, file_of("two", "!/a/y.py\n/z.py\n")), 0);
	ck_assert(!counts("a/x.py"));
	ck_assert_str_eq(verdict.origin, "one");
	ck_assert(counts("a/y.py"));
	ck_assert(!counts("z.py"));
	ck_assert_str_eq(verdict.origin, "two");
	ck_assert(counts("a/z.py"));
}
END_TEST

START_TEST(test_the_users_patterns_decide_over_all_files)
{
	set(ROOT, FR_IGNORES_GIT, "*.py\n*.json\ngen/\ndeep/\n");
	add(FR_RULE_INCLUDE, "local.py");
	add(FR_RULE_INCLUDE, "gen/deep/*.py");
	add(FR_RULE_EXCLUDE, "not.py");
	ck_assert(counts("a/local.py"));
	ck_assert_str_eq(verdict.origin, "--fastreload-include");
	ck_assert(!counts("a/other.py"));
	ck_assert(!counts("not.py"));
	ck_assert_str_eq(verdict.origin, "--fastreload-exclude");
	/* The way to what is included is open, and what else is there is not. */
	ck_assert(counts("gen/"));
	ck_assert(counts("gen/deep/"));
	ck_assert(counts("gen/deep/x.py"));
	ck_assert(!counts("gen/x.py"));
	ck_assert(!counts("gen/other/"));
	ck_assert(!counts("other/deep/"));
}
END_TEST

START_TEST(test_files_that_never_count_are_named_by_their_kind)
{
	set(ROOT, FR_IGNORES_GIT, "*.swp\n");
	ck_assert(!counts("a.swp"));
	ck_assert_str_eq(verdict.origin, "built-in files that never count");
}
END_TEST

START_TEST(test_a_repository_inside_has_its_own_git_files)
{
	set(ROOT, FR_IGNORES_GIT, "x.py\n/out/\n");
	set(ROOT, FR_IGNORES_RELOAD, "r.py\n");
	set(ROOT "/lib", FR_IGNORES_EXCLUDE, "e.py\n!g.py\n");
	set(ROOT "/lib/a", FR_IGNORES_GIT, "g.py\n");
	ck_assert(!counts("lib/x.py"));
	ck_assert(counts("lib/e.py"));
	ck_assert_int_eq(fr_ignores_set_repository(ignores, ROOT "/lib", true, false), 0);
	ck_assert(fr_ignores_is_repository(ignores, ROOT "/lib"));
	ck_assert(counts("lib/x.py"));
	ck_assert(!counts("x.py"));
	ck_assert(!counts("lib/e.py"));
	ck_assert(!counts("lib/a/g.py"));
	ck_assert(counts("lib/g.py"));
	ck_assert(!counts("lib/a/r.py"));
	ck_assert(!counts("out/"));
	ck_assert(!counts("out/x.py"));
}
END_TEST

START_TEST(test_files_above_the_watched_folder_hold_but_do_not_leave_it_out)
{
	set("/srv", FR_IGNORES_GIT, "/app/\n/app/gen/\ntmp.py\n");
	set("/", FR_IGNORES_GIT, "far.py\n");
	ck_assert(counts("a.py"));
	ck_assert(!counts("gen/"));
	ck_assert(!counts("x/tmp.py"));
	ck_assert(!counts("x/far.py"));
	ck_assert_int_eq(fr_ignores_set_repository(ignores, "/srv", true, false), 0);
	ck_assert(counts("x/far.py"));
}
END_TEST

START_TEST(test_a_watched_folder_may_be_the_top_of_all)
{
	const char path[] = "/gen/a.py", other[] = "/x.py", third[] = "/srv/y.py";

	set("/", FR_IGNORES_GIT, "/gen/\nx.py\n");
	ck_assert_int_eq(fr_ignores_add(ignores, file_of("one", "/srv/y.py\n")), 0);
	fr_judge_file(&judge, path, path + 1, false, &verdict);
	ck_assert(!verdict.counts);
	fr_judge_file(&judge, other, other + 1, false, &verdict);
	ck_assert(!verdict.counts);
	fr_judge_file(&judge, third, third + 1, false, &verdict);
	ck_assert_str_eq(verdict.origin, "one");
}
END_TEST

START_TEST(test_a_file_that_changes_is_judged_anew_and_what_was_is_known)
{
	set(ROOT, FR_IGNORES_GIT, "a.py\n");
	ck_assert(!counts("a.py"));
	set_kept(ROOT, FR_IGNORES_GIT, "b.py\n", true);
	set_kept(ROOT, FR_IGNORES_GIT, "c.py\n", true);
	ck_assert(counts("a.py"));
	ck_assert(!counts("c.py"));
	ck_assert(!counts_as("a.py", true)); /* the oldest is what was */
	ck_assert(counts_as("b.py", true));
	ck_assert(counts_as("c.py", true));
	fr_ignores_settle(ignores);
	ck_assert(counts_as("a.py", true));
	ck_assert(!counts_as("c.py", true));
	set_kept(ROOT, FR_IGNORES_GIT, NULL, true);
	ck_assert(counts("c.py"));
	ck_assert(!counts_as("c.py", true));
	fr_ignores_settle(ignores);
	ck_assert(counts_as("c.py", true));
}
END_TEST

START_TEST(test_a_repository_that_comes_is_judged_anew_and_what_was_is_known)
{
	set(ROOT, FR_IGNORES_GIT, "x.py\n");
	ck_assert(!counts("lib/x.py"));
	ck_assert_int_eq(fr_ignores_set_repository(ignores, ROOT "/lib", true, true), 0);
	ck_assert(counts("lib/x.py"));
	ck_assert(!counts_as("lib/x.py", true));
	fr_ignores_settle(ignores);
	ck_assert(counts_as("lib/x.py", true));
	ck_assert_int_eq(fr_ignores_set_repository(ignores, ROOT "/none", false, true), 0);
}
END_TEST

START_TEST(test_what_is_forgotten_holds_no_more)
{
	set(ROOT, FR_IGNORES_GIT, "a.py\n");
	set(ROOT "/b", FR_IGNORES_GIT, "b.py\n");
	fr_ignores_forget(ignores, ROOT);
	fr_ignores_forget(ignores, ROOT);
	ck_assert(counts("b/a.py"));
	ck_assert(!counts("b/b.py"));
	ck_assert_ptr_null(fr_ignores_get(ignores, ROOT, FR_IGNORES_GIT));
	ck_assert_ptr_nonnull(fr_ignores_get(ignores, ROOT "/b", FR_IGNORES_GIT));
	ck_assert_ptr_null(fr_ignores_get(ignores, ROOT "/b", FR_IGNORES_RELOAD));
}
END_TEST

START_TEST(test_all_files_together_are_bounded)
{
	char *text = malloc(FR_IGNORE_MAX_BYTES);
	char folder[64];
	unsigned count = 0;
	int r = 0;

	ck_assert_ptr_nonnull(text);
	memset(text, '#', FR_IGNORE_MAX_BYTES);
	while (r == 0 && count < 1000) {
		struct fr_ignore *file = NULL;

		ck_assert_int_eq(fr_ignore_new("file", text, FR_IGNORE_MAX_BYTES, FR_IGNORE_EITHER,
					       NULL, NULL, &file),
				 0);
		snprintf(folder, sizeof(folder), "%s/%u", ROOT, count);
		r = fr_ignores_set(ignores, folder, FR_IGNORES_GIT, file, false);
		count += r == 0;
	}
	ck_assert_int_eq(r, -EFBIG);
	ck_assert_uint_le(count, FR_IGNORES_MAX_BYTES / FR_IGNORE_MAX_BYTES);
	/* What one gives back another can have. */
	fr_ignores_forget(ignores, ROOT "/0");
	set(ROOT "/x", FR_IGNORES_GIT, "a.py\n");
	ck_assert(!counts("x/a.py"));
	free(text);
}
END_TEST

START_TEST(test_many_folders_find_their_own_file)
{
	char folder[64], path[64];

	for (int i = 0; i < 1000; i++) {
		snprintf(folder, sizeof(folder), "%s/f%d", ROOT, i);
		snprintf(path, sizeof(path), "n%d.py\n", i);
		set(folder, FR_IGNORES_GIT, path);
	}
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "f%d/n%d.py", i, i);
		ck_assert(!counts(path));
		snprintf(path, sizeof(path), "f%d/n%d.py", i, i + 1);
		ck_assert(counts(path));
	}
}
END_TEST

/* Whatever fails, the answer is one of those before and after, and the next one is right. */
START_TEST(test_any_allocation_fails_and_nothing_is_left)
{
	unsigned nth = 0;
	bool has_failed;

	do {
		struct fr_ignores *made = NULL;
		struct fr_judge with = {.rules = rules};
		struct fr_ignore *file = file_of(".gitignore", "a.py\n");
		struct fr_ignore *added = file_of("one", "b.py\n");
		const char path[] = ROOT "/d/a.py";
		int r, r_add = 0, r_top = 0;

		fr_allocator_fail_once(++nth);
		r = fr_ignores_new(&made);
		if (r == 0) {
			r = fr_ignores_set(made, ROOT, FR_IGNORES_GIT, file, true);
			r_add = fr_ignores_add(made, added);
			r_top = fr_ignores_set_repository(made, "/srv", true, true);
			with.ignores = made;
			fr_judge_file(&with, path, path + sizeof(ROOT), false, &verdict);
		} else {
			fr_ignore_free(file);
			fr_ignore_free(added);
		}
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
		ck_assert(r == 0 || r == -ENOMEM);
		ck_assert(r_add == 0 || r_add == -ENOMEM);
		ck_assert(r_top == 0 || r_top == -ENOMEM);
		if (made) {
			fr_judge_file(&with, path, path + sizeof(ROOT), false, &verdict);
			ck_assert_int_eq(verdict.counts, r != 0);
		}
		fr_ignores_free(made);
	} while (has_failed);
	ck_assert_uint_gt(nth, 5);
	fr_ignores_free(NULL);
}
END_TEST

/* ---- what is loaded ---- */

/* The application has loaded these, below ROOT; NULL behind the last. */
static void load(const char *const *paths)
{
	char full[4096];

	for (; *paths; paths++) {
		snprintf(full, sizeof(full), "%s/%s", ROOT, *paths);
		ck_assert_int_eq(fr_loaded_add(loaded, full), 1);
	}
	fr_ignores_use_loaded(ignores, loaded);
}

#define LOAD(...) load((const char *const[]){__VA_ARGS__, NULL})

static enum fr_judge_reason why_not(const char *path)
{
	char full[4096];

	snprintf(full, sizeof(full), "%s/%s", ROOT, path);
	return fr_judge_why_not(&judge, full, full + sizeof(ROOT));
}

START_TEST(test_an_ignored_file_that_was_loaded_counts_and_the_line_is_named)
{
	set(ROOT, FR_IGNORES_EXCLUDE, "three.py\n");
	set(ROOT, FR_IGNORES_GIT, "\nlocal.py\n.env\n");
	set(ROOT, FR_IGNORES_RELOAD, "two.py\n");
	ck_assert_int_eq(fr_ignores_set_repository(ignores, ROOT, true, false), 0);
	LOAD("a/local.py", ".env", "two.py", "three.py", "plain.py");
	ck_assert(counts("a/local.py"));
	ck_assert(verdict.is_loaded);
	ck_assert_str_eq(verdict.pattern, "local.py");
	ck_assert_str_eq(verdict.origin, ".gitignore");
	ck_assert_uint_eq(verdict.line, 2);
	ck_assert(counts(".env"));
	ck_assert(!counts("two.py")); /* that file is for us: it means this */
	ck_assert(!verdict.is_loaded);
	ck_assert(counts("three.py"));
	ck_assert(counts("plain.py"));
	ck_assert(!verdict.is_loaded);
	ck_assert_uint_eq(verdict.line, 0);
	ck_assert(!counts("b/local.py"));
	ck_assert(!verdict.is_loaded);
}
END_TEST

START_TEST(test_of_a_file_that_was_loaded_the_ignore_file_may_change)
{
	LOAD("local.py");
	ck_assert(counts("local.py"));
	set_kept(ROOT, FR_IGNORES_GIT, "local.py\n", true);
	ck_assert(counts("local.py"));
	ck_assert(counts_as("local.py", true));
	fr_ignores_settle(ignores);
	set_kept(ROOT, FR_IGNORES_GIT, NULL, true);
	ck_assert(counts("local.py"));
	ck_assert(counts_as("local.py", true));
	ck_assert(verdict.is_loaded);
}
END_TEST

START_TEST(test_what_the_user_and_the_built_in_rules_leave_out_does_not_count_when_loaded)
{
	add(FR_RULE_EXCLUDE, "excluded.py");
	set(ROOT, FR_IGNORES_GIT, "*\n");
	ck_assert_int_eq(fr_ignores_add(ignores, file_of("option", "named.py\n")), 0);
	LOAD("excluded.py", "named.py", "data.json", "a.sqlite3", "b.py~", "c.log", "d.py");
	ck_assert(!counts("excluded.py"));
	ck_assert_str_eq(verdict.origin, "--fastreload-exclude");
	ck_assert(!counts("named.py"));
	ck_assert_str_eq(verdict.origin, "option");
	ck_assert(!counts("data.json"));
	ck_assert(!counts("a.sqlite3"));
	ck_assert(!counts("b.py~"));
	ck_assert(!counts("c.log"));
	ck_assert(counts("d.py"));
	ck_assert_int_eq(why_not("named.py"), FR_JUDGE_OTHER);
	ck_assert_int_eq(why_not("excluded.py"), FR_JUDGE_OTHER);
	ck_assert_int_eq(why_not("data.json"), FR_JUDGE_OTHER);
}
END_TEST

START_TEST(test_an_option_s_file_that_takes_back_leaves_the_word_to_nobody)
{
	set(ROOT, FR_IGNORES_GIT, "local.py\n");
	ck_assert_int_eq(fr_ignores_add(ignores, file_of("option", "!local.py\n")), 0);
	LOAD("local.py");
	ck_assert(counts("local.py"));
	ck_assert(!verdict.is_loaded);
}
END_TEST

START_TEST(test_an_ignored_folder_is_not_entered_whatever_was_loaded)
{
	set(ROOT, FR_IGNORES_GIT, "gen/\n");
	LOAD("gen/a.py", "gen");
	ck_assert(!counts("gen/"));
	ck_assert(!verdict.is_loaded);
}
END_TEST

START_TEST(test_what_the_application_writes_itself_does_not_count)
{
	set(ROOT, FR_IGNORES_GIT, "state.yaml\n");
	LOAD("state.yaml", "conf.yaml");
	ck_assert(counts("state.yaml"));
	fr_writes_note(&writes, ROOT "/state.yaml");
	fr_writes_note(&writes, ROOT "/conf.yaml");
	ck_assert(!counts("state.yaml"));
	ck_assert(!verdict.is_loaded);
	ck_assert(counts("conf.yaml")); /* as ever: nobody ignores it */
	ck_assert_int_eq(why_not("state.yaml"), FR_JUDGE_WRITTEN);
}
END_TEST

START_TEST(test_why_an_ignored_file_does_not_count_is_known)
{
	set(ROOT, FR_IGNORES_GIT, "local.py\n");
	ck_assert_int_eq(why_not("local.py"), FR_JUDGE_NOT_KNOWN);
	LOAD("other.py");
	ck_assert_int_eq(why_not("local.py"), FR_JUDGE_NOT_LOADED);
	judge.ignores = NULL;
	ck_assert_int_eq(why_not("local.py"), FR_JUDGE_OTHER);
}
END_TEST

Suite *fr_check_judge_suite(void)
{
	Suite *suite = suite_create("judge");
	TCase *tcase = tcase_create("judge");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_ignored_files_and_folders_do_not_count_and_the_line_is_named);
	tcase_add_test(tcase, test_without_ignore_files_the_rules_decide);
	tcase_add_test(tcase, test_an_ignore_file_only_leaves_out);
	tcase_add_test(tcase, test_reloadignore_decides_over_gitignore_however_deep);
	tcase_add_test(tcase, test_files_of_the_options_decide_over_reloadignore_the_last_first);
	tcase_add_test(tcase, test_the_users_patterns_decide_over_all_files);
	tcase_add_test(tcase, test_files_that_never_count_are_named_by_their_kind);
	tcase_add_test(tcase, test_a_repository_inside_has_its_own_git_files);
	tcase_add_test(tcase, test_files_above_the_watched_folder_hold_but_do_not_leave_it_out);
	tcase_add_test(tcase, test_a_watched_folder_may_be_the_top_of_all);
	tcase_add_test(tcase, test_a_file_that_changes_is_judged_anew_and_what_was_is_known);
	tcase_add_test(tcase, test_a_repository_that_comes_is_judged_anew_and_what_was_is_known);
	tcase_add_test(tcase, test_what_is_forgotten_holds_no_more);
	tcase_add_test(tcase, test_all_files_together_are_bounded);
	tcase_add_test(tcase, test_many_folders_find_their_own_file);
	tcase_add_test(tcase, test_any_allocation_fails_and_nothing_is_left);
	tcase_add_test(tcase, test_an_ignored_file_that_was_loaded_counts_and_the_line_is_named);
	tcase_add_test(tcase, test_of_a_file_that_was_loaded_the_ignore_file_may_change);
	tcase_add_test(
		tcase,
		test_what_the_user_and_the_built_in_rules_leave_out_does_not_count_when_loaded);
	tcase_add_test(tcase, test_an_option_s_file_that_takes_back_leaves_the_word_to_nobody);
	tcase_add_test(tcase, test_an_ignored_folder_is_not_entered_whatever_was_loaded);
	tcase_add_test(tcase, test_what_the_application_writes_itself_does_not_count);
	tcase_add_test(tcase, test_why_an_ignored_file_does_not_count_is_known);
	suite_add_tcase(suite, tcase);
	return suite;
}
