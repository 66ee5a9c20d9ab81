/*
 * check_regex: regular expressions mean what they mean to regexec(3), which is asked where it can
 * answer in time, and take bounded time where it cannot.
 */
#include <check.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "decide/regex.h"

Suite *fr_check_regex_suite(void);

/* Does it match anywhere? -1: it is refused. */
static int finds(const char *expression, const char *text)
{
	struct fr_regex *regex = NULL;
	const char *reason = NULL;
	int r = fr_regex_new(expression, &regex, &reason), found;

	ck_assert_int_eq(r == 0, reason == NULL);
	if (r < 0)
		return -1;
	found = fr_regex_finds(regex, text, strlen(text));
	fr_regex_free(regex);
	return found;
}

static int libc_finds(const char *expression, const char *text)
{
	regex_t regex;
	int found;

	if (regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB) != 0)
		return -1;
	found = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

START_TEST(test_expressions_mean_what_the_c_library_says)
{
	static const char *const expressions[] = {
		"a",
		"^a",
		"a$",
		"^a$",
		"^$",
		".",
		"^.$",
		"a.c",
		"a*",
		"^a*$",
		"^a+$",
		"^ab?c$",
		"^(ab)*$",
		"^(ab|c)+$",
		"^(a|b|cc)$",
		"^((a*)*b)*$",
		"^(a?){3}$",
		"^a{2}$",
		"^a{2,}$",
		"^a{0,2}$",
		"^a{0}b$",
		"^(a|b){2,3}c$",
		"^[abc]+$",
		"^[^abc]+$",
		"^[]a]+$",
		"^[^]a]+$",
		"^[a-c-]+$",
		"^[[:digit:]_]+$",
		"^[^[:alpha:]]$",
		"^[[a]$",
		"\\.py$",
		"\\(a\\)",
		"^\\[a\\]$",
		"(^|/)b",
		"(a|/)c$",
		"a|b$|^c",
		"a^b",
		"a$b",
		"^(^a)$",
		"a**",
		"a+*?",
		"^(a{2}){2}$",
		"^(((a)))$",
		"x*$",
	};
	static const char *const texts[] = {
		"",    "a",    "aa",    "aaa", "aaaa", "b",   "c",        "ab",  "abc",
		"ac",  "abab", "abcab", "aab", "cc",   "a.c", "]",        "]a",  "-",
		"a-c", "[",    "[a]",   "(a)", "x.py", "xpy", "/b",       "a/b", "ab/c",
		"1",   "1_2",  "_",     "aac", "babc", "abb", "\xc3\xa9",
	};

	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
		for (size_t j = 0; j < sizeof(texts) / sizeof(*texts); j++)
			ck_assert_msg(finds(expressions[i], texts[j]) ==
					      libc_finds(expressions[i], texts[j]),
				      "\"%s\" in \"%s\"", expressions[i], texts[j]);
	}
}
END_TEST

/* A small generator: most of what it makes is valid. */
static void make_expression(unsigned *seed, char *text, size_t size)
{
	static const char *const pieces[] = {"a", "b", "c",   "/",    ".",  "[ab]", "[^a]", "(a|b)",
					     "(", ")", "|",   "*",    "+",  "?",    "{2}",  "{1,2}",
					     "^", "$", "\\.", "(ab)", "b*", "(a*)"};
	size_t count = 1 + (size_t)rand_r(seed) % 7;

	*text = '\0';
	while (count-- > 0)
		strncat(text, pieces[(size_t)rand_r(seed) % (sizeof(pieces) / sizeof(*pieces))],
			size - strlen(text) - 1);
}

START_TEST(test_random_expressions_mean_what_the_c_library_says)
{
	unsigned seed = 20260, asked = 0;
	char expression[128], text[8];

	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)rand_r(&seed) % (sizeof(text) - 1);
		int ours;

		make_expression(&seed, expression, sizeof(expression));
		for (size_t j = 0; j < len; j++)
			text[j] = "abc/."[rand_r(&seed) % 5];
		text[len] = '\0';
		ours = finds(expression, text);
		if (ours < 0)
			continue; /* what is undefined in POSIX */
		asked++;
		ck_assert_msg(ours == libc_finds(expression, text), "\"%s\" in \"%s\": %d",
			      expression, text, ours);
	}
	ck_assert_uint_gt(asked, 5000);
}
END_TEST

START_TEST(test_short_classes_of_other_tools_are_known)
{
	ck_assert_int_eq(finds("^\\d+$", "0123456789"), 1);
	ck_assert_int_eq(finds("^\\d+$", "12a"), 0);
	ck_assert_int_eq(finds("^\\w+$", "aZ_9"), 1);
	ck_assert_int_eq(finds("^\\w+$", "a-b"), 0);
	ck_assert_int_eq(finds("^a\\sb$", "a b"), 1);
}
END_TEST

START_TEST(test_what_means_nothing_is_refused)
{
	static const char *const expressions[] = {
		"(a",        "a)",      "()",      "a|",    "|a",  "(a|)",   "",    "*a",
		"+",         "a|*",     "(*a)",    "^*",    "a$+", "{2}",    "a{",  "a{x}",
		"a{2",       "a{,2}",   "a{3,2}",  "[a",    "[",   "[]",     "[^]", "[[:nope:]]",
		"[[:alpha]", "[[.a.]]", "[[=a=]]", "[c-a]", "a\\", "(a)\\1", "[a-",
	};

	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++)
		ck_assert_msg(finds(expressions[i], "a") == -1, "\"%s\"", expressions[i]);
}
END_TEST

START_TEST(test_expression_that_is_too_large_is_refused)
{
	char text[512];

	ck_assert_int_eq(finds("((((a{99}){99}){99}){99}){99}", "a"), -1);
	ck_assert_int_eq(finds("a{32767}", "a"), -1);
	ck_assert_int_eq(finds("a{99999999999999999999}", "a"), -1);
	ck_assert_int_eq(finds("((((((((((a{2}){2}){2}){2}){2}){2}){2}){2}){2}){2})", "a"), -1);
	memset(text, '(', 200);
	memset(text + 200, 'a', 100);
	memset(text + 300, ')', 200);
	text[500] = '\0';
	ck_assert_int_eq(finds(text, "a"), -1);
}
END_TEST

/* regexec(3) of the GNU C library takes minutes or gigabytes for some of these. */
START_TEST(test_hostile_expressions_take_no_time)
{
	static const char *const expressions[] = {
		"(a|b)*a(a|b){200}x",
		"((a?)(b?)){200}x",
		"((a*)*b*){100}x",
		"(a*)*(a*)*(a*)*x",
		"(((((((((a+)+)+)+)+)+)+)+)+)+x",
	};
	char text[4096];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++)
		ck_assert_msg(finds(expressions[i], text) == 0, "\"%s\"", expressions[i]);
}
END_TEST

START_TEST(test_any_allocation_fails_and_nothing_is_left)
{
	unsigned nth = 0;
	bool has_failed;

	do {
		struct fr_regex *regex = NULL;
		const char *reason;
		int r;

		fr_allocator_fail_once(++nth);
		r = fr_regex_new("(a|b)+c{2}", &regex, &reason);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_once(0);
		ck_assert_int_eq(r, has_failed ? -ENOMEM : 0);
		fr_regex_free(regex);
	} while (has_failed);
	ck_assert_uint_gt(nth, 3);
}
END_TEST

Suite *fr_check_regex_suite(void)
{
	Suite *suite = suite_create("regex");
	TCase *tcase = tcase_create("regex");

	tcase_add_test(tcase, test_expressions_mean_what_the_c_library_says);
	tcase_add_test(tcase, test_random_expressions_mean_what_the_c_library_says);
	tcase_add_test(tcase, test_short_classes_of_other_tools_are_known);
	tcase_add_test(tcase, test_what_means_nothing_is_refused);
	tcase_add_test(tcase, test_expression_that_is_too_large_is_refused);
	tcase_add_test(tcase, test_hostile_expressions_take_no_time);
	tcase_add_test(tcase, test_any_allocation_fails_and_nothing_is_left);
	suite_add_tcase(suite, tcase);
	return suite;
}
