/*
 * check_ignore: one ignore file: which of its lines decides, and what is said about those that
 * cannot. What git makes of the same lines is compared by compare_ignore.py.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "decide/ignore.h"

Suite *fr_check_ignore_suite(void);

static unsigned complaints, complaint_line;
static char complaint[256];

static void take_complaint(void *ctx, const char *file, unsigned line, const char *reason)
{
	complaints++;
	complaint_line = line;
	snprintf(complaint, sizeof(complaint), "%s: %s", file, reason);
}

static struct fr_ignore *make_bytes(const char *text, size_t len)
{
	struct fr_ignore *ignore = NULL;

	complaints = complaint_line = 0;
	ck_assert_int_eq(
		fr_ignore_new("file", text, len, FR_IGNORE_EITHER, take_complaint, NULL, &ignore),
		0);
	return ignore;
}

static struct fr_ignore *make(const char *text)
{
	return make_bytes(text, strlen(text));
}

/* The number of the line that decides, negative if it takes back; 0: none. */
static int line_of(const struct fr_ignore *ignore, const char *path, bool is_folder)
{
	struct fr_ignore_line line;

	if (!fr_ignore_match(ignore, path, strlen(path), is_folder, &line))
		return 0;
	ck_assert_str_eq(line.file, "file");
	return line.is_negated ? -(int)line.number : (int)line.number;
}

/* The same for a file that is made of text alone. */
static int decides(const char *text, const char *path)
{
	struct fr_ignore *ignore = make(text);
	int number = line_of(ignore, path, false);

	fr_ignore_free(ignore);
	return number;
}

/* The line about which there is exactly one complaint; -1: there is none, or more. */
static int refused(const char *text)
{
	fr_ignore_free(make(text));
	return complaints == 1 ? (int)complaint_line : -1;
}

START_TEST(test_last_line_that_matches_decides)
{
	struct fr_ignore *ignore = make("*.log\n# comment\n\n!keep.log\nbuild/\n");

	ck_assert_int_eq(line_of(ignore, "a.log", false), 1);
	ck_assert_int_eq(line_of(ignore, "x/keep.log", false), -4);
	ck_assert_int_eq(line_of(ignore, "build", true), 5);
	ck_assert_int_eq(line_of(ignore, "build", false), 0);
	ck_assert_int_eq(line_of(ignore, "build/a.txt", false), 0);
	ck_assert_uint_eq(complaints, 0);
	fr_ignore_free(ignore);
	fr_ignore_free(NULL);
}
END_TEST

START_TEST(test_marks_of_other_systems_are_no_part_of_a_line)
{
	ck_assert_int_eq(decides("\xef\xbb\xbf*.a\r\n*.b\r\n", "x.a"), 1);
	ck_assert_int_eq(decides("\xef\xbb\xbf*.a\r\n*.b\r\n", "x.b"), 2);
	ck_assert_int_eq(decides("*.a\r", "x.a"), 1);
	ck_assert_int_eq(decides("*.a\r\r\n", "x.a\r"), 1);
	ck_assert_int_eq(decides("\\#a\n\\!b", "#a"), 1);
	ck_assert_int_eq(decides("\\#a\n\\!b", "!b"), 2);
	ck_assert_int_eq(decides(" #a\n", " #a"), 1);
}
END_TEST

START_TEST(test_line_ends_at_a_nul)
{
	struct fr_ignore *ignore = make_bytes("a\0b\nc\n", 6);

	ck_assert_int_eq(line_of(ignore, "a", false), 1);
	ck_assert_int_eq(line_of(ignore, "b", false), 0);
	ck_assert_int_eq(line_of(ignore, "c", false), 2);
	fr_ignore_free(ignore);
}
END_TEST

START_TEST(test_text_of_nothing_matches_nothing)
{
	ck_assert_int_eq(decides("", "a"), 0);
	ck_assert_int_eq(decides("\xef\xbb\xbf", "a"), 0);
	ck_assert_int_eq(decides("\n \n#\n", "a"), 0);
	ck_assert_uint_eq(complaints, 0);
}
END_TEST

START_TEST(test_bad_line_is_named_and_the_others_hold)
{
	struct fr_ignore *ignore = make("*.a\n[a\n*.b\n");

	ck_assert_uint_eq(complaints, 1);
	ck_assert_uint_eq(complaint_line, 2);
	ck_assert_ptr_nonnull(strstr(complaint, "file: a '[' without its ']'"));
	ck_assert_int_eq(line_of(ignore, "x.b", false), 3);
	fr_ignore_free(ignore);
}
END_TEST

START_TEST(test_regular_expressions_are_searched_in_the_path)
{
	struct fr_ignore *ignore = make("# regex\n\\.pyc?$\n# comment\n\n^gen/\n(^|/)tmp[0-9]+\n");

	ck_assert_uint_eq(complaints, 0);
	ck_assert_int_eq(line_of(ignore, "a/b.py", false), 2);
	ck_assert_int_eq(line_of(ignore, "a/b.pyx", false), 0);
	ck_assert_int_eq(line_of(ignore, "gen/b.txt", false), 5);
	ck_assert_int_eq(line_of(ignore, "a/gen/b.txt", false), 0);
	ck_assert_int_eq(line_of(ignore, "a/tmp12/b.txt", false), 6);
	ck_assert_int_eq(line_of(ignore, "# comment", false), 0);
	fr_ignore_free(ignore);
}
END_TEST

START_TEST(test_regular_expression_takes_a_folder_with_and_without_its_slash)
{
	struct fr_ignore *ignore = make("#regex \r\n^gen/\n^out$\n");

	ck_assert_int_eq(line_of(ignore, "gen", true), 2);
	ck_assert_int_eq(line_of(ignore, "gen", false), 0);
	ck_assert_int_eq(line_of(ignore, "out", true), 3);
	ck_assert_int_eq(line_of(ignore, "out", false), 3);
	fr_ignore_free(ignore);
}
END_TEST

START_TEST(test_mark_of_regular_expressions_stands_in_the_first_line_alone)
{
	struct fr_ignore *ignore = NULL;

	ck_assert_int_eq(decides("*.a\n# regex\n\\.b$\n", "x.b"), 0);
	ck_assert_int_eq(decides("# regexes\n*.a\n", "x.a"), 2);
	ck_assert_int_eq(decides("\xef\xbb\xbf#  regex\n\\.a$\n", "x.a"), 2);
	/* A .gitignore is git's, whatever its first line says. */
	ck_assert_int_eq(fr_ignore_new("file", "# regex\n*.a\n", 12, FR_IGNORE_PATTERNS, NULL, NULL,
				       &ignore),
			 0);
	ck_assert_int_eq(line_of(ignore, "x.a", false), 2);
	fr_ignore_free(ignore);
}
END_TEST

START_TEST(test_bad_regular_expression_is_named)
{
	ck_assert_int_eq(refused("# regex\n(a\n"), 2);
	ck_assert_int_eq(refused("# regex\na\n[a\n"), 3);
	ck_assert_int_eq(refused("# regex\n*a{\n"), 2);
	ck_assert_int_eq(refused("# regex\n(a)\\1\n"), 2);
	ck_assert_ptr_nonnull(strstr(complaint, "back-references"));
}
END_TEST

START_TEST(test_regular_expressions_are_bounded_together)
{
	ck_assert_int_eq(refused("# regex\na{900}\nb{900}\nc{900}\nd{900}\ne{900}\n"), 6);
	ck_assert_ptr_nonnull(strstr(complaint, "too large together"));
}
END_TEST

START_TEST(test_file_that_is_too_large_is_not_honoured_at_all)
{
	char *text = malloc(FR_IGNORE_MAX_BYTES + 1);
	struct fr_ignore *ignore;

	ck_assert_ptr_nonnull(text);
	memset(text, 'a', FR_IGNORE_MAX_BYTES + 1);
	memcpy(text, "*\n", 2);
	ignore = make_bytes(text, FR_IGNORE_MAX_BYTES + 1);
	ck_assert_uint_eq(complaints, 1);
	ck_assert_uint_eq(complaint_line, 0);
	ck_assert_int_eq(line_of(ignore, "x", false), 0);
	fr_ignore_free(ignore);

	memset(text, '\n', FR_IGNORE_MAX_LINES + 1);
	ignore = make_bytes(text, FR_IGNORE_MAX_LINES + 1);
	ck_assert_uint_eq(complaints, 1);
	fr_ignore_free(ignore);
	ignore = make_bytes(text, FR_IGNORE_MAX_LINES);
	ck_assert_uint_eq(complaints, 0);
	fr_ignore_free(ignore);
	free(text);
}
END_TEST

START_TEST(test_file_knows_the_text_that_it_is_from)
{
	struct fr_ignore *ignore = make("*.a\n");

	ck_assert(fr_ignore_is_from(ignore, "*.a\n", 4));
	ck_assert(!fr_ignore_is_from(ignore, "*.b\n", 4));
	ck_assert(!fr_ignore_is_from(ignore, "*.a", 3));
	ck_assert_uint_eq(fr_ignore_bytes(ignore), 4);
	fr_ignore_free(ignore);
}
END_TEST

START_TEST(test_any_allocation_fails_and_nothing_is_left)
{
	static const char *const texts[] = {"*.a\nb/\n!c\n", "# regex\n\\.a$|(b+)\n"};
	unsigned nth = 0;
	bool has_failed;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++, nth = 0) {
		do {
			struct fr_ignore *ignore = NULL;
			int r;

			fr_allocator_fail_once(++nth);
			r = fr_ignore_new("file", texts[i], strlen(texts[i]), FR_IGNORE_EITHER,
					  NULL, NULL, &ignore);
			has_failed = fr_allocator_has_failed();
			fr_allocator_fail_once(0);
			ck_assert_int_eq(r, has_failed ? -ENOMEM : 0);
			fr_ignore_free(ignore);
		} while (has_failed);
		ck_assert_uint_gt(nth, 3);
	}
}
END_TEST

Suite *fr_check_ignore_suite(void)
{
	Suite *suite = suite_create("ignore");
	TCase *tcase = tcase_create("ignore");

	tcase_add_test(tcase, test_last_line_that_matches_decides);
	tcase_add_test(tcase, test_marks_of_other_systems_are_no_part_of_a_line);
	tcase_add_test(tcase, test_line_ends_at_a_nul);
	tcase_add_test(tcase, test_text_of_nothing_matches_nothing);
	tcase_add_test(tcase, test_bad_line_is_named_and_the_others_hold);
	tcase_add_test(tcase, test_regular_expressions_are_searched_in_the_path);
	tcase_add_test(tcase, test_regular_expression_takes_a_folder_with_and_without_its_slash);
	tcase_add_test(tcase, test_mark_of_regular_expressions_stands_in_the_first_line_alone);
	tcase_add_test(tcase, test_bad_regular_expression_is_named);
	tcase_add_test(tcase, test_regular_expressions_are_bounded_together);
	tcase_add_test(tcase, test_file_that_is_too_large_is_not_honoured_at_all);
	tcase_add_test(tcase, test_file_knows_the_text_that_it_is_from);
	tcase_add_test(tcase, test_any_allocation_fails_and_nothing_is_left);
	suite_add_tcase(suite, tcase);
	return suite;
}
