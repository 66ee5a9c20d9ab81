/*
 * check_origin: whose pages may listen.
 */
#include <check.h>
#include <string.h>

#include "browser/origin.h"

Suite *fr_check_origin_suite(void);

static const char *const told[] = {"mysite.test"};
static const struct fr_origin_names names = {told, 1};

static bool is_host(const char *host)
{
	return fr_origin_is_host(&names, host, strlen(host));
}

static bool is_same(const char *origin, const char *host)
{
	return fr_origin_is_same(&names, origin, origin ? strlen(origin) : 0, host, strlen(host));
}

static bool is_local(const char *origin)
{
	return fr_origin_is_local(&names, origin, strlen(origin));
}

START_TEST(test_a_host_is_this_one_or_told)
{
	static const char *const good[] = {"localhost",
					   "localhost:8000",
					   "LOCALHOST:80",
					   "app.localhost:1",
					   "127.0.0.1",
					   "127.1.2.3:9",
					   "[::1]",
					   "[::1]:8000",
					   "192.0.2.7:80",
					   "mysite.test",
					   "MySite.test",
					   "mysite.test:81",
					   "[2001:db8::1]:80",
					   NULL};
	static const char *const bad[] = {"",
					  ":80",
					  "evil.example",
					  "localhost.evil.example",
					  "127.0.0.1.",
					  "127.0.0.1.nip",
					  "xmysite.test",
					  "mysite.test.evil",
					  "127.1",
					  "0x7f.1",
					  "evil\nlocalhost",
					  "[::1",
					  "[::1]x",
					  "localhost:8x",
					  "localhost:123456",
					  "xlocalhost",
					  ".localhost.",
					  "[localhost]",
					  NULL};

	for (size_t i = 0; good[i]; i++)
		ck_assert_msg(is_host(good[i]), "%s", good[i]);
	for (size_t i = 0; bad[i]; i++)
		ck_assert_msg(!is_host(bad[i]), "%s", bad[i]);
	ck_assert(!fr_origin_is_host(&names, NULL, 0));
}
END_TEST

START_TEST(test_an_origin_is_that_of_the_host_or_told)
{
	ck_assert(is_same(NULL, "localhost:8000"));
	ck_assert(is_same("http://localhost:8000", "localhost:8000"));
	ck_assert(is_same("https://localhost:8000", "LOCALHOST:8000"));
	ck_assert(is_same("http://localhost", "localhost:80"));
	ck_assert(is_same("http://localhost:80", "localhost"));
	ck_assert(is_same("https://localhost", "localhost:443"));
	ck_assert(is_same("http://[::1]:8000", "[::1]:8000"));
	ck_assert(is_same("https://mysite.test", "127.0.0.1:8000"));
	ck_assert(!is_same("http://localhost:8001", "localhost:8000"));
	ck_assert(!is_same("http://127.0.0.1:8000", "localhost:8000"));
	ck_assert(!is_same("http://evil.example", "localhost:8000"));
	ck_assert(!is_same("http://evil.example:8000", "localhost:8000"));
	ck_assert(!is_same("null", "localhost:8000"));
	ck_assert(!is_same("", "localhost:8000"));
	ck_assert(!is_same("http://", "localhost"));
	ck_assert(!is_same("http://localhost/", "localhost"));
	ck_assert(!is_same("ftp://localhost", "localhost"));
	ck_assert(!is_same("localhost:8000", "localhost:8000"));
	ck_assert(!fr_origin_is_same(&names, "http://a", 8, NULL, 0));
}
END_TEST

START_TEST(test_on_a_port_of_its_own_an_origin_is_local)
{
	ck_assert(is_local("http://localhost:8000"));
	ck_assert(is_local("http://127.0.0.1:1"));
	ck_assert(is_local("http://[::1]:8000"));
	ck_assert(is_local("https://mysite.test"));
	ck_assert(is_local("chrome-extension://abc"));
	ck_assert(fr_origin_is_local(&names, NULL, 0));
	ck_assert(!is_local("http://192.0.2.7"));
	ck_assert(!is_local("http://evil.example"));
	ck_assert(!is_local("http://127.evil.example"));
	ck_assert(!is_local("null"));
	ck_assert(!is_local(""));
}
END_TEST

START_TEST(test_a_name_has_no_scheme_and_no_port)
{
	const char *reason;

	ck_assert(fr_origin_is_name("my-site.test", &reason));
	ck_assert(!fr_origin_is_name("", &reason));
	ck_assert_ptr_nonnull(reason);
	ck_assert(!fr_origin_is_name("http://a", &reason));
	ck_assert(!fr_origin_is_name("a:80", &reason));
	ck_assert(!fr_origin_is_name("a b", &reason));
}
END_TEST

Suite *fr_check_origin_suite(void)
{
	Suite *suite = suite_create("origin");
	TCase *tcase = tcase_create("origin");

	tcase_add_test(tcase, test_a_host_is_this_one_or_told);
	tcase_add_test(tcase, test_an_origin_is_that_of_the_host_or_told);
	tcase_add_test(tcase, test_on_a_port_of_its_own_an_origin_is_local);
	tcase_add_test(tcase, test_a_name_has_no_scheme_and_no_port);
	suite_add_tcase(suite, tcase);
	return suite;
}
