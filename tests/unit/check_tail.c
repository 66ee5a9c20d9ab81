/*
 * tail: the end of what is printed is kept, whatever its length.
 */
#include <check.h>
#include <string.h>

#include "report/tail.h"

static char text[17];

START_TEST(test_what_fits_is_kept_whole)
{
	size_t len = fr_tail_append(text, 0, sizeof(text), "0123456", 7);

	len = fr_tail_append(text, len, sizeof(text), "", 0);
	len = fr_tail_append(text, len, sizeof(text), "789abcdef", 7);
	len = fr_tail_append(text, len, sizeof(text), "ef", 2);
	ck_assert_uint_eq(len, 16);
	ck_assert_str_eq(text, "0123456789abcdef");
}
END_TEST

START_TEST(test_of_what_is_too_long_the_end_is_kept)
{
	static const char all[] = "abcdefghijklmnopqrstuvwxyz";
	char whole[1000];
	size_t len = 0, whole_len = 0;

	for (size_t i = 0; i < 200; i++) {
		size_t bytes_len = i % 8;

		memcpy(whole + whole_len, all + i % 18, bytes_len);
		whole_len += bytes_len;
		len = fr_tail_append(text, len, sizeof(text), all + i % 18, bytes_len);
		ck_assert_uint_lt(len, sizeof(text));
		ck_assert_uint_eq(strlen(text), len);
		ck_assert(len == whole_len || len >= 8);
		ck_assert_mem_eq(text, whole + whole_len - len, len);
	}
}
END_TEST

Suite *fr_check_tail_suite(void)
{
	Suite *suite = suite_create("tail");
	TCase *tcase = tcase_create("tail");

	tcase_add_test(tcase, test_what_fits_is_kept_whole);
	tcase_add_test(tcase, test_of_what_is_too_long_the_end_is_kept);
	suite_add_tcase(suite, tcase);
	return suite;
}
