/*
 * check_rules: the verdicts of the rules. Most cases are data, in tests/cases/rules/: one file for
 * each set of user's rules. "include" is added before "exclude"; where the order between the two
 * matters, "rules" lists them one by one.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide/rules.h"

#define CASES_DIR FR_TESTS_DIR "/cases/rules"

Suite *fr_check_rules_suite(void);

static struct dirent **case_files;

static struct fr_rules *make(void)
{
	struct fr_rules *rules = NULL;

	ck_assert_int_eq(fr_rules_new(&rules), 0);
	return rules;
}

static void add(struct fr_rules *rules, enum fr_rule_kind kind, const char *pattern)
{
	const char *reason = NULL;

	ck_assert_msg(fr_rules_add(rules, kind, pattern, &reason) == 0, "\"%s\": %s", pattern,
		      reason);
}

/* ---- many rules ---- */

/* They are looked up by the first and the last byte of a name, in words of 64. */
START_TEST(test_each_of_many_rules_is_found)
{
	struct fr_rules *rules = make();
	struct fr_verdict verdict;
	char pattern[32], path[64];

	for (int i = 0; i < 300; i++) {
		snprintf(pattern, sizeof(pattern), i % 3 ? "n%d.py" : "?%d.p[xy]", i);
		add(rules, FR_RULE_EXCLUDE, pattern);
		snprintf(path, sizeof(path), "a/n%d.py", i);
		fr_rules_judge_file(rules, path, NULL, &verdict);
		ck_assert_str_eq(verdict.pattern, pattern);
		ck_assert(!verdict.counts);
	}
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "a/n%d.py/x.py", i);
		fr_rules_judge_file(rules, path, NULL, &verdict);
		ck_assert(!verdict.counts);
		snprintf(path, sizeof(path), "a/n%d.pyx/x.py", i);
		fr_rules_judge_file(rules, path, NULL, &verdict);
		ck_assert(verdict.counts);
	}
	fr_rules_free(rules);
}
END_TEST

/* ---- cases from files ---- */

static void add_list(struct fr_rules *rules, enum fr_rule_kind kind, const json_t *list)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		add(rules, kind, json_string_value(json_array_get(list, i)));
}

static struct fr_rules *make_from(const json_t *state)
{
	const json_t *list = json_object_get(state, "rules");
	struct fr_rules *rules = make();
	const char *include;
	const char *exclude;
	size_t i;

	add_list(rules, FR_RULE_INCLUDE, json_object_get(state, "include"));
	add_list(rules, FR_RULE_EXCLUDE, json_object_get(state, "exclude"));
	for (i = 0; i < json_array_size(list); i++) {
		include = json_string_value(json_object_get(json_array_get(list, i), "include"));
		exclude = json_string_value(json_object_get(json_array_get(list, i), "exclude"));
		add(rules, include ? FR_RULE_INCLUDE : FR_RULE_EXCLUDE,
		    include ? include : exclude);
	}
	return rules;
}

static void judge(const struct fr_rules *rules, const json_t *item, struct fr_verdict *ret_verdict)
{
	const json_t *facts = json_object_get(item, "facts");
	const char *path = json_string_value(json_object_get(item, "path"));
	struct fr_folder_facts known = {
		.has_pyvenv_cfg = json_is_true(json_object_get(facts, "has_pyvenv_cfg")),
		.has_init_py = json_is_true(json_object_get(facts, "has_init_py")),
	};

	if (json_is_true(json_object_get(item, "folder")))
		fr_rules_judge_folder(rules, path, &known, NULL, ret_verdict);
	else
		fr_rules_judge_file(rules, path, NULL, ret_verdict);
}

static void check_case(const struct fr_rules *rules, const char *file, const json_t *item)
{
	const char *path = json_string_value(json_object_get(item, "path"));
	const json_t *by = json_object_get(item, "by");
	struct fr_verdict verdict;

	ck_assert_msg(path && json_is_boolean(json_object_get(item, "counts")),
		      "%s: a case without path or counts", file);
	judge(rules, item, &verdict);
	ck_assert_msg(verdict.counts == json_is_true(json_object_get(item, "counts")),
		      "%s: %s %s, by %s (%s)", file, path,
		      verdict.counts ? "counts" : "does not count",
		      verdict.pattern ? verdict.pattern : "no pattern",
		      verdict.origin ? verdict.origin : "no origin");
	ck_assert_msg(!verdict.pattern == !verdict.origin, "%s: %s: half a reason", file, path);
	if (json_is_null(by))
		ck_assert_msg(!verdict.pattern, "%s: %s: by %s", file, path, verdict.pattern);
	else if (by)
		ck_assert_msg(verdict.pattern &&
				      strcmp(verdict.pattern, json_string_value(by)) == 0,
			      "%s: %s: by %s", file, path,
			      verdict.pattern ? verdict.pattern : "no pattern");
}

START_TEST(test_cases_of_file_get_their_verdicts)
{
	const char *file = case_files[_i]->d_name;
	struct fr_rules *rules;
	char path[4096];
	json_error_t error;
	json_t *root;
	const json_t *cases;
	size_t i;

	snprintf(path, sizeof(path), "%s/%s", CASES_DIR, file);
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(root, "%s:%d: %s", file, error.line, error.text);
	ck_assert_uint_gt(json_array_size(json_object_get(root, "cases")), 0);
	rules = make_from(json_object_get(root, "state"));
	cases = json_object_get(root, "cases");
	for (i = 0; i < json_array_size(cases); i++)
		check_case(rules, file, json_array_get(cases, i));
	fr_rules_free(rules);
	json_decref(root);
}
END_TEST

static int is_case_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

/* ---- the rest ---- */

START_TEST(test_verdict_names_the_origin)
{
	const struct fr_folder_facts none = {.has_init_py = false};
	const struct fr_folder_facts venv = {.has_pyvenv_cfg = true};
	struct fr_rules *rules = make();
	struct fr_verdict verdict;

	add(rules, FR_RULE_INCLUDE, "*.html");
	add(rules, FR_RULE_EXCLUDE, "tests/");
	add(rules, FR_RULE_EXCLUDE, "!tests/keep.py");

	fr_rules_judge_file(rules, "a.py", NULL, &verdict);
	ck_assert_str_eq(verdict.origin, "built-in source files");
	fr_rules_judge_file(rules, ".#a.py", NULL, &verdict);
	ck_assert_str_eq(verdict.origin, "built-in files that never count");
	fr_rules_judge_file(rules, "a.html", NULL, &verdict);
	ck_assert_str_eq(verdict.origin, "--fastreload-include");
	fr_rules_judge_file(rules, "tests/a.py", NULL, &verdict);
	ck_assert_str_eq(verdict.origin, "--fastreload-exclude");
	fr_rules_judge_file(rules, "tests/keep.py", NULL, &verdict);
	ck_assert(verdict.counts);
	ck_assert_str_eq(verdict.pattern, "!tests/keep.py");
	ck_assert_str_eq(verdict.origin, "--fastreload-exclude");
	fr_rules_judge_folder(rules, ".git", &none, NULL, &verdict);
	ck_assert_str_eq(verdict.origin, "built-in skipped folders");
	fr_rules_judge_folder(rules, "build", &none, NULL, &verdict);
	ck_assert_str_eq(verdict.origin, "built-in build folders");
	fr_rules_judge_folder(rules, "env", &venv, NULL, &verdict);
	ck_assert_str_eq(verdict.origin, "virtual environment");
	ck_assert_str_eq(verdict.pattern, "pyvenv.cfg");
	fr_rules_free(rules);
}
END_TEST

START_TEST(test_bad_pattern_is_refused_and_changes_nothing)
{
	struct fr_rules *rules = make();
	struct fr_verdict verdict;
	const char *reason = NULL;

	ck_assert_int_eq(fr_rules_add(rules, FR_RULE_EXCLUDE, "[a", &reason), -EINVAL);
	ck_assert_ptr_nonnull(reason);
	reason = NULL;
	ck_assert_int_eq(fr_rules_add(rules, FR_RULE_NEVER, "*.py", &reason), -EINVAL);
	ck_assert_ptr_nonnull(reason);
	fr_rules_judge_file(rules, "a.py", NULL, &verdict);
	ck_assert(verdict.counts);
	fr_rules_free(rules);
	fr_rules_free(NULL);
}
END_TEST

START_TEST(test_many_rules_keep_their_order)
{
	struct fr_rules *rules = make();
	struct fr_verdict verdict;
	char pattern[32];
	int i;

	for (i = 0; i < 1000; i++) {
		snprintf(pattern, sizeof(pattern), "name%d.txt", i);
		add(rules, i % 2 ? FR_RULE_EXCLUDE : FR_RULE_INCLUDE, pattern);
	}
	fr_rules_judge_file(rules, "x/name998.txt", NULL, &verdict);
	ck_assert(verdict.counts);
	ck_assert_str_eq(verdict.pattern, "name998.txt");
	fr_rules_judge_file(rules, "name999.txt", NULL, &verdict);
	ck_assert(!verdict.counts);
	fr_rules_free(rules);
}
END_TEST

START_TEST(test_printed_tables_hold_a_pattern_a_line)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	fr_rules_print_builtin(out);
	fclose(out);
	ck_assert(strncmp(text, "Files that count:\n    *.py\n", 27) == 0);
	ck_assert_ptr_nonnull(strstr(text, "\n    .git/\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n    build/\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n    *.sw[a-p]\n"));
	free(text);
}
END_TEST

Suite *fr_check_rules_suite(void)
{
	Suite *suite = suite_create("rules");
	TCase *tcase = tcase_create("rules");
	int count;

	count = scandir(CASES_DIR, &case_files, is_case_file, alphasort);
	if (count <= 0) {
		fprintf(stderr, "no cases in %s\n", CASES_DIR);
		exit(EXIT_FAILURE);
	}
	tcase_add_loop_test(tcase, test_cases_of_file_get_their_verdicts, 0, count);
	tcase_add_test(tcase, test_verdict_names_the_origin);
	tcase_add_test(tcase, test_bad_pattern_is_refused_and_changes_nothing);
	tcase_add_test(tcase, test_many_rules_keep_their_order);
	tcase_add_test(tcase, test_each_of_many_rules_is_found);
	tcase_add_test(tcase, test_printed_tables_hold_a_pattern_a_line);
	suite_add_tcase(suite, tcase);
	return suite;
}
