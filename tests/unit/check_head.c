/*
 * check_head: which answers may get a script, with which nonce, and what their header becomes.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "browser/head.h"

Suite *fr_check_head_suite(void);

#define HTML "Content-Type: text/html\r\n"
#define CSP  HTML "Content-Security-Policy: "

static struct fr_head look(int status, const char *lines, const char *extra)
{
	struct fr_head head;
	char text[2048];

	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s", lines);
	fr_head_look(status, text, strlen(text), &extra, extra != NULL, &head);
	return head;
}

static const struct {
	int status;
	const char *lines;
	enum fr_head_verdict verdict;
	const char *nonce;
} cases[] = {
	{200, HTML, FR_HEAD_FITS, ""},
	{404, HTML, FR_HEAD_FITS, ""},
	{500, HTML, FR_HEAD_FITS, ""},
	{200, "content-type:TEXT/HTML;charset=\"UTF-8\"\r\n", FR_HEAD_FITS, ""},
	{200, "Content-Type: text/html; charset=iso-8859-15\r\n", FR_HEAD_FITS, ""},
	{200, HTML "Content-Encoding: identity\r\n", FR_HEAD_FITS, ""},
	{200, HTML "Content-Disposition: inline\r\n", FR_HEAD_FITS, ""},
	{204, HTML, FR_HEAD_OTHER, ""},
	{206, HTML, FR_HEAD_OTHER, ""},
	{302, HTML, FR_HEAD_OTHER, ""},
	{304, HTML, FR_HEAD_OTHER, ""},
	{200, "", FR_HEAD_OTHER, ""},
	{200, "Content-Type: text/plain\r\n", FR_HEAD_OTHER, ""},
	{200, "Content-Type: text/html-x\r\n", FR_HEAD_OTHER, ""},
	{200, "Content-Type: application/xhtml+xml\r\n", FR_HEAD_OTHER, ""},
	{200, "Content-Type: text/html; charset=utf-16\r\n", FR_HEAD_OTHER, ""},
	{200, "Content-Type: text/html; charset=utf-7\r\n", FR_HEAD_OTHER, ""},
	{200, HTML "Content-Encoding: gzip\r\n", FR_HEAD_OTHER, ""},
	{200, HTML "Transfer-Encoding: chunked\r\n", FR_HEAD_OTHER, ""},
	{200, HTML "Content-Range: bytes 0-1/2\r\n", FR_HEAD_OTHER, ""},
	{200, HTML "X-Sendfile: /a\r\n", FR_HEAD_OTHER, ""},
	{200, HTML "Content-Disposition: Attachment; filename=a\r\n", FR_HEAD_OTHER, ""},
	/* policies */
	{200, CSP "default-src 'self'\r\n", FR_HEAD_FITS, ""},
	{200, CSP "img-src 'none'\r\n", FR_HEAD_FITS, ""},
	{200, CSP "\r\n", FR_HEAD_FITS, ""},
	{200, CSP "script-src *; connect-src http:\r\n", FR_HEAD_FITS, ""},
	{200, CSP "script-src 'nonce-aB3+/=='\r\n", FR_HEAD_FITS, "aB3+/=="},
	{200, CSP "default-src 'self' 'nonce-abc'\r\n", FR_HEAD_FITS, "abc"},
	{200, CSP "script-src 'strict-dynamic' 'nonce-abc'\r\n", FR_HEAD_FITS, "abc"},
	{200, CSP "SCRIPT-SRC 'self'; script-src 'none'\r\n", FR_HEAD_FITS, ""},
	{200, CSP "script-src-elem 'self'; script-src 'none'\r\n", FR_HEAD_FITS, ""},
	{200, CSP "script-src 'nonce-a'\r\nContent-Security-Policy: script-src 'nonce-a'\r\n",
	 FR_HEAD_FITS, "a"},
	{200, CSP "sandbox allow-scripts allow-same-origin\r\n", FR_HEAD_FITS, ""},
	{200, HTML "Content-Security-Policy-Report-Only: default-src 'none'\r\n", FR_HEAD_FITS, ""},
	{200, CSP "default-src 'none'\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "script-src cdn.example.org\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "script-src\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "script-src 'self' 'strict-dynamic'\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "script-src 'nonce-a\"b'\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "connect-src 'none'\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "default-src 'none'; script-src 'self'\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "default-src 'self', default-src 'none'\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "sandbox\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "sandbox allow-scripts\r\n", FR_HEAD_FORBIDDEN, ""},
	{200, CSP "script-src 'nonce-a'\r\nContent-Security-Policy: script-src 'nonce-b'\r\n",
	 FR_HEAD_FORBIDDEN, "a"},
};

START_TEST(test_each_answer_gets_its_verdict)
{
	struct fr_head head = look(cases[_i].status, cases[_i].lines, NULL);

	ck_assert_msg(head.verdict == cases[_i].verdict, "%d %s: %d", cases[_i].status,
		      cases[_i].lines, head.verdict);
	ck_assert_str_eq(head.nonce, cases[_i].nonce);
}
END_TEST

START_TEST(test_headers_that_the_configuration_adds_count)
{
	ck_assert_int_eq(look(200, HTML, "Content-Security-Policy: default-src 'none'").verdict,
			 FR_HEAD_FORBIDDEN);
}
END_TEST

START_TEST(test_policies_of_the_page_itself_count)
{
	struct fr_head head = look(200, HTML, NULL);

	fr_head_heed(&head, "");
	ck_assert_int_eq(head.verdict, FR_HEAD_FITS);
	fr_head_heed(&head, "sandbox,script-src 'nonce-a',");
	fr_head_heed(&head, "sandbox,script-src 'nonce-a',img-src 'none',");
	ck_assert_int_eq(head.verdict, FR_HEAD_FITS);
	ck_assert_str_eq(head.nonce, "a");
	fr_head_heed(&head, "connect-src 'none',");
	ck_assert_int_eq(head.verdict, FR_HEAD_FORBIDDEN);

	head = look(200, CSP "script-src 'nonce-a'\r\n", NULL);
	fr_head_heed(&head, "script-src 'nonce-b',");
	ck_assert_int_eq(head.verdict, FR_HEAD_FORBIDDEN);
	head = look(200, HTML, NULL);
	ck_assert(!head.has_length);
	fr_head_heed(&head, "default-src 'none',");
	ck_assert_int_eq(head.verdict, FR_HEAD_FORBIDDEN);
	head = look(200, "Content-Type: text/plain\r\nContent-Length: 3\r\n", NULL);
	ck_assert(head.has_length);
	fr_head_heed(&head, "default-src 'self',");
	ck_assert_int_eq(head.verdict, FR_HEAD_OTHER);
}
END_TEST

START_TEST(test_a_nonce_that_is_too_long_is_none)
{
	char lines[512];
	char nonce[FR_HEAD_MAX_NONCE + 2];

	memset(nonce, 'a', sizeof(nonce) - 1);
	nonce[sizeof(nonce) - 1] = '\0';
	snprintf(lines, sizeof(lines), CSP "script-src 'nonce-%s'\r\n", nonce);
	ck_assert_int_eq(look(200, lines, NULL).verdict, FR_HEAD_FORBIDDEN);
	snprintf(lines, sizeof(lines), CSP "script-src 'nonce-%s'\r\n", nonce + 1);
	ck_assert_int_eq(look(200, lines, NULL).verdict, FR_HEAD_FITS);
}
END_TEST

static void check_rewrite(const char *before, size_t added, const char *after)
{
	char text[2048];
	size_t len = strlen(before);

	strcpy(text, before);
	len = fr_head_rewrite(text, len, added);
	text[len] = '\0';
	ck_assert_str_eq(text, after);
}

START_TEST(test_the_length_grows_and_validators_go)
{
	check_rewrite("HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 95\r\nC: d\r\n", 10,
		      "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 105\r\nC: d\r\n");
	check_rewrite("HTTP/1.1 200 OK\r\nETag: \"a\"\r\nLast-Modified: x\r\nA: b\r\n"
		      "Accept-Ranges: bytes\r\nContent-MD5: x\r\n",
		      10, "HTTP/1.1 200 OK\r\nA: b\r\n");
	check_rewrite("HTTP/1.1 200 OK\r\nContent-Length: x\r\n", 10,
		      "HTTP/1.1 200 OK\r\nContent-Length: x\r\n");
	check_rewrite("HTTP/1.1 200 OK\r\n", 10, "HTTP/1.1 200 OK\r\n");
	check_rewrite("", 10, "");
}
END_TEST

Suite *fr_check_head_suite(void)
{
	Suite *suite = suite_create("head");
	TCase *tcase = tcase_create("head");

	tcase_add_loop_test(tcase, test_each_answer_gets_its_verdict, 0,
			    sizeof(cases) / sizeof(*cases));
	tcase_add_test(tcase, test_headers_that_the_configuration_adds_count);
	tcase_add_test(tcase, test_policies_of_the_page_itself_count);
	tcase_add_test(tcase, test_a_nonce_that_is_too_long_is_none);
	tcase_add_test(tcase, test_the_length_grows_and_validators_go);
	suite_add_tcase(suite, tcase);
	return suite;
}
