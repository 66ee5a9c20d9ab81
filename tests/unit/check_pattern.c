/*
 * check_pattern: the pattern language, case by case. What random patterns would find is left to
 * compare_gitignore.py; here stand the cases that a reader would look up, and what git cannot be
 * asked: reasons, may_match_below, blanket patterns and cost.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decide/pattern.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

Suite *fr_check_pattern_suite(void);

static struct fr_pattern *make(const char *text)
{
	struct fr_pattern *pattern = NULL;
	const char *reason = NULL;
	int r;

	r = fr_pattern_new(text, &pattern, &reason);
	ck_assert_msg(r == 0, "\"%s\" is refused: %s", text, reason);
	return pattern;
}

static bool matches(const char *text, const char *path, bool is_folder)
{
	struct fr_pattern *pattern = make(text);
	bool result = fr_pattern_matches(pattern, path, is_folder);

	fr_pattern_free(pattern);
	return result;
}

/* ---- matching ---- */

static const struct {
	const char *pattern;
	const char *path;
	bool expected;
} FILES[] = {
	/* no slash: any depth, the whole name */
	{"a.py", "a.py", true},
	{"a.py", "x/y/a.py", true},
	{"a.py", "xa.py", false},
	{"a.py", "a.pyc", false},
	{"a.py", "a.py/b", false},
	/* a slash at the start or in the middle: anchored */
	{"/a.py", "a.py", true},
	{"/a.py", "x/a.py", false},
	{"x/a.py", "x/a.py", true},
	{"x/a.py", "y/x/a.py", false},
	/* a slash at the end: folders only */
	{"a/", "a", false},
	{"x/a/", "x/a", false},
	/* one star stays in its name */
	{"*", "x/a", true},
	{"*.py", "x/a.py", true},
	{"*.py", ".py", true},
	{"*.py", "a.py.bak", false},
	{"x/*", "x/a", true},
	{"x/*", "x/y/a", false},
	{"x/*/a", "x/y/a", true},
	{"x/*/a", "x/y/z/a", false},
	{"x/*/a", "x/a", false},
	{"a*b*c", "aXbXbXc", true},
	{"a*b*c", "aXcXb", false},
	{"*a*a*a", "aaaa", true},
	{"x*y/z", "xay/z", true},
	{"x*y/z", "xa/y/z", false},
	/* a question mark is one byte, but no slash */
	{"a?c", "abc", true},
	{"a?c", "ac", false},
	{"x/a?c", "x/a/c", false},
	{"?", "\xc3\xa9", false},
	{"??", "\xc3\xa9", true},
	/* two stars cross folders as a whole name */
	{"**/a", "a", true},
	{"**/a", "x/y/a", true},
	{"**/a", "xa", false},
	{"**/x/a", "y/x/a", true},
	{"x/**", "x/a", true},
	{"x/**", "x/y/a", true},
	{"x/**", "x", false},
	{"x/**/a", "x/a", true},
	{"x/**/a", "x/y/z/a", true},
	{"x/**/a", "xa", false},
	{"x/**/a", "x/ya", false},
	{"x/**/y/**/a", "x/1/y/2/y/3/a", true},
	{"x/**/y*/a", "x/y1/b/y2/a", true},
	{"**/*.py", "x/a.py", true},
	{"x/***/a", "x/y/z/a", true},
	/* … and are one star otherwise */
	{"x/y**/a", "x/yz/a", true},
	{"*x**/a", "x/y/a", false},
	{"x/*y**", "x/y/z", false},
	{"x/?**y", "x/a/y", false},
	{"a**b", "axxb", true},
	/* … save behind a start without wildcards, as git has it */
	{"x**/a", "x/y/a", true},
	{"x**/a", "xa", true},
	{"/x**", "xy/z", true},
	/* a slash behind a backslash is a slash, but not one that "**" may leave out */
	{"x\\/a", "x/a", true},
	{"x/**\\/a", "x/y/a", true},
	{"x/**\\/a", "x/a", false},
	/* brackets */
	{"[ab]", "b", true},
	{"[ab]", "c", false},
	{"[a-c]", "b", true},
	{"[!a-c]", "b", false},
	{"[^a-c]", "d", true},
	{"[]a]", "]", true},
	{"[!]a]", "]", false},
	{"[a-]", "-", true},
	{"[-a]", "-", true},
	{"[c-a]", "c", true},
	{"[c-a]", "b", false},
	{"[a-c-e]", "d", false},
	{"[a-c-e]", "-", true},
	{"[\\]]", "]", true},
	{"[\\a-\\c]", "b", true},
	{"[[]", "[", true},
	{"[[:a]", ":", true},
	{"x[!a]y", "x/y", false},
	{"x/[!a]y", "x//y", false},
	{"a]", "a]", true},
	{"[[:alpha:]]", "q", true},
	{"[[:alpha:]]", "1", false},
	{"[[:alpha:][:digit:]_]", "_", true},
	{"[![:space:]]", " ", false},
	{"[[:punct:]]", "~", true},
	{"[[:upper:]]", "q", false},
	{"[[:alpha:]-z]", "-", true},
	{"[[:alpha:]]", "\xe9", false},
	/* backslashes */
	{"\\*", "*", true},
	{"\\*", "a", false},
	{"\\!a", "!a", true},
	{"\\#a", "#a", true},
	{"#a", "#a", true},
	{"\\a", "a", true},
	{"\\\\", "\\", true},
	/* spaces */
	{"a  ", "a", true},
	{"a\\ ", "a ", true},
	{"a\\  ", "a ", true},
	{" a", " a", true},
	{"a b", "a b", true},
	{"a/ ", "a", false},
	/* '!' does not change what is matched; case and bytes count as they are */
	{"!a", "a", true},
	{"!!a", "!a", true},
	{"A", "a", false},
	{"caf\xe9", "caf\xe9", true},
	{"*\n", "a\n", true},
	{"a", "", false},
};

START_TEST(test_file_matches_as_in_git)
{
	ck_assert_msg(matches(FILES[_i].pattern, FILES[_i].path, false) == FILES[_i].expected,
		      "\"%s\" and \"%s\"", FILES[_i].pattern, FILES[_i].path);
}
END_TEST

START_TEST(test_folder_pattern_matches_folders_at_their_place)
{
	ck_assert(matches("a/", "a", true));
	ck_assert(matches("a/", "x/a", true));
	ck_assert(matches("x/a/", "x/a", true));
	ck_assert(!matches("x/a/", "y/x/a", true));
	ck_assert(matches("**/", "x/y", true));
	ck_assert(!matches("a/", "a/b", true));
}
END_TEST

START_TEST(test_span_of_path_matches_as_if_cut)
{
	struct fr_pattern *pattern = make("y*");

	ck_assert(fr_pattern_matches_span(pattern, "x/yz/a.py", 4, true));
	ck_assert(fr_pattern_matches_span(pattern, "x/yz/a.py", 3, true));
	ck_assert(!fr_pattern_matches_span(pattern, "x/yz/a.py", 1, true));
	fr_pattern_free(pattern);
}
END_TEST

START_TEST(test_hostile_pattern_ends_soon)
{
	char path[2001];
	char text[601];
	size_t i;

	for (i = 0; i < sizeof(path) - 1; i++)
		path[i] = i % 20 == 19 ? '/' : 'a';
	path[i] = '\0';
	for (i = 0; i < sizeof(text) - 1; i += 6)
		memcpy(text + i, "**/*a*", 6);
	memcpy(text + sizeof(text) - 3, "*b", 3);
	/* With any exponential case this would outlive the time limit of Check by far. */
	ck_assert(!matches(text, path, false));
	for (i = 0; i < sizeof(text) - 1; i += 2)
		memcpy(text + i, "*a", 2);
	memcpy(text + sizeof(text) - 3, "/b", 3);
	ck_assert(!matches(text, path, false));
}
END_TEST

/* ---- making ---- */

static const struct {
	const char *pattern;
	const char *reason; /* a part of it */
} REFUSED[] = {
	{"", "empty"},
	{"   ", "empty"},
	{"!", "empty"},
	{"/", "empty"},
	{"!/", "empty"},
	{"//", "two slashes"},
	{"a//b", "two slashes"},
	{"a//", "two slashes"},
	{"//a", "two slashes"},
	{"**//a", "two slashes"},
	{"a\\//b", "two slashes"},
	{"a\\", "backslash"},
	{"a\\/", "backslash"},
	{"[", "']'"},
	{"[]", "']'"},
	{"[!]", "']'"},
	{"[a", "']'"},
	{"[a-", "']'"},
	{"[a\\", "']'"},
	{"[a-\\", "']'"},
	{"[a/", "']'"},
	{"[[:alpha:", "']'"},
	{"[[:alpha:]", "']'"},
	{"[[:letter:]]", "alpha"},
	{"[[::]]", "alpha"},
	{"[/]", "match nothing"},
	{"[!\x01-\xff]", "match nothing"},
};

START_TEST(test_pattern_that_never_matches_is_refused_with_reason)
{
	struct fr_pattern *pattern = NULL;
	const char *reason = NULL;

	ck_assert_int_eq(fr_pattern_new(REFUSED[_i].pattern, &pattern, &reason), -EINVAL);
	ck_assert_ptr_null(pattern);
	ck_assert_ptr_nonnull(reason);
	ck_assert_msg(strstr(reason, REFUSED[_i].reason), "\"%s\": %s", REFUSED[_i].pattern,
		      reason);
}
END_TEST

START_TEST(test_text_is_a_copy_of_what_was_given)
{
	char text[] = "!a/b/  ";
	struct fr_pattern *pattern = make(text);

	text[1] = 'x';
	ck_assert_str_eq(fr_pattern_text(pattern), "!a/b/  ");
	ck_assert(fr_pattern_is_negated(pattern));
	fr_pattern_free(pattern);
	pattern = make("\\!a");
	ck_assert(!fr_pattern_is_negated(pattern));
	fr_pattern_free(pattern);
	fr_pattern_free(NULL);
}
END_TEST

/* ---- below, blanket ---- */

static const struct {
	const char *pattern;
	const char *folder;
	bool expected;
} BELOW[] = {
	{"vendor/lib/x.py", "vendor", true},
	{"vendor/lib/x.py", "vendor/lib", true},
	{"vendor/lib/x.py", "vendor/lib/x.py", false},
	{"vendor/lib/x.py", "vendor/other", false},
	{"vendor/lib/x.py", "vend", false},
	{"vendor/lib/x.py", "other", false},
	{"vendor/lib/x.py", "other/vendor", false},
	{"/vendor/lib/", "vendor", true},
	{"/vendor", "vendor", false},
	{"/vendor", "other", false},
	{"x.py", "vendor", false},
	{"*.py", "vendor", false},
	{"vendor/", "vendor", false},
	{"vendor/*.py", "vendor", true},
	{"vendor/*.py", "vendor/a", false},
	{"lib*/x.py", "libfoo", true},
	{"lib*/x.py", "other", false},
	{"lib*/x/y.py", "libfoo/x", true},
	{"lib*/x/y.py", "libfoo/y", false},
	{"vendor/**", "vendor", true},
	{"vendor/**", "vendor/a/b", true},
	{"vendor/**", "other", false},
	{"vendor/**/x.py", "vendor/a/b", true},
	{"vendor/a**/x.py", "vendor/ab", true},
	{"ven\\dor/x.py", "vendor", true},
	{"**/x.py", "vendor", false},
	{"**/lib/x.py", "vendor", false},
};

START_TEST(test_folder_on_the_way_may_match_below)
{
	struct fr_pattern *pattern = make(BELOW[_i].pattern);

	ck_assert_msg(fr_pattern_may_match_below(pattern, BELOW[_i].folder) == BELOW[_i].expected,
		      "\"%s\" below \"%s\"", BELOW[_i].pattern, BELOW[_i].folder);
	fr_pattern_free(pattern);
}
END_TEST

static const struct {
	const char *pattern;
	bool expected;
} BLANKET[] = {
	{"*", true},           {"**", true},     {"templates/", true}, {"templates/**", true},
	{"templates/*", true}, {"/*", true},     {"**/*", true},       {"*.*", true},
	{"?*", true},          {"**/", true},    {"!*", true},         {".*", true},
	{"a/***", true},       {"*.log", false}, {"templates", false}, {"**/*.log", false},
	{"a/*~", false},       {"\\*", false},   {"?", false},         {"a**", false},
	{"[ab]*", false},      {"*/a", false},   {"**/a", false},      {".", false},
};

START_TEST(test_last_name_of_stars_is_blanket)
{
	struct fr_pattern *pattern = make(BLANKET[_i].pattern);

	ck_assert_msg(fr_pattern_is_blanket(pattern) == BLANKET[_i].expected, "\"%s\"",
		      BLANKET[_i].pattern);
	fr_pattern_free(pattern);
}
END_TEST

Suite *fr_check_pattern_suite(void)
{
	Suite *suite = suite_create("pattern");
	TCase *tcase = tcase_create("pattern");

	tcase_add_loop_test(tcase, test_file_matches_as_in_git, 0, COUNT(FILES));
	tcase_add_test(tcase, test_folder_pattern_matches_folders_at_their_place);
	tcase_add_test(tcase, test_span_of_path_matches_as_if_cut);
	tcase_add_test(tcase, test_hostile_pattern_ends_soon);
	tcase_add_loop_test(tcase, test_pattern_that_never_matches_is_refused_with_reason, 0,
			    COUNT(REFUSED));
	tcase_add_test(tcase, test_text_is_a_copy_of_what_was_given);
	tcase_add_loop_test(tcase, test_folder_on_the_way_may_match_below, 0, COUNT(BELOW));
	tcase_add_loop_test(tcase, test_last_name_of_stars_is_blanket, 0, COUNT(BLANKET));
	suite_add_tcase(suite, tcase);
	return suite;
}
