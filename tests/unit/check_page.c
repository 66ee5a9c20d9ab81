/*
 * The page for browsers while the new code does not load: whole HTML, nothing of the outside in it
 * unescaped, never too long.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/page.h"

#define SIZE 16384

static char html[SIZE + 1];

/* Writes a page of at most `size` bytes; what is behind must stay untouched. */
static size_t write_page(const char *headline, const char *output, size_t size)
{
	char *exact = malloc(size); /* so that the sanitizers see each byte too many */
	size_t len;

	ck_assert_ptr_nonnull(exact);
	len = fr_page_write(headline, output, exact, size);
	ck_assert_uint_le(len, size);
	memcpy(html, exact, len);
	html[len] = '\0';
	free(exact);
	ck_assert_msg(strlen(html) == len, "there is a NUL in it");
	ck_assert_int_eq(strncmp(html, "<!doctype html>", strlen("<!doctype html>")), 0);
	ck_assert_msg(len > 16 && strcmp(html + len - 8, "</html>\n") == 0,
		      "the page does not end: %s", len > 100 ? html + len - 100 : html);
	return len;
}

static int count(const char *piece)
{
	int found = 0;

	for (const char *at = html; (at = strstr(at, piece)); at += strlen(piece))
		found++;
	return found;
}

START_TEST(test_page_has_headline_and_output)
{
	write_page("views.py, line 3: SyntaxError: oops", "the traceback\n  line two\n", SIZE);
	ck_assert_int_eq(count("views.py, line 3: SyntaxError: oops"), 1);
	ck_assert_int_eq(count("the traceback\n  line two\n</pre>"), 1);
}
END_TEST

START_TEST(test_page_of_nothing_is_whole)
{
	write_page("", "", SIZE);
	ck_assert_int_eq(count("<pre"), 1);
	ck_assert_int_eq(count("</pre>"), 1);
}
END_TEST

START_TEST(test_all_that_html_means_is_escaped)
{
	write_page("<script>alert('1')</script> & \"x\"",
		   "</pre><img src=x onerror=\"alert('2')\">&amp;", SIZE);
	ck_assert_int_eq(count("<script"), 0);
	ck_assert_int_eq(count("<img"), 0);
	ck_assert_int_eq(count("</pre>"), 1);
	ck_assert_int_eq(
		count("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;"), 1);
	ck_assert_int_eq(count("&lt;/pre&gt;&lt;img src=x "
			       "onerror=&quot;alert(&#39;2&#39;)&quot;&gt;&amp;amp;"),
			 1);
}
END_TEST

START_TEST(test_end_of_long_output_is_kept)
{
	static char output[SIZE * 4];

	memset(output, 'x', sizeof(output) - 1);
	memcpy(output, "BEGIN", 5);
	memcpy(output + sizeof(output) - 1 - 3, "END", 3);
	ck_assert_uint_ge(write_page("long", output, SIZE), SIZE - 64);
	ck_assert_int_eq(count("BEGIN"), 0);
	ck_assert_int_eq(count("END</pre>"), 1);
}
END_TEST

START_TEST(test_end_is_kept_of_output_that_grows_by_escaping)
{
	static const char signs[] = "<>&\"'";
	static char output[SIZE * 2];

	for (size_t i = 0; i < sizeof(output) - 1; i++)
		output[i] = signs[i % 5];
	memcpy(output + sizeof(output) - 1 - 3, "END", 3);
	write_page("long", output, SIZE);
	ck_assert_int_eq(count("END</pre>"), 1);
	/* No entity is cut in two. */
	for (const char *at = html; (at = strchr(at, '&')); at++)
		ck_assert_msg(strncmp(at, "&lt;", 4) == 0 || strncmp(at, "&gt;", 4) == 0 ||
				      strncmp(at, "&amp;", 5) == 0 ||
				      strncmp(at, "&quot;", 6) == 0 || strncmp(at, "&#39;", 5) == 0,
			      "%.10s", at);
}
END_TEST

START_TEST(test_long_headline_is_cut_and_the_page_whole)
{
	static char headline[SIZE * 2];

	memset(headline, '<', sizeof(headline) - 1);
	write_page(headline, "the output", FR_PAGE_MIN_BYTES);
	ck_assert_int_eq(count("the output</pre>"), 1);
	ck_assert_int_eq(count("<<"), 0);
}
END_TEST

START_TEST(test_every_size_is_kept_to)
{
	static char output[9000], headline[3000];

	memset(headline, '&', sizeof(headline) - 1);
	for (size_t i = 0; i < sizeof(output) - 1; i++)
		output[i] = "a<\n\"b"[i % 5];
	for (size_t size = FR_PAGE_MIN_BYTES; size < FR_PAGE_MIN_BYTES + 600; size++)
		write_page(headline, output, size);
}
END_TEST

START_TEST(test_bytes_that_are_no_text_do_no_harm)
{
	char output[256];

	for (int i = 0; i < 255; i++)
		output[i] = (char)(i + 1);
	output[255] = '\0';
	write_page("\xff\xfe\x80", output, SIZE);
	ck_assert_int_eq(count("\xff"), 2);
}
END_TEST

/* What is cut is cut between characters: half of one would be shown as a question mark. */
START_TEST(test_cut_text_begins_with_a_whole_character)
{
	static char output[SIZE * 2];
	size_t before = 0, after = 0;
	const char *pre;

	for (size_t i = 0; i + 3 < sizeof(output); i += 3)
		memcpy(output + i, "\xe2\x82\xac", 3); /* the euro sign */
	for (size_t size = SIZE - 4; size < SIZE; size++) {
		write_page("long", output, size);
		pre = strstr(html, "<pre tabindex=\"0\">");
		ck_assert_ptr_nonnull(pre);
		pre += strlen("<pre tabindex=\"0\">");
		before += ((unsigned char)*pre & 0xc0) == 0x80;
		after++;
	}
	ck_assert_msg(before == 0, "%zu of %zu pages begin in the middle of a character", before,
		      after);
}
END_TEST

Suite *fr_check_page_suite(void)
{
	Suite *suite = suite_create("page");
	TCase *tcase = tcase_create("page");

	tcase_set_timeout(tcase, 10);
	tcase_add_test(tcase, test_page_has_headline_and_output);
	tcase_add_test(tcase, test_page_of_nothing_is_whole);
	tcase_add_test(tcase, test_all_that_html_means_is_escaped);
	tcase_add_test(tcase, test_end_of_long_output_is_kept);
	tcase_add_test(tcase, test_end_is_kept_of_output_that_grows_by_escaping);
	tcase_add_test(tcase, test_long_headline_is_cut_and_the_page_whole);
	tcase_add_test(tcase, test_every_size_is_kept_to);
	tcase_add_test(tcase, test_bytes_that_are_no_text_do_no_harm);
	tcase_add_test(tcase, test_cut_text_begins_with_a_whole_character);
	suite_add_tcase(suite, tcase);
	return suite;
}
