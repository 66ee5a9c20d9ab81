/*
 * JSON: what is written can be read, and what is read is nothing but what was asked for.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "report/json.h"

static char text[512], error[256], first[64], second[16];
static struct fr_json json;
static struct fr_json_member members[2];

static int read_text(const char *line, size_t len)
{
	members[0] = (struct fr_json_member){.key = "a", .value = first, .size = sizeof(first)};
	members[1] = (struct fr_json_member){.key = "b", .value = second, .size = sizeof(second)};
	return fr_json_read(line, len, members, 2, error, sizeof(error));
}

#define expect_read(line) ck_assert_msg(read_text(line, sizeof(line) - 1) == 0, "%s", error)

#define expect_error(line, sentence)                                                               \
	do {                                                                                       \
		ck_assert_int_eq(read_text(line, sizeof(line) - 1), -EINVAL);                      \
		ck_assert_msg(strstr(error, sentence), "%s", error);                               \
	} while (0)

START_TEST(test_all_kinds_of_values_are_written)
{
	fr_json_begin(&json, text, sizeof(text));
	fr_json_open(&json, NULL, '{');
	fr_json_string(&json, "s", "a");
	fr_json_string(&json, "z", NULL);
	fr_json_number(&json, "n", -5);
	fr_json_bool(&json, "t", true);
	fr_json_seconds(&json, "at", 1700000000007);
	fr_json_open(&json, "l", '[');
	fr_json_number(&json, NULL, 1);
	fr_json_open(&json, NULL, '{');
	fr_json_close(&json, '}');
	fr_json_close(&json, ']');
	fr_json_bool(&json, "f", false);
	fr_json_close(&json, '}');
	ck_assert_str_eq(text, "{\"s\":\"a\",\"z\":null,\"n\":-5,\"t\":true,\"at\":1700000000.007,"
			       "\"l\":[1,{}],\"f\":false}");
	ck_assert_uint_eq(json.len, strlen(text));
}
END_TEST

START_TEST(test_every_byte_comes_back)
{
	char value[4] = "", line[64];

	for (int byte = 1; byte < 256; byte++) {
		for (int next = 0; next < 256; next += next == 0 ? 0x7f : 0x11) {
			value[0] = (char)byte;
			value[1] = (char)next;
			fr_json_begin(&json, line, sizeof(line));
			fr_json_open(&json, NULL, '{');
			fr_json_string(&json, "a", value);
			fr_json_close(&json, '}');
			ck_assert(!strpbrk(line, "\n\x1b\x7f"));
			ck_assert_int_eq(read_text(line, json.len), 0);
			ck_assert_str_eq(first, value);
		}
	}
}
END_TEST

START_TEST(test_what_is_not_utf_8_is_written_as_python_does)
{
	fr_json_begin(&json, text, sizeof(text));
	fr_json_string(&json, NULL, "\xff\xc3\xa4\xed\xa0\x80\"\\\n\xc2\x9b");
	ck_assert_str_eq(text, "\"\\udcff\xc3\xa4\\udced\\udca0\\udc80\\\"\\\\\\u000a\\u009b\"");
}
END_TEST

/* A reader that is not ours. */
START_TEST(test_jansson_reads_what_is_written)
{
	json_error_t where;
	json_t *value;

	fr_json_begin(&json, text, sizeof(text));
	fr_json_open(&json, NULL, '{');
	fr_json_string(&json, "a", "\x01\x1f \"\\/\t\xe2\x82\xac\xf0\x9f\x98\x80\x7f");
	fr_json_number(&json, "n", INT64_MIN);
	fr_json_close(&json, '}');
	value = json_loads(text, 0, &where);
	ck_assert_msg(value != NULL, "%s", where.text);
	ck_assert_str_eq(json_string_value(json_object_get(value, "a")),
			 "\x01\x1f \"\\/\t\xe2\x82\xac\xf0\x9f\x98\x80\x7f");
	ck_assert(json_integer_value(json_object_get(value, "n")) == INT64_MIN);
	json_decref(value);
}
END_TEST

START_TEST(test_what_does_not_fit_is_seen_and_can_be_taken_back)
{
	for (size_t size = 1; size < 40; size++) {
		struct fr_json_mark mark;

		memset(text, 'x', sizeof(text));
		fr_json_begin(&json, text, size);
		fr_json_open(&json, NULL, '[');
		mark = fr_json_mark(&json);
		fr_json_string(&json, NULL, "0123456789\xff\xff\xff\xff");
		ck_assert_uint_lt(json.len, size);
		ck_assert_int_eq(text[json.len], '\0');
		ck_assert_int_eq(text[size], 'x');
		ck_assert_int_eq(json.is_full, size < 38);
		fr_json_go_back(&json, mark);
		ck_assert_str_eq(text, size > 1 ? "[" : "");
	}
}
END_TEST

START_TEST(test_flat_objects_are_read)
{
	expect_read("{}");
	ck_assert(!members[0].is_there && !members[1].is_there);
	expect_read(" { \"b\" : \"x\\ty\" , \"a\":\"\\ud83d\\ude00\\u00e4\\u20acA\\/\" }\r");
	ck_assert_str_eq(first, "\xf0\x9f\x98\x80\xc3\xa4\xe2\x82\xac"
				"A/");
	ck_assert_str_eq(second, "x\ty");
	expect_read("{\"a\": true, \"b\": -1.5e+3}");
	ck_assert(members[0].is_there && !members[0].is_string && !members[1].is_string);
	ck_assert_str_eq(first, "true");
	ck_assert_str_eq(second, "-1.5e+3");
	expect_read("{\"a\":\"\\uDCFF\"}");
	ck_assert_str_eq(first, "\xff");
}
END_TEST

START_TEST(test_everything_else_is_an_error)
{
	expect_error("", "no JSON object");
	expect_error("[]", "no JSON object");
	expect_error("{", "no key");
	expect_error("{\"a\":1", "no end");
	expect_error("{\"a\":1,}", "no key");
	expect_error("{\"a\" 1}", "no colon");
	expect_error("{\"c\":1}", "unknown");
	expect_error("{\"a\":1,\"a\":1}", "twice");
	expect_error("{\"a\":1} x", "behind");
	expect_error("{\"a\":[1]}", "neither");
	expect_error("{\"a\":{}}", "neither");
	expect_error("{\"a\":}", "neither");
	expect_error("{\"a\":01}", "neither");
	expect_error("{\"a\":1.}", "neither");
	expect_error("{\"a\":1e}", "neither");
	expect_error("{\"a\":True}", "neither");
	expect_error("{\"a\":1\0}", "neither");
	expect_error("{\"a\":\"x", "no end");
	expect_error("{\"a\":\"\n\"}", "control character");
	expect_error("{\"a\":\"\0\"}", "control character");
	expect_error("{\"a\":\"\\u0000\"}", "NUL");
	expect_error("{\"a\":\"\\x\"}", "backslash");
	expect_error("{\"a\":\"\\", "backslash");
	expect_error("{\"a\":\"\\u12g4\"}", "hexadecimal");
	expect_error("{\"a\":\"\\u12", "hexadecimal");
	expect_error("{\"a\":\"\\u@@@@\"}", "hexadecimal");
	expect_error("{\"a\":\"\\ud800\"}", "second half");
	expect_error("{\"a\":\"\\ud800\\u0041\"}", "second half");
	expect_error("{\"a\":\"\\udc00\"}", "second half");
	expect_error("{\"b\":\"0123456789abcdef\"}", "too long");
	expect_error("{\"b\":0123456789012345}", "too long");
}
END_TEST

START_TEST(test_every_beginning_of_a_request_is_an_error)
{
	static const char whole[] = "{\"a\":\"\\ud83d\\ude00 \xc3\xa4\",\"b\":-1.5e+3}";
	char copy[sizeof(whole)];

	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		memset(copy, '7', sizeof(copy)); /* nothing behind the end is looked at */
		memcpy(copy, whole, len);
		ck_assert_int_eq(read_text(copy, len), -EINVAL);
	}
	ck_assert_int_eq(read_text(whole, sizeof(whole) - 1), 0);
}
END_TEST

Suite *fr_check_json_suite(void);

Suite *fr_check_json_suite(void)
{
	Suite *suite = suite_create("json");
	TCase *tcase = tcase_create("json");

	tcase_add_test(tcase, test_all_kinds_of_values_are_written);
	tcase_add_test(tcase, test_every_byte_comes_back);
	tcase_add_test(tcase, test_what_is_not_utf_8_is_written_as_python_does);
	tcase_add_test(tcase, test_jansson_reads_what_is_written);
	tcase_add_test(tcase, test_what_does_not_fit_is_seen_and_can_be_taken_back);
	tcase_add_test(tcase, test_flat_objects_are_read);
	tcase_add_test(tcase, test_everything_else_is_an_error);
	tcase_add_test(tcase, test_every_beginning_of_a_request_is_an_error);
	suite_add_tcase(suite, tcase);
	return suite;
}
