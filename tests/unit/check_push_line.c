/*
 * What people's tools print, line by line, and what is understood.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "allocator.h"
#include "watch/push_line.h"

static char heard[4096];

static void hear(const char *what, const char *text)
{
	size_t used = strlen(heard);

	snprintf(heard + used, sizeof(heard) - used, "%s%s%s", used ? "|" : "", what, text);
}

static void path(void *ctx, const char *text)
{
	(void)ctx;
	hear("", text);
}

static void everything(void *ctx)
{
	(void)ctx;
	hear("EVERYTHING", "");
}

static void token(void *ctx, const char *text)
{
	(void)ctx;
	hear("TOKEN ", text);
}

static const struct fr_push_sink sink = {path, everything, token};

/* From memory that ends where the line ends: the sanitizers see who reads or writes on. */
static const char *read_line(const char *text, size_t len)
{
	char *line = malloc(len + 1);
	const char *error;

	ck_assert_ptr_nonnull(line);
	memcpy(line, text, len);
	heard[0] = '\0';
	error = fr_push_line_read(line, len, &sink, NULL);
	free(line);
	return error;
}

static const struct {
	const char *line, *heard;
} lines[] = {
	/* fswatch -r, inotifywait --format '%w%f', find, an editor's hook */
	{"/code/app.py", "/code/app.py"},
	{"/code/app.py\r", "/code/app.py"},
	{"app.py", "app.py"},
	{"./sub/app.py", "./sub/app.py"},
	{"/my code/b c.py", "/my code/b c.py"},
	{"/my code/Updated notes.py", "/my code/Updated notes.py"},
	{"/code/a\xff.py", "/code/a\xff.py"},
	{"/code/OPEN issues/a.py", "/code/OPEN issues/a.py"},
	{"{", NULL},

	/* fswatch -x, -xn, -t, -tx, --batch-marker, -o */
	{"/code/app.py Created IsFile Updated PlatformSpecific", "/code/app.py"},
	{"/my code/b c.py Removed MovedFrom", "/my code/b c.py"},
	{"/code/app.py PlatformSpecific", "/code/app.py"},
	{"/code IsDir", ""},
	{"/code IsDir Overflow", "EVERYTHING"},
	{"Fri Nov 20 20:55:31 2026 /code/app.py Updated", "/code/app.py"},
	{"Fri Nov 20 20:55:31 2026 /code/app.py", "/code/app.py"},
	{"/code/app.py 1024", "/code/app.py 1024|/code/app.py"},
	{"NoOp", ""},
	{"22", "EVERYTHING"},

	/* inotifywait -m, and its formats */
	{"./sub/ CLOSE_WRITE,CLOSE app.py", "./sub/app.py"},
	{"/my code/ MOVED_TO b c.py", "/my code/b c.py"},
	{"/code/ CREATE,ISDIR new", "/code/new"},
	{"/code/ CREATE OPEN", "/code/OPEN"},
	{"/code/ DELETE_SELF ", "/code/"},
	{"/code/ OPEN app.py", ""},
	{"/code/ ACCESS app.py", ""},
	{"/code/ CLOSE_NOWRITE,CLOSE app.py", ""},
	{"./ OPEN,ISDIR ", ""},
	{"app.py MODIFY ", "app.py"},
	{"/code/app.py CLOSE_WRITE,CLOSE", "/code/app.py"},
	{"CLOSE_WRITE,CLOSE /code/app.py", "/code/app.py"},
	{"MODIFY ./app.py", "./app.py"},
	{"/code/ app.py", "/code/ app.py|/code/app.py"},
	{"/code/ app.py MODIFY", "/code/ app.py|/code/app.py"},
	{"2026-11-20 20:55:31 ./sub/ CLOSE_WRITE,CLOSE app.py", "./sub/app.py"},
	{"/code/ Q_OVERFLOW ", "EVERYTHING"},
	{" ISDIR ", ""},
	{" MODIFY", ""},
	{"/ MODIFY ", "/"},
	{"/code/ NONSENSE app.py", "/code/ NONSENSE app.py|/code/NONSENSE app.py"},

	/* words */
	{".", "EVERYTHING"},
	{"./", "EVERYTHING"},
	{"", ""},
	{"  \t", ""},
	{"token 0123456789abcdef", "TOKEN 0123456789abcdef"},
	{"token ", "TOKEN "},

	/* JSON */
	{"{\"path\": \"/code/app.py\", \"event\": \"modified\"}", "/code/app.py"},
	{"{\"path\": \"/code/app.py\"}", "/code/app.py"},
	{"{\"path\": \"/code/\\u00e9.py\"}", "/code/\xc3\xa9.py"},
	{"{\"path\": \"/code/app.py\", \"event\": \"Opened\"}", ""},
	{"{\"paths\": [\"/a.py\", \"/b.py\"], \"more\": {}}", "/a.py|/b.py"},
	{"{\"paths\": [\"/a.py\", 3, null]}", "/a.py"},
	{"{\"path\": \".\"}", "EVERYTHING"},
	{"{\"path\": \"\"}", ""},
	{"{\"event\": \"overflow\"}", "EVERYTHING"},
	{"{\"path\": \"/a.py\", \"token\": \"s\"}", "TOKEN s|/a.py"},
	{"{\"path\": 3}", NULL},
	{"{\"paths\": \"/a.py\"}", NULL},
	{"{\"token\": null}", NULL},
	{"{\"event\": \"modified\"}", NULL},
	{"{\"path\": \"/a.py\"", NULL},
	{"{\"path\": \"/a\\u0000.py\"}", NULL},
	{"{\"path\": \"\xff\"}", NULL},
	{"{}", NULL},
};

START_TEST(test_lines_say_what_they_mean)
{
	const char *error = read_line(lines[_i].line, strlen(lines[_i].line));

	if (lines[_i].heard) {
		ck_assert_msg(!error, "\"%s\": %s", lines[_i].line, error);
		ck_assert_msg(strcmp(heard, lines[_i].heard) == 0, "\"%s\": \"%s\"", lines[_i].line,
			      heard);
	} else {
		ck_assert_msg(error, "\"%s\" is no error", lines[_i].line);
		ck_assert_str_eq(heard, "");
	}
}
END_TEST

START_TEST(test_a_nul_byte_is_an_error)
{
	ck_assert_ptr_nonnull(read_line("/a\0b.py", 7));
	ck_assert_str_eq(heard, "");
}
END_TEST

START_TEST(test_the_deepest_json_is_bounded)
{
	static char deep[FR_PUSH_LINE_MAX + 1];

	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"a\":", 5);
	ck_assert_ptr_nonnull(read_line(deep, FR_PUSH_LINE_MAX));
}
END_TEST

START_TEST(test_without_memory_json_is_an_error)
{
	char line[] = "{\"paths\": [\"/a.py\", \"/b.py\"]}";
	const char *error;
	unsigned nth = 0;
	bool has_failed;

	json_set_alloc_funcs(malloc, free); /* ours; jansson is a library with its own */
	do {
		char copy[sizeof(line)];

		memcpy(copy, line, sizeof(line));
		heard[0] = '\0';
		fr_allocator_fail_from(++nth);
		error = fr_push_line_read(copy, strlen(copy), &sink, NULL);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_from(0);
		ck_assert(has_failed == (error != NULL));
		ck_assert_str_eq(heard, error ? "" : "/a.py|/b.py");
	} while (has_failed);
	ck_assert_uint_gt(nth, 5);
}
END_TEST

Suite *fr_check_push_line_suite(void);

Suite *fr_check_push_line_suite(void)
{
	Suite *suite = suite_create("push_line");
	TCase *tcase = tcase_create("lines");

	tcase_add_loop_test(tcase, test_lines_say_what_they_mean, 0,
			    sizeof(lines) / sizeof(*lines));
	tcase_add_test(tcase, test_a_nul_byte_is_an_error);
	tcase_add_test(tcase, test_the_deepest_json_is_bounded);
	tcase_add_test(tcase, test_without_memory_json_is_an_error);
	suite_add_tcase(suite, tcase);
	return suite;
}
