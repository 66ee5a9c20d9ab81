/*
 * The place and the error in what languages print when code does not load.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/traceback.h"

static struct fr_traceback found;

static bool is_below_srv(void *ctx, const char *file, size_t file_len)
{
	(*(int *)ctx)++;
	return file_len > 5 && memcmp(file, "/srv/", 5) == 0;
}

/* A copy that ends where its memory ends: whoever reads on is caught by the sanitizers. */
static bool find_in(const char *text, bool only_own)
{
	static char *copy;
	int asked = 0;

	free(copy);
	copy = strdup(text);
	ck_assert_ptr_nonnull(copy);
	memset(&found, 0x55, sizeof(found));
	return fr_traceback_find(copy, only_own ? is_below_srv : NULL, &asked, &found);
}

static void assert_found(const char *file, long line, const char *error)
{
	ck_assert_msg(found.file_len == strlen(file) &&
			      memcmp(found.file, file, found.file_len) == 0,
		      "file \"%.*s\" instead of \"%s\"", (int)found.file_len,
		      found.file_len ? found.file : "", file);
	if (found.file_len)
		ck_assert_int_eq(found.line, line);
	ck_assert_msg(found.error_len == strlen(error) &&
			      memcmp(found.error, error, found.error_len) == 0,
		      "error \"%.*s\" instead of \"%s\"", (int)found.error_len,
		      found.error_len ? found.error : "", error);
}

#define BEGIN "Traceback (most recent call last):\n"

static const struct {
	const char *what, *text, *file;
	long line;
	const char *error;
} cases[] = {
	{"a plain exception",
	 BEGIN "  File \"/srv/app/wsgi.py\", line 3, in <module>\n    import views\n"
	       "  File \"/srv/app/views.py\", line 12, in <module>\n    1 / 0\n    ~~^~~\n"
	       "ZeroDivisionError: division by zero\nunable to load app 0\n",
	 "/srv/app/views.py", 12, "ZeroDivisionError: division by zero"},
	{"an exception without a message",
	 BEGIN "  File \"/srv/app/views.py\", line 1, in <module>\n    raise "
	       "KeyboardInterrupt\nKeyboardInterrupt\n",
	 "/srv/app/views.py", 1, "KeyboardInterrupt"},
	{"an exception of a package",
	 BEGIN "  File \"/srv/app/views.py\", line 1, in <module>\n    setup()\n"
	       "django.core.exceptions.ImproperlyConfigured: no settings\n",
	 "/srv/app/views.py", 1, "django.core.exceptions.ImproperlyConfigured: no settings"},
	{"a syntax error",
	 BEGIN "  File \"/srv/app/wsgi.py\", line 1, in <module>\n    import views\n"
	       "  File \"/srv/app/views.py\", line 5\n    def f(:\n          ^\nSyntaxError: "
	       "invalid syntax\n",
	 "/srv/app/views.py", 5, "SyntaxError: invalid syntax"},
	{"a library that ran into the user's code's mistake",
	 BEGIN "  File \"/srv/app/views.py\", line 7, in <module>\n    json.loads('')\n"
	       "  File \"/usr/lib/python3.11/json/decoder.py\", line 355, in raw_decode\n    raise "
	       "JSONDecodeError\n"
	       "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)\n",
	 "/srv/app/views.py", 7,
	 "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"},
	{"chained: during handling",
	 BEGIN "  File \"/srv/app/one.py\", line 1, in <module>\n    {}['a']\nKeyError: 'a'\n\n"
	       "During handling of the above exception, another exception occurred:\n\n" BEGIN
	       "  File \"/srv/app/two.py\", line 2, in <module>\n    raise "
	       "ValueError('b')\nValueError: b\n",
	 "/srv/app/two.py", 2, "ValueError: b"},
	{"chained: the direct cause",
	 BEGIN "  File \"/srv/app/one.py\", line 1, in <module>\n    x\nNameError: name 'x' is not "
	       "defined\n\n"
	       "The above exception was the direct cause of the following exception:\n\n" BEGIN
	       "  File \"/usr/lib/python3/dist-packages/lib.py\", line 2, in f\n    raise "
	       "Wrapped\nlib.Wrapped: no\n",
	 "/usr/lib/python3/dist-packages/lib.py", 2, "lib.Wrapped: no"},
	{"recursion",
	 BEGIN "  File \"/srv/app/deep.py\", line 3, in <module>\n    f()\n"
	       "  File \"/srv/app/deep.py\", line 2, in f\n    f()\n  File \"/srv/app/deep.py\", "
	       "line 2, in f\n    f()\n"
	       "  [Previous line repeated 996 more times]\nRecursionError: maximum recursion depth "
	       "exceeded\n",
	 "/srv/app/deep.py", 2, "RecursionError: maximum recursion depth exceeded"},
	{"an exception with notes and several lines of message",
	 BEGIN "  File \"/srv/app/a.py\", line 4, in <module>\n    raise "
	       "ValueError('one\\ntwo')\nValueError: one\ntwo\nnote: three\n",
	 "/srv/app/a.py", 4, "ValueError: one"},
	{"output before and after",
	 "starting: /not/this:9: line\n" BEGIN "  File \"/srv/app/a.py\", line 4, in <module>\n    "
	 "boom()\nNameError: name 'boom' is not defined\n"
	 "cleaning up: done\nunable to load app 0 (mountpoint='') (callable not found or import "
	 "error)\n",
	 "/srv/app/a.py", 4, "NameError: name 'boom' is not defined"},
	{"a message that looks like a place",
	 BEGIN "  File \"/srv/app/a.py\", line 4, in <module>\n    boom()\n"
	       "ValueError: bad at /srv/app/x.pl line 3, and /srv/app/y.rb:4: too\n",
	 "/srv/app/a.py", 4, "ValueError: bad at /srv/app/x.pl line 3, and /srv/app/y.rb:4: too"},
	{"without a newline at the end",
	 BEGIN "  File \"/srv/app/a.py\", line 4, in <module>\nValueError: x", "/srv/app/a.py", 4,
	 "ValueError: x"},
	{"a file with quotes and spaces in its name",
	 BEGIN "  File \"/srv/app/my \"file\".py\", line 8, in <module>\n    x\nNameError: x\n",
	 "/srv/app/my \"file\".py", 8, "NameError: x"},
	{"Perl: died", "Died of it at /srv/app/app.psgi line 3.\n", "/srv/app/app.psgi", 3,
	 "Died of it at /srv/app/app.psgi line 3."},
	{"Perl: syntax", "syntax error at /srv/app/lib/Value.pm line 7, near \"}\"\n",
	 "/srv/app/lib/Value.pm", 7, "syntax error at /srv/app/lib/Value.pm line 7, near \"}\""},
	{"Ruby", "/srv/app/config.ru:3:in `block': undefined local variable (NameError)\n",
	 "/srv/app/config.ru", 3,
	 "/srv/app/config.ru:3:in `block': undefined local variable (NameError)"},
	{"Lua", "lua: cannot load: /srv/app/app.lua:12: '=' expected near 'end'\n",
	 "/srv/app/app.lua", 12, "lua: cannot load: /srv/app/app.lua:12: '=' expected near 'end'"},
};

START_TEST(test_known_messages_are_understood)
{
	ck_assert_msg(find_in(cases[_i].text, true), "%s: nothing found", cases[_i].what);
	assert_found(cases[_i].file, cases[_i].line, cases[_i].error);
}
END_TEST

/* CPython 3.11: the outer traceback and those within are drawn with "  + " and "  | ". */
START_TEST(test_group_of_exceptions_has_a_place_and_an_error)
{
	ck_assert(find_in("  + Exception Group Traceback (most recent call last):\n"
			  "  |   File \"/srv/app/group.py\", line 9, in <module>\n"
			  "  |     raise ExceptionGroup('both', [ValueError(1), TypeError(2)])\n"
			  "  | ExceptionGroup: both (2 sub-exceptions)\n"
			  "  +-+---------------- 1 ----------------\n"
			  "    | ValueError: 1\n"
			  "    +---------------- 2 ----------------\n"
			  "    | TypeError: 2\n"
			  "    +------------------------------------\n",
			  true));
	ck_assert_int_eq(found.file_len, strlen("/srv/app/group.py"));
	ck_assert_int_eq(found.line, 9);
	ck_assert_msg(found.error_len > 0, "the error of an exception group is not found");
}
END_TEST

START_TEST(test_without_a_user_the_last_place_is_taken)
{
	ck_assert(find_in(BEGIN "  File \"/srv/app/a.py\", line 1, in <module>\n"
				"  File \"/usr/lib/b.py\", line 2, in f\nValueError: x\n",
			  false));
	assert_found("/usr/lib/b.py", 2, "ValueError: x");
}
END_TEST

START_TEST(test_text_without_any_is_nothing)
{
	static const char *const texts[] = {
		"",
		"\n\n\n",
		"hello\nworld\n",
		"WSGI app 0 (mountpoint='') ready in 1 seconds (default app)\n",
		"Traceback (most recent call last):\n",
		"  File \"/srv/app/a.py\n\", line 3\n",
		"served at / line by line\n",
		"http://localhost:8000/: up\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		ck_assert_msg(!find_in(texts[i], true), "found in \"%s\": \"%.*s\"", texts[i],
			      (int)found.error_len, found.error_len ? found.error : "");
		ck_assert_uint_eq(found.file_len, 0);
		ck_assert_uint_eq(found.error_len, 0);
	}
}
END_TEST

/* All that is found lies in the text, whatever the text is. */
static void assert_within(const char *text)
{
	struct fr_traceback at;
	int asked = 0;
	size_t len = strlen(text);

	(void)fr_traceback_find(text, is_below_srv, &asked, &at);
	if (at.file_len)
		ck_assert(at.file >= text && at.file + at.file_len <= text + len);
	if (at.error_len)
		ck_assert(at.error >= text && at.error + at.error_len <= text + len);
}

START_TEST(test_hostile_text_is_survived)
{
	static const char *const pieces[] = {
		"File \"",   "  File \"",
		"\", line ", "\", line 99999999999999999999999999",
		" at /",     " line ",
		" line -1",  "/:",
		"/a:0:",     "/a:-5:",
		"\n",        ":",
		"/",         "'",
		" ",         "\xff\xfe",
		"\x1b[31m",  "Traceback (most recent call last)",
		"A",         "A:",
		"A: ",       "|",
		"  | ",      "/a:99999999999999999999:",
		"..",        "0",
	};
	const size_t len = sizeof(pieces) / sizeof(*pieces);
	char text[4096];
	unsigned state = 4711;

	for (int round = 0; round < 20000; round++) {
		char *copy;

		text[0] = '\0';
		for (int i = 0; i < 1 + round % 12; i++) {
			state = state * 1103515245u + 12345u;
			strcat(text, pieces[(state >> 8) % len]);
		}
		copy = strdup(text);
		ck_assert_ptr_nonnull(copy);
		assert_within(copy);
		free(copy);
	}
}
END_TEST

/* 64 KiB is what is kept of the output; nobody waits for the log line longer than for a screen's
 * refresh. */
START_TEST(test_time_does_not_explode)
{
	static const char *const lines[] = {
		" at /", "/", "'/a:", "File \"", " File \"x", "/a /b /c"};
	static char text[64 * 1024 + 1];

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		size_t piece = strlen(lines[i]);

		for (size_t at = 0; at + 1 < sizeof(text); at++)
			text[at] = lines[i][at % piece];
		assert_within(text);
		for (size_t at = 0; at + 1 < sizeof(text); at++)
			text[at] = at % 80 == 79 ? '\n' : lines[i][at % piece];
		assert_within(text);
	}
}
END_TEST

Suite *fr_check_traceback_suite(void)
{
	Suite *suite = suite_create("traceback");
	TCase *tcase = tcase_create("traceback");

	tcase_set_timeout(tcase, 10);
	tcase_add_loop_test(tcase, test_known_messages_are_understood, 0,
			    (int)(sizeof(cases) / sizeof(*cases)));
	tcase_add_test(tcase, test_group_of_exceptions_has_a_place_and_an_error);
	tcase_add_test(tcase, test_without_a_user_the_last_place_is_taken);
	tcase_add_test(tcase, test_text_without_any_is_nothing);
	tcase_add_test(tcase, test_hostile_text_is_survived);
	tcase_add_test(tcase, test_time_does_not_explode);
	suite_add_tcase(suite, tcase);
	return suite;
}
