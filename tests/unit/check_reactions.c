/*
 * check_reactions: rules of --fastreload-on, good and bad. What they come to together is in
 * check_plan.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "allocator.h"
#include "decide/reactions.h"

Suite *fr_check_reactions_suite(void);

static struct fr_reactions *reactions;
static const char *pattern;
static bool ignores;
static char error[512];

static void setup(void)
{
	error[0] = '\0';
	ck_assert_int_eq(fr_reactions_new(&reactions), 0);
}

static void teardown(void)
{
	fr_reactions_free(reactions);
	fr_reactions_free(NULL);
}

static int add(const char *text)
{
	return fr_reactions_add(reactions, text, &pattern, &ignores, error, sizeof(error));
}

START_TEST(test_rule_is_a_pattern_and_an_action)
{
	const struct fr_reaction *reaction;

	ck_assert_int_eq(add(" \t*.html \t signal: 17"), 0);
	ck_assert_str_eq(pattern, "*.html");
	ck_assert(!ignores);
	reaction = fr_reactions_find(reactions, "x/a.html");
	ck_assert_ptr_nonnull(reaction);
	ck_assert_int_eq(reaction->action, FR_ACTION_SIGNAL);
	ck_assert_str_eq(reaction->argument, "17");
	ck_assert_ptr_null(fr_reactions_find(reactions, "a.py"));
	ck_assert_int_eq(add("*.html exec:make  \"$@\" | cat"), 0);
	ck_assert_str_eq(fr_reactions_find(reactions, "a.html")->argument, "make  \"$@\" | cat");
	ck_assert(fr_reactions_have(reactions, FR_ACTION_EXEC));
	ck_assert(!fr_reactions_have(reactions, FR_ACTION_LOG));
}
END_TEST

START_TEST(test_ignore_is_told_and_leaves_the_rule_before)
{
	ck_assert_int_eq(add("*.html log"), 0);
	ck_assert_int_eq(add("a.html ignore"), 0);
	ck_assert(ignores);
	ck_assert_int_eq(fr_reactions_find(reactions, "a.html")->action, FR_ACTION_LOG);
}
END_TEST

START_TEST(test_blank_in_a_pattern_is_escaped)
{
	ck_assert_int_eq(add("a\\ b.html log"), 0);
	ck_assert_str_eq(pattern, "a\\ b.html");
	ck_assert_ptr_nonnull(fr_reactions_find(reactions, "a b.html"));
}
END_TEST

START_TEST(test_bad_rule_is_refused_with_a_sentence_and_changes_nothing)
{
	static const char *const bad[] = {
		"",
		" ",
		"*.py",
		"*.py ",
		"*.py restart",
		"*.py Log",
		"*.py log:x",
		"*.py log x",
		"*.py touch:",
		"*.py exec",
		"*.py exec: ",
		"*.py signal",
		"*.py signal:-1",
		"*.py signal:256",
		"*.py signal:1x",
		"!*.py log",
		"[a log",
		"\\ log",
		"*.py browser now",
		"*.py :",
		"*.py \\",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		error[0] = '\0';
		ck_assert_msg(add(bad[i]) == -EINVAL, "\"%s\" was taken", bad[i]);
		ck_assert_int_gt(*error, 0);
	}
	ck_assert_ptr_null(fr_reactions_find(reactions, "a.py"));
}
END_TEST

START_TEST(test_there_can_be_so_many_rules_and_no_more)
{
	for (int i = 0; i < FR_REACTIONS_MAX; i++)
		ck_assert_int_eq(add("*.py log"), 0);
	ck_assert_int_eq(add("*.py reload"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "64"));
	ck_assert_int_eq(fr_reactions_find(reactions, "a.py")->action, FR_ACTION_LOG);
}
END_TEST

START_TEST(test_rules_that_say_the_same_are_one)
{
	ck_assert_int_eq(add("*.po exec:make"), 0);
	ck_assert_int_eq(add("*.pot exec:make"), 0);
	ck_assert_int_eq(add("*.c exec:cc"), 0);
	ck_assert_ptr_eq(fr_reactions_find(reactions, "a.po"),
			 fr_reactions_find(reactions, "a.pot"));
	ck_assert_ptr_ne(fr_reactions_find(reactions, "a.po"), fr_reactions_find(reactions, "a.c"));
}
END_TEST

START_TEST(test_no_memory_changes_nothing)
{
	bool has_failed = true;

	for (unsigned nth = 1; has_failed; nth++) {
		int result;

		fr_allocator_fail_from(nth);
		result = add("*.html log");
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_from(0);
		ck_assert_int_eq(result, has_failed ? -ENOMEM : 0);
		ck_assert_int_eq(fr_reactions_find(reactions, "a.html") != NULL, !has_failed);
	}
}
END_TEST

Suite *fr_check_reactions_suite(void)
{
	Suite *suite = suite_create("reactions");
	TCase *tcase = tcase_create("reactions");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_rule_is_a_pattern_and_an_action);
	tcase_add_test(tcase, test_ignore_is_told_and_leaves_the_rule_before);
	tcase_add_test(tcase, test_blank_in_a_pattern_is_escaped);
	tcase_add_test(tcase, test_bad_rule_is_refused_with_a_sentence_and_changes_nothing);
	tcase_add_test(tcase, test_there_can_be_so_many_rules_and_no_more);
	tcase_add_test(tcase, test_rules_that_say_the_same_are_one);
	tcase_add_test(tcase, test_no_memory_changes_nothing);
	suite_add_tcase(suite, tcase);
	return suite;
}
