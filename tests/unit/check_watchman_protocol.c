/*
 * Watchman's protocol: the stream cut anywhere, messages as the daemon writes them and as it never
 * would, and the commands.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "watch/watchman_protocol.h"

static struct fr_watchman_stream stream;
static struct fr_watchman_message message;

static void teardown(void)
{
	fr_watchman_stream_clear(&stream);
	fr_watchman_message_clear(&message);
}

/* ---- the stream ---- */

static void feed(const char *bytes, size_t len)
{
	char *room;
	size_t size;

	while (len > 0) {
		ck_assert_int_eq(fr_watchman_stream_room(&stream, &room, &size), 0);
		ck_assert_uint_ge(size, 4096);
		if (size > len)
			size = len;
		memcpy(room, bytes, size);
		fr_watchman_stream_filled(&stream, size);
		bytes += size;
		len -= size;
	}
}

static void assert_next(const char *wanted)
{
	const char *text;
	size_t len;

	ck_assert_int_eq(fr_watchman_stream_next(&stream, &text, &len), 1);
	ck_assert_uint_eq(len, strlen(wanted));
	ck_assert_int_eq(memcmp(text, wanted, len), 0);
}

static void assert_none(void)
{
	const char *text;
	size_t len;

	ck_assert_int_eq(fr_watchman_stream_next(&stream, &text, &len), 0);
}

START_TEST(test_stream_cut_anywhere_gives_the_same_messages)
{
	const char *bytes = "{\"a\":1}\n\n{\"bb\":22}\n";

	for (size_t cut = 0; cut <= strlen(bytes); cut++) {
		size_t found = 0;

		for (int part = 0; part < 2; part++) {
			const char *text;
			size_t len;

			feed(part ? bytes + cut : bytes, part ? strlen(bytes) - cut : cut);
			while (fr_watchman_stream_next(&stream, &text, &len) == 1) {
				ck_assert_uint_eq(len, found == 0 ? 7 : found == 1 ? 0 : 9);
				found++;
			}
		}
		ck_assert_uint_eq(found, 3);
	}
}
END_TEST

START_TEST(test_message_of_the_greatest_length_is_taken_and_a_longer_one_skipped_once)
{
	size_t len = FR_WATCHMAN_MAX_MESSAGE;
	char *longest = malloc(len + 3);
	const char *text;
	size_t text_len;

	ck_assert_ptr_nonnull(longest);
	memset(longest, 'x', len + 1);
	longest[len] = '\n';
	feed(longest, len + 1);
	ck_assert_int_eq(fr_watchman_stream_next(&stream, &text, &text_len), 1);
	ck_assert_uint_eq(text_len, len);

	longest[len] = 'x';
	for (int i = 0; i < 4; i++) {
		feed(longest, len + 1);
		ck_assert_int_eq(fr_watchman_stream_next(&stream, &text, &text_len),
				 i == 0 ? -EMSGSIZE : 0);
		ck_assert_uint_le(stream.size, 4 * (size_t)FR_WATCHMAN_MAX_MESSAGE);
	}
	feed("end\nnext\n", 9);
	assert_next("next");
	assert_none();
	feed("", 0);
	free(longest);
}
END_TEST

START_TEST(test_buffer_that_a_storm_made_large_is_given_back)
{
	char *large = malloc(1000001), *room;
	size_t len;
	const char *text;

	ck_assert_ptr_nonnull(large);
	memset(large, 'x', 1000000);
	large[1000000] = '\n';
	feed(large, 1000001);
	ck_assert_int_eq(fr_watchman_stream_next(&stream, &text, &len), 1);
	assert_none();
	ck_assert_int_eq(fr_watchman_stream_room(&stream, &room, &len), 0);
	ck_assert_uint_le(stream.size, 64 * 1024);
	free(large);
}
END_TEST

/* ---- messages ---- */

static int take(const char *text)
{
	fr_watchman_message_clear(&message);
	return fr_watchman_message_read(text, strlen(text), &message);
}

START_TEST(test_changes_are_read)
{
	struct fr_watchman_file file;

	ck_assert_int_eq(
		take("{\"unilateral\":true,\"subscription\":\"s1\",\"root\":\"/srv\","
		     "\"is_fresh_instance\":false,\"since\":\"c:1:2:1:4\",\"version\":\"4.9.0\","
		     "\"clock\":\"c:1:2:1:5\",\"files\":["
		     "{\"new\":true,\"type\":\"f\",\"exists\":true,\"name\":\"a/\\u00e9.py\"},"
		     "{\"new\":false,\"type\":\"d\",\"exists\":false,\"name\":\"b\"}]}"),
		0);
	ck_assert_int_eq(message.kind, FR_WATCHMAN_CHANGES);
	ck_assert_str_eq(message.subscription, "s1");
	ck_assert_str_eq(message.clock, "c:1:2:1:5");
	ck_assert(!message.is_fresh);
	ck_assert_uint_eq(message.files_len, 2);
	ck_assert_int_eq(fr_watchman_message_file(&message, 0, &file), 0);
	ck_assert_str_eq(file.name, "a/\xc3\xa9.py");
	ck_assert(file.exists && file.is_new && !file.is_folder);
	ck_assert_int_eq(fr_watchman_message_file(&message, 1, &file), 0);
	ck_assert(!file.exists && !file.is_new && file.is_folder);
	ck_assert_int_eq(fr_watchman_message_file(&message, 2, &file), -EBADMSG);
}
END_TEST

static const struct {
	const char *text;
	enum fr_watchman_kind kind;
} kinds[] = {
	{"{\"watch\":\"/a\",\"relative_path\":\"b\"}", FR_WATCHMAN_ANSWER},
	{"{\"clock\":\"c:1\",\"version\":\"4.9.0\",\"subscribe\":\"s1\"}", FR_WATCHMAN_ANSWER},
	{"{\"error\":\"no\",\"version\":\"4.9.0\"}", FR_WATCHMAN_ERROR},
	{"{\"subscription\":\"s\",\"canceled\":true,\"unilateral\":true}", FR_WATCHMAN_CANCELED},
	{"{\"subscription\":\"s\",\"files\":[]}", FR_WATCHMAN_CHANGES},
	{"{\"subscription\":\"s\",\"state-enter\":\"hg.update\"}", FR_WATCHMAN_OTHER},
	{"{\"log\":\"x\",\"unilateral\":true}", FR_WATCHMAN_OTHER},
	{"{\"files\":[],\"clock\":\"c:1\",\"is_fresh_instance\":true}", FR_WATCHMAN_ANSWER},
	{"{\"error\":7,\"subscription\":[],\"files\":{}}", FR_WATCHMAN_ANSWER},
};

START_TEST(test_kinds_are_told_apart)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		ck_assert_int_eq(take(kinds[i].text), 0);
		ck_assert_msg(message.kind == kinds[i].kind, "%s: %d", kinds[i].text, message.kind);
	}
}
END_TEST

START_TEST(test_what_is_no_message_is_refused)
{
	static const char *const wrong[] = {"",
					    "[]",
					    "{",
					    "7",
					    "null",
					    "{} {}",
					    "{\"a\":1,\"a\":2}",
					    "{\"a\":\"\xff\"}",
					    "{\"a\":\"\\u0000\"}"};
	char deep[8192];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		ck_assert_msg(take(wrong[i]) == -EBADMSG, "%s", wrong[i]);
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	ck_assert_int_eq(take(deep), -EBADMSG);
}
END_TEST

START_TEST(test_names_that_leave_the_folder_are_none)
{
	static const char *const wrong[] = {"",   "/a", "../a", "a/../b", "a//b", "a/",
					    "..", ".",  "./a",  "a/.",    "a/.."};
	static const char *const right[] = {"a", "a/b", "...", "..a/b.", ".a", "a b/\\\"c"};
	struct fr_watchman_file file;
	char text[128];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		snprintf(text, sizeof(text),
			 "{\"subscription\":\"s\",\"files\":[{\"name\":\"%s\"}]}", wrong[i]);
		ck_assert_int_eq(take(text), 0);
		ck_assert_msg(fr_watchman_message_file(&message, 0, &file) == -EBADMSG, "%s",
			      wrong[i]);
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		snprintf(text, sizeof(text),
			 "{\"subscription\":\"s\",\"files\":[{\"name\":\"%s\"}]}", right[i]);
		ck_assert_int_eq(take(text), 0);
		ck_assert_msg(fr_watchman_message_file(&message, 0, &file) == 0, "%s", right[i]);
	}
}
END_TEST

START_TEST(test_clock_that_is_too_long_is_none)
{
	char text[256], clock[FR_WATCHMAN_MAX_CLOCK + 1];

	memset(clock, 'c', sizeof(clock));
	clock[FR_WATCHMAN_MAX_CLOCK - 1] = '\0';
	snprintf(text, sizeof(text), "{\"clock\":\"%s\"}", clock);
	ck_assert_int_eq(take(text), 0);
	ck_assert_str_eq(message.clock, clock);
	snprintf(text, sizeof(text), "{\"clock\":\"%sc\"}", clock);
	ck_assert_int_eq(take(text), 0);
	ck_assert_ptr_null(message.clock);
}
END_TEST

START_TEST(test_socket_is_read_from_what_the_command_prints)
{
	char path[16] = "unchanged";
	const char *text = "{\n    \"sockname\": \"/run/w/sock\",\n    \"version\": \"4.9.0\"\n}\n";

	ck_assert_int_eq(fr_watchman_read_sockname(text, 20, path, sizeof(path)), -EBADMSG);
	ck_assert_str_eq(path, "unchanged");
	ck_assert_int_eq(fr_watchman_read_sockname(text, strlen(text), path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/run/w/sock");
	ck_assert_int_eq(fr_watchman_read_sockname(text, strlen(text), path, 11), -ENAMETOOLONG);
	text = "{\"error\": \"no\"}";
	ck_assert_int_eq(fr_watchman_read_sockname(text, strlen(text), path, sizeof(path)),
			 -EBADMSG);
	text = "{\"sockname\": \"relative\"}";
	ck_assert_int_eq(fr_watchman_read_sockname(text, strlen(text), path, sizeof(path)),
			 -EBADMSG);
}
END_TEST

/* ---- commands ---- */

/* One line, and JSON: compares it with what is wanted, and frees it. */
static void assert_line(char *line, const char *wanted)
{
	json_t *got, *want = json_loads(wanted, 0, NULL);

	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
	got = json_loads(line, 0, NULL);
	ck_assert_msg(json_equal(got, want), "%s", line);
	json_decref(got);
	json_decref(want);
	free(line);
}

START_TEST(test_commands_are_one_line_of_json)
{
	assert_line(fr_watchman_write_greeting(), "[\"version\",{\"optional\":[\"term-pcre\"]}]");
	assert_line(fr_watchman_write_watch("/a\n\"b"), "[\"watch-project\",\"/a\\n\\\"b\"]");
	assert_line(fr_watchman_write_query("/a", "c:1", 5),
		    "[\"query\",\"/a\",{\"expression\":[\"false\"],\"fields\":[\"name\"],"
		    "\"empty_on_fresh_instance\":true,\"sync_timeout\":5,\"since\":\"c:1\"}]");
	assert_line(
		fr_watchman_write_subscribe("/a", "b", "s", NULL, FR_WATCHMAN_ALL_NAMES),
		"[\"subscribe\",\"/a\",\"s\",{\"fields\":[\"name\",\"exists\",\"new\",\"type\"],"
		"\"defer_vcs\":false,\"defer\":[\"hg.update\",\"hg.transaction\"],"
		"\"relative_root\":\"b\"}]");
	assert_line(fr_watchman_write_unsubscribe("/a", "s"), "[\"unsubscribe\",\"/a\",\"s\"]");
}
END_TEST

START_TEST(test_path_that_is_not_utf8_cannot_be_said)
{
	ck_assert_ptr_null(fr_watchman_write_watch("/a\xff"));
	ck_assert_ptr_null(fr_watchman_write_query("/a\xff", NULL, 1));
}
END_TEST

START_TEST(test_no_memory_is_no_command_and_no_message)
{
	for (unsigned n = 1; n < 4; n++) {
		char *line;

		fr_allocator_fail_once(n);
		line = fr_watchman_write_watch("/a");
		if (fr_allocator_has_failed())
			ck_assert_ptr_null(line);
		fr_allocator_fail_once(0);
		free(line);
	}
}
END_TEST

Suite *fr_check_watchman_protocol_suite(void)
{
	Suite *suite = suite_create("watchman_protocol");
	TCase *tcase = tcase_create("watchman_protocol");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, test_stream_cut_anywhere_gives_the_same_messages);
	tcase_add_test(tcase,
		       test_message_of_the_greatest_length_is_taken_and_a_longer_one_skipped_once);
	tcase_add_test(tcase, test_buffer_that_a_storm_made_large_is_given_back);
	tcase_add_test(tcase, test_changes_are_read);
	tcase_add_test(tcase, test_kinds_are_told_apart);
	tcase_add_test(tcase, test_what_is_no_message_is_refused);
	tcase_add_test(tcase, test_names_that_leave_the_folder_are_none);
	tcase_add_test(tcase, test_clock_that_is_too_long_is_none);
	tcase_add_test(tcase, test_socket_is_read_from_what_the_command_prints);
	tcase_add_test(tcase, test_commands_are_one_line_of_json);
	tcase_add_test(tcase, test_path_that_is_not_utf8_cannot_be_said);
	tcase_add_test(tcase, test_no_memory_is_no_command_and_no_message);
	suite_add_tcase(suite, tcase);
	return suite;
}
