/*
 * check_http_request: the head of a request on LiveReload's port.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "browser/request.h"

Suite *fr_check_http_request_suite(void);

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE                                                                                    \
	"Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"                                \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n"

static int read_exact(const char *text, size_t len, struct fr_http_request *ret_request)
{
	static char *copy; /* so that the sanitizers see each byte too many */

	free(copy);
	copy = malloc(len + !len);
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	return fr_http_read(copy, len, ret_request);
}

START_TEST(test_a_handshake_is_read_when_it_is_whole)
{
	static const char text[] =
		"GET /livereload?a=b HTTP/1.1\r\nHost: localhost:35729\r\n" UPGRADE
		"Origin:  http://localhost:8000 \r\n\r\n";
	struct fr_http_request request;

	for (size_t len = 0; len < strlen(text); len++)
		ck_assert_int_eq(read_exact(text, len, &request), 0);
	ck_assert_int_eq(read_exact(text, strlen(text), &request), (int)strlen(text));
	ck_assert(request.is_get && request.is_upgrade);
	ck_assert_uint_eq(request.path.len, strlen("/livereload"));
	ck_assert_int_eq(memcmp(request.host.text, "localhost:35729", request.host.len), 0);
	ck_assert_int_eq(memcmp(request.origin.text, "http://localhost:8000", request.origin.len),
			 0);
	ck_assert_uint_eq(request.key.len, strlen(KEY));
}
END_TEST

START_TEST(test_without_an_upgrade_it_is_none)
{
	struct fr_http_request request;

	ck_assert_int_gt(read_exact("POST / HTTP/1.0\r\n\r\n", 19, &request), 0);
	ck_assert(!request.is_get && !request.is_upgrade);
	ck_assert_ptr_null(request.host.text);
}
END_TEST

START_TEST(test_what_is_no_request_is_refused)
{
	static const char *const bad[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / HTTP/2.0\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nno field\r\n\r\n",
		"GET / HTTP/1.1\r\n: empty\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nOrigin: a\r\norigin: b\r\n\r\n",
	};
	struct fr_http_request request;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(read_exact(bad[i], strlen(bad[i]), &request) == -EINVAL, "%s",
			      bad[i]);
	ck_assert_int_eq(read_exact("GET /\0", 6, &request), -EINVAL);
}
END_TEST

START_TEST(test_a_head_without_an_end_is_refused)
{
	static char text[FR_HTTP_MAX_HEAD];
	struct fr_http_request request;

	memset(text, 'a', sizeof(text));
	ck_assert_int_eq(read_exact(text, sizeof(text) - 1, &request), 0);
	ck_assert_int_eq(read_exact(text, sizeof(text), &request), -EINVAL);
}
END_TEST

Suite *fr_check_http_request_suite(void)
{
	Suite *suite = suite_create("http_request");
	TCase *tcase = tcase_create("http_request");

	tcase_add_test(tcase, test_a_handshake_is_read_when_it_is_whole);
	tcase_add_test(tcase, test_without_an_upgrade_it_is_none);
	tcase_add_test(tcase, test_what_is_no_request_is_refused);
	tcase_add_test(tcase, test_a_head_without_an_end_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
