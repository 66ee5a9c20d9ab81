/*
 * check_message: what pages are told is JSON, whole, and never too long; and the excerpt of a file.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "browser/excerpt.h"
#include "browser/message.h"

Suite *fr_check_message_suite(void);

static char text[FR_MESSAGE_SIZE];
static struct fr_news news;

static json_t *parse(size_t len)
{
	json_error_t error;
	json_t *object;

	ck_assert_uint_lt(len, sizeof(text));
	ck_assert_uint_eq(strlen(text), len);
	ck_assert_msg(!strchr(text, '\n'), "a line ends in %s", text);
	object = json_loads(text, 0, &error);
	ck_assert_msg(object, "%s: %s", error.text, text);
	return object;
}

static const char *get(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void begin_broken(const char *error, const char *output)
{
	memset(&news, 0, sizeof(news));
	news.kind = FR_NEWS_BROKEN;
	snprintf(news.error, sizeof(news.error), "%s", error);
	news.text_len = (uint32_t)strlen(output);
	memcpy(news.text, output, news.text_len);
}

START_TEST(test_short_messages)
{
	fr_message_hello(text, 7, false, 3);
	ck_assert_str_eq(text, "{\"type\":\"hello\",\"generation\":7,\"state\":\"serving\","
			       "\"since\":3}");
	fr_message_hello(text, 7, true, 3);
	ck_assert_ptr_nonnull(strstr(text, "\"broken\""));
	fr_message_reload(text, 8, "code");
	ck_assert_str_eq(text, "{\"type\":\"reload\",\"generation\":8,\"reason\":\"code\"}");
	fr_message_restored(text);
	ck_assert_str_eq(text, "{\"type\":\"restored\"}");
}
END_TEST

START_TEST(test_an_error_has_a_kind_if_it_says_so)
{
	struct fr_excerpt excerpt = {.first = 11, .len = 2, .lines = {"a = (", "</script>"}};
	json_t *object, *source;

	begin_broken("SyntaxError: '(' was never closed", "out\n");
	strcpy(news.file, "pages/views.py");
	news.line = 12;
	object = parse(fr_message_broken(text, &news, &excerpt));
	ck_assert_str_eq(get(object, "kind"), "SyntaxError");
	ck_assert_str_eq(get(object, "message"), "'(' was never closed");
	ck_assert_str_eq(get(object, "file"), "pages/views.py");
	ck_assert_str_eq(get(object, "traceback"), "out\n");
	ck_assert_ptr_null(json_object_get(object, "serving"));
	source = json_object_get(object, "source");
	ck_assert_uint_eq(json_array_size(source), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(source, 1), "line")),
			 12);
	ck_assert_str_eq(get(json_array_get(source, 1), "text"), "</script>");
	json_decref(object);

	begin_broken("a command has failed: 1", "");
	object = parse(fr_message_broken(text, &news, &(struct fr_excerpt){0}));
	ck_assert_ptr_null(json_object_get(object, "kind"));
	ck_assert_str_eq(get(object, "message"), "a command has failed: 1");
	ck_assert_ptr_null(json_object_get(object, "traceback"));
	json_decref(object);
}
END_TEST

START_TEST(test_of_a_long_output_the_end_is_told)
{
	char output[FR_NEWS_TEXT + 1];
	json_t *object;
	const char *told;

	/* Each byte takes six in JSON. */
	memset(output, '\x01', FR_NEWS_TEXT);
	memcpy(output + FR_NEWS_TEXT - 13, "\nlast \"line\"\n", 13);
	output[FR_NEWS_TEXT] = '\0';
	begin_broken("Error: x", output);
	object = parse(fr_message_broken(text, &news, &(struct fr_excerpt){0}));
	told = get(object, "traceback");
	ck_assert_ptr_nonnull(told);
	ck_assert_str_eq(told + strlen(told) - 12, "last \"line\"\n");
	json_decref(object);
}
END_TEST

static size_t write_assets(char byte)
{
	memset(&news, 0, sizeof(news));
	news.kind = FR_NEWS_ASSETS;
	for (int i = 0; i < 80; i++) {
		memset(news.text + news.text_len, byte, 99);
		news.text_len += 100;
	}
	return fr_message_assets(text, &news);
}

START_TEST(test_files_are_told_all_or_none)
{
	json_t *object = parse(write_assets('a'));

	ck_assert_uint_eq(json_array_size(json_object_get(object, "files")), 80);
	json_decref(object);
	/* Each byte takes six in JSON. */
	ck_assert_uint_eq(write_assets('\x01'), 0);
}
END_TEST

START_TEST(test_news_are_checked)
{
	begin_broken("Error: x", "output");
	ck_assert(fr_news_check(&news, fr_news_size(&news)));
	ck_assert(!fr_news_check(&news, fr_news_size(&news) - 1));
	ck_assert(!fr_news_check(&news, 3));
	news.text_len = FR_NEWS_TEXT + 1;
	ck_assert(!fr_news_check(&news, fr_news_size(&news)));
	begin_broken("Error: x", "output");
	memset(news.file, 'a', sizeof(news.file));
	ck_assert(fr_news_check(&news, fr_news_size(&news)));
	ck_assert_uint_eq(strlen(news.file), sizeof(news.file) - 1);
}
END_TEST

START_TEST(test_livereload_speaks)
{
	static const char hello[] = "{\"command\":\"hello\",\"protocols\":[]}";

	fr_message_livereload_hello(text);
	ck_assert_ptr_nonnull(strstr(text, "official-7"));
	fr_message_livereload_reload(text, "static/a.css");
	ck_assert_ptr_nonnull(strstr(text, "\"path\":\"static/a.css\""));
	ck_assert(fr_message_is_livereload_hello(hello, strlen(hello)));
	ck_assert(!fr_message_is_livereload_hello(hello, strlen(hello) - 1));
	ck_assert(!fr_message_is_livereload_hello("{\"command\":7}", 13));
	ck_assert(!fr_message_is_livereload_hello("[]", 2));
	ck_assert(!fr_message_is_livereload_hello("", 0));
}
END_TEST

static void check_excerpt(const char *content, long line, long first, size_t len)
{
	char path[] = "/tmp/fr-excerpt-XXXXXX";
	struct fr_excerpt excerpt;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
	fr_excerpt_read(path, line, &excerpt);
	unlink(path);
	ck_assert_int_eq(excerpt.first, first);
	ck_assert_uint_eq(excerpt.len, len);
	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(atol(excerpt.lines[i]), first + (long)i);
}

START_TEST(test_an_excerpt_has_the_lines_around)
{
	static const char content[] = "1\n2\r\n3\n4\n5\n6\n7\n8\n9\n10";
	struct fr_excerpt excerpt;

	check_excerpt(content, 5, 2, 7);
	check_excerpt(content, 1, 1, 4);
	check_excerpt(content, 10, 7, 4);
	check_excerpt(content, 12, 9, 2);
	check_excerpt(content, 20, 17, 0);
	check_excerpt("", 1, 1, 0);
	fr_excerpt_read("/nowhere", 3, &excerpt);
	ck_assert_uint_eq(excerpt.len, 0);
	fr_excerpt_read("/", 3, &excerpt);
	ck_assert_uint_eq(excerpt.len, 0);
	fr_excerpt_read("/dev/zero", 3, &excerpt);
	ck_assert_uint_eq(excerpt.len, 0);
}
END_TEST

START_TEST(test_a_long_line_of_an_excerpt_is_cut_between_characters)
{
	char path[] = "/tmp/fr-excerpt-XXXXXX", content[1000] = "";
	struct fr_excerpt excerpt;
	int fd = mkstemp(path);

	for (int i = 0; i < 300; i++)
		strcat(content, i == 0 ? "a" : "\xc3\xa4");
	ck_assert_int_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
	fr_excerpt_read(path, 1, &excerpt);
	unlink(path);
	ck_assert_uint_eq(excerpt.len, 1);
	ck_assert_uint_eq(strlen(excerpt.lines[0]), FR_EXCERPT_LINE - 1);
}
END_TEST

Suite *fr_check_message_suite(void)
{
	Suite *suite = suite_create("message");
	TCase *tcase = tcase_create("message");

	tcase_add_test(tcase, test_short_messages);
	tcase_add_test(tcase, test_an_error_has_a_kind_if_it_says_so);
	tcase_add_test(tcase, test_of_a_long_output_the_end_is_told);
	tcase_add_test(tcase, test_files_are_told_all_or_none);
	tcase_add_test(tcase, test_news_are_checked);
	tcase_add_test(tcase, test_livereload_speaks);
	tcase_add_test(tcase, test_an_excerpt_has_the_lines_around);
	tcase_add_test(tcase, test_a_long_line_of_an_excerpt_is_cut_between_characters);
	suite_add_tcase(suite, tcase);
	return suite;
}
