/*
 * Words for people: paths of any bytes on one line of a log.
 */
#include <check.h>
#include <string.h>

#include "report/sentence.h"

static char text[256];

#define expect_path(path, wanted)                                                                  \
	ck_assert_str_eq(fr_sentence_path(path, text, sizeof(text)), wanted)

START_TEST(test_plain_and_utf_8_names_are_left_as_they_are)
{
	expect_path("", "");
	expect_path("app/views.py", "app/views.py");
	expect_path("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80.py",
		    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80.py");
	expect_path("\xef\xbf\xbf\xf4\x8f\xbf\xbf\xed\x9f\xbf",
		    "\xef\xbf\xbf\xf4\x8f\xbf\xbf\xed\x9f\xbf");
}
END_TEST

START_TEST(test_control_bytes_are_written_as_hex)
{
	expect_path("a\nb\x1b[2J\x7f\t", "a\\x0ab\\x1b[2J\\x7f\\x09");
	expect_path("\xc2\x9b"
		    "31m",
		    "\\xc2\\x9b31m");
	expect_path("\xc2\xa0", "\xc2\xa0");
}
END_TEST

/* Bug: surrogates, sequences that are longer than need be and what is beyond U+10FFFF were taken
 * for UTF-8. */
START_TEST(test_what_is_not_utf_8_is_written_as_hex)
{
	expect_path("\xff", "\\xff");
	expect_path("\x80", "\\x80");
	expect_path("\xc3", "\\xc3");
	expect_path("\xc3(", "\\xc3(");
	expect_path("\xe2\x82", "\\xe2\\x82");
	expect_path("\xc0\xaf", "\\xc0\\xaf");
	expect_path("\xe0\x80\x8a", "\\xe0\\x80\\x8a");
	expect_path("\xed\xa0\x80", "\\xed\\xa0\\x80");
	expect_path("\xf0\x80\x80\x8a", "\\xf0\\x80\\x80\\x8a");
	expect_path("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	expect_path("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80");
}
END_TEST

START_TEST(test_every_length_of_text_is_kept_to)
{
	static const char path[] = "ab\xc3\xa4"
				   "c\n\xff"
				   "def\xf0\x9f\x98\x80";
	char room[64];

	for (size_t size = 4; size < sizeof(room); size++) {
		memset(room, '#', sizeof(room));
		ck_assert_ptr_eq(fr_sentence_path(path, room, size), room);
		ck_assert_uint_lt(strlen(room), size);
		for (size_t i = size; i < sizeof(room); i++)
			ck_assert_int_eq(room[i], '#');
	}
	ck_assert_str_eq(fr_sentence_path("abcdefghij", room, 8), "abcd...");
	ck_assert_str_eq(fr_sentence_path("ab\xc3\xa4"
					  "cdefghijkl",
					  room, 7),
			 "ab...");
}
END_TEST

static const char *const paths[] = {"a.py", "b\n.py", "c.py"};
static const char *const kinds[] = {"changed", "added", "removed"};

#define expect_changes(shown, total, wanted)                                                       \
	ck_assert_str_eq(fr_sentence_changes(paths, kinds, shown, total, text, sizeof(text)),      \
			 wanted)

START_TEST(test_lists_are_joined_and_cut)
{
	expect_changes(0, 0, "");
	expect_changes(1, 1, "a.py changed");
	expect_changes(2, 2, "a.py changed and b\\x0a.py added");
	expect_changes(3, 3, "a.py changed, b\\x0a.py added and c.py removed");
	expect_changes(1, 12, "a.py changed and 11 more");
	expect_changes(2, 5, "a.py changed, b\\x0a.py added and 3 more");
}
END_TEST

START_TEST(test_list_is_kept_to_the_room_there_is)
{
	char room[64];

	for (size_t size = 1; size < sizeof(room); size++) {
		memset(room, '#', sizeof(room));
		fr_sentence_changes(paths, kinds, 3, 1000, room, size);
		ck_assert_uint_lt(strlen(room), size);
		for (size_t i = size; i < sizeof(room); i++)
			ck_assert_int_eq(room[i], '#');
	}
}
END_TEST

START_TEST(test_longest_path_leaves_room_for_the_word)
{
	char longest[5000];
	const char *longest_paths[] = {longest};

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	fr_sentence_changes(longest_paths, kinds, 1, 1, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "xxx... changed"));
}
END_TEST

Suite *fr_check_sentence_suite(void)
{
	Suite *suite = suite_create("sentence");
	TCase *tcase = tcase_create("sentence");

	tcase_add_test(tcase, test_plain_and_utf_8_names_are_left_as_they_are);
	tcase_add_test(tcase, test_control_bytes_are_written_as_hex);
	tcase_add_test(tcase, test_what_is_not_utf_8_is_written_as_hex);
	tcase_add_test(tcase, test_every_length_of_text_is_kept_to);
	tcase_add_test(tcase, test_lists_are_joined_and_cut);
	tcase_add_test(tcase, test_list_is_kept_to_the_room_there_is);
	tcase_add_test(tcase, test_longest_path_leaves_room_for_the_word);
	suite_add_tcase(suite, tcase);
	return suite;
}
