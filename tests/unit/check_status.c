/*
 * What is told: the tally, the journal, the status, the events, and the requests for them.
 */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/events.h"
#include "report/journal.h"
#include "report/json.h"
#include "report/request.h"
#include "report/status.h"
#include "report/tally.h"

static struct fr_tally tally;
static struct fr_journal journal;
static char text[FR_EVENTS_LINE_SIZE], error[256];
static struct fr_json json;

static void setup(void)
{
	memset(&tally, 0, sizeof(tally));
	memset(&journal, 0, sizeof(journal));
}

static json_t *parse(void)
{
	json_error_t where;
	json_t *value = json_loads(text, 0, &where);

	ck_assert_msg(value != NULL, "%s in %s", where.text, text);
	return value;
}

/* ---- tally ---- */

START_TEST(test_the_median_is_that_of_the_last_reloads)
{
	ck_assert_int_eq(fr_tally_median_ms(&tally), 0);
	fr_tally_reload(&tally, 30);
	ck_assert_int_eq(fr_tally_median_ms(&tally), 30);
	fr_tally_reload(&tally, 10);
	ck_assert_int_eq(fr_tally_median_ms(&tally), 20);
	fr_tally_reload(&tally, 1000);
	ck_assert_int_eq(fr_tally_median_ms(&tally), 30);
	ck_assert_int_eq(tally.last_ms, 1000);
	for (int i = 0; i < FR_TALLY_RECENT; i++)
		fr_tally_reload(&tally, 7);
	ck_assert_int_eq(fr_tally_median_ms(&tally), 7);
	fr_tally_reload(&tally, INT64_MAX);
	ck_assert_int_eq(fr_tally_median_ms(&tally), 7);
	ck_assert_int_eq(tally.reloads, 4 + FR_TALLY_RECENT);
}
END_TEST

/* ---- journal ---- */

START_TEST(test_the_journal_keeps_the_last_ones)
{
	char path[32];

	for (int i = 0; i < FR_JOURNAL_LEN + 10; i++) {
		snprintf(path, sizeof(path), "%d.py", i);
		fr_journal_note(&journal, i, "written", path, NULL);
	}
	ck_assert_uint_eq(fr_journal_first(&journal, false), 10);
	ck_assert_uint_eq(journal.next, FR_JOURNAL_LEN + 10);
	ck_assert(strstr(fr_journal_text(&journal, 10, text, sizeof(text)), " written 10.py"));
	fr_journal_settle(&journal);
	ck_assert_uint_eq(fr_journal_first(&journal, true), journal.next);
	fr_journal_note(&journal, 0, "failed", NULL, "why");
	ck_assert_uint_eq(fr_journal_first(&journal, true), journal.next - 1);
	ck_assert(strstr(fr_journal_text(&journal, journal.next - 1, text, sizeof(text)),
			 ".000 failed: why"));
}
END_TEST

START_TEST(test_the_same_again_only_counts_until_it_was_written)
{
	for (int i = 0; i < 3; i++)
		fr_journal_note(&journal, i, "written", "a.py", NULL);
	ck_assert_uint_eq(journal.next, 1);
	ck_assert(strstr(fr_journal_text(&journal, 0, text, sizeof(text)),
			 ".002 written a.py (3 times)"));
	fr_journal_settle(&journal);
	fr_journal_note(&journal, 4, "written", "a.py", NULL);
	ck_assert_uint_eq(journal.next, 2);
}
END_TEST

START_TEST(test_long_paths_keep_their_end)
{
	char path[1000];

	memset(path, 'x', sizeof(path));
	strcpy(path + sizeof(path) - 9, "/view.py");
	fr_journal_note(&journal, 0, "a word that is too long", path, path);
	ck_assert_uint_eq(strlen(journal.entries[0].path), FR_JOURNAL_PATH_SIZE - 1);
	ck_assert_int_eq(strncmp(journal.entries[0].path, "...x", 4), 0);
	ck_assert_str_eq(journal.entries[0].path + FR_JOURNAL_PATH_SIZE - 9, "/view.py");
	path[FR_JOURNAL_PATH_SIZE - 1] = '\0';
	fr_journal_note(&journal, 0, "x", path, NULL);
	ck_assert_str_eq(journal.entries[1].path, path);
}
END_TEST

START_TEST(test_of_a_journal_that_does_not_fit_the_newest_are_told)
{
	json_t *value, *list;

	for (int i = 0; i < FR_JOURNAL_LEN; i++) {
		char path[32];

		snprintf(path, sizeof(path), "%d.py", i);
		fr_journal_note(&journal, i, "written", path, NULL);
	}
	for (size_t size = 64; size <= sizeof(text); size *= 4) {
		fr_json_begin(&json, text, size);
		fr_json_open(&json, NULL, '{');
		fr_journal_json(&journal, &json, "journal");
		fr_json_close(&json, '}');
		ck_assert(!json.is_full);
		value = parse();
		list = json_object_get(value, "journal");
		if (size >= 256)
			ck_assert_str_eq(
				json_string_value(json_object_get(
					json_array_get(list, json_array_size(list) - 1), "path")),
				"255.py");
		json_decref(value);
	}
}
END_TEST

START_TEST(test_control_bytes_stay_out_of_the_journals_lines)
{
	fr_journal_note(&journal, 0, "written", "a\n\x1b[2J.py", "b\nc");
	fr_journal_text(&journal, 0, text, sizeof(text));
	ck_assert_str_eq(strstr(text, "written"), "written a\\x0a\\x1b[2J.py: b\\x0ac");
}
END_TEST

/* ---- status ---- */

static struct fr_status full_status(char byte)
{
	struct fr_status status = {.backends_len = FR_STATUS_MAX_BACKENDS, .last_at_ms = 1};

	memset(status.reason, byte, sizeof(status.reason) - 1);
	memset(status.last_what, byte, sizeof(status.last_what) - 1);
	memset(status.last_error, byte, sizeof(status.last_error) - 1);
	memset(status.action, byte, sizeof(status.action) - 1);
	for (size_t i = 0; i < status.backends_len; i++)
		memset(status.backends[i].name, byte, sizeof(status.backends[i].name) - 1);
	return status;
}

START_TEST(test_every_status_fits)
{
	struct fr_status status = full_status('\x01');
	json_t *value;

	fr_json_begin(&json, text, FR_STATUS_TEXT_SIZE);
	fr_status_json(&status, &json, NULL);
	ck_assert(!json.is_full);
	value = parse();
	ck_assert_uint_eq(json_array_size(json_object_get(value, "backends")),
			  FR_STATUS_MAX_BACKENDS);
	json_decref(value);
	status = full_status('\xff');
	fr_status_text(&status, text, FR_STATUS_TEXT_SIZE);
	ck_assert_uint_lt(strlen(text), FR_STATUS_TEXT_SIZE - 1);
	for (size_t size = 1; size < 2000; size += 13) {
		fr_status_text(&status, text, size);
		ck_assert_uint_lt(strlen(text), size);
	}
}
END_TEST

START_TEST(test_the_state_is_named)
{
	static const char *const names[] = {"watching", "broken", "paused", "reloading"};
	struct fr_status status = {0};

	for (int i = 0; i < 4; i++) {
		json_t *value;

		status.is_last_failed |= i == 1;
		status.is_paused |= i == 2;
		status.is_reloading |= i == 3;
		fr_json_begin(&json, text, sizeof(text));
		fr_status_json(&status, &json, NULL);
		value = parse();
		ck_assert_str_eq(json_string_value(json_object_get(value, "state")), names[i]);
		ck_assert(json_is_null(json_object_get(value, "last")));
		json_decref(value);
	}
}
END_TEST

/* ---- events ---- */

static const char *kind_of(void *ctx, size_t i)
{
	(void)i;
	return ctx;
}

START_TEST(test_a_batch_names_what_fits_and_counts_the_rest)
{
	static char path[4096];
	const char *paths[1000];
	json_t *value;

	memset(path, '\xff', sizeof(path) - 1);
	path[0] = '/';
	for (size_t i = 0; i < 1000; i++)
		paths[i] = i < 2 ? path : "/a.py";
	fr_events_begin(&json, text, 1234, "batch");
	fr_events_changes(&json, paths, 1000, kind_of, (void *)"changed");
	ck_assert_uint_eq(fr_events_end(&json), strlen(text));
	ck_assert(!json.is_full);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	/* jansson knows no single surrogates */
	ck_assert(strstr(text, "\"time\":1.234,\"event\":\"batch\",\"changes\":[{\"path\":\"/"
			       "\\udcff"));
	ck_assert(strstr(text, "\"more\":"));
	fr_events_begin(&json, text, 0, "batch");
	fr_events_changes(&json, paths + 2, 998, kind_of, (void *)"changed");
	fr_events_end(&json);
	value = parse();
	ck_assert_uint_eq(json_array_size(json_object_get(value, "changes")) +
				  (size_t)json_integer_value(json_object_get(value, "more")),
			  998);
	json_decref(value);
}
END_TEST

START_TEST(test_what_is_not_known_of_an_outcome_is_null)
{
	const struct fr_events_outcome outcome = {.total_ms = 5, .leave_ms = -1, .error = "x"};
	json_t *value;

	fr_events_begin(&json, text, 0, "outcome");
	fr_events_outcome(&json, &outcome);
	fr_events_end(&json);
	value = parse();
	ck_assert_int_eq(json_integer_value(json_object_get(value, "ms")), 5);
	ck_assert(json_is_null(json_object_get(value, "leave_ms")));
	ck_assert_str_eq(json_string_value(json_object_get(value, "result")), "failed");
	json_decref(value);
}
END_TEST

/* ---- requests ---- */

static struct fr_request request;

static int read_request(const char *line)
{
	return fr_request_read(line, strlen(line), &request, error, sizeof(error));
}

START_TEST(test_each_command_is_understood_and_written_so)
{
	char line[FR_REQUEST_LINE_MAX + 1];

	for (unsigned command = 0; command < FR_COMMANDS; command++) {
		struct fr_request asked = {.command = command, .is_for_people = command % 2};
		size_t len;

		if (command == FR_COMMAND_EXPLAIN)
			strcpy(asked.path, "/a\xff\n\"\\");
		len = fr_request_write(&asked, line);
		ck_assert_int_eq(line[len - 1], '\n');
		ck_assert_int_eq(fr_request_read(line, len - 1, &request, error, sizeof(error)), 0);
		ck_assert_uint_eq(request.command, command);
		ck_assert_int_eq(request.is_for_people, command % 2);
		ck_assert_str_eq(request.path, asked.path);
		ck_assert_uint_eq(fr_command_of(fr_command_name(command)), command);
	}
	ck_assert_uint_eq(fr_command_of("dance"), FR_COMMANDS);
}
END_TEST

START_TEST(test_the_longest_path_fits)
{
	static char line[FR_REQUEST_LINE_MAX + 1];
	struct fr_request asked = {.command = FR_COMMAND_EXPLAIN, .is_for_people = true};

	memset(asked.path, '\xff', sizeof(asked.path) - 1);
	asked.path[0] = '/';
	ck_assert_int_eq(fr_request_read(line, fr_request_write(&asked, line), &request, error,
					 sizeof(error)),
			 0);
	ck_assert_str_eq(request.path, asked.path);
}
END_TEST

START_TEST(test_requests_that_make_no_sense_are_errors)
{
	static const struct {
		const char *line, *sentence;
	} bad[] = {
		{"{}", "\"command\" is missing"},
		{"{\"command\": \"dance\"}", "unknown; there are status"},
		{"{\"command\": true}", "are strings"},
		{"{\"command\": \"status\", \"as\": 1}", "are strings"},
		{"{\"command\": \"status\", \"as\": \"html\"}", "json and text"},
		{"{\"command\": \"status\", \"path\": \"/a\"}", "for \"explain\" only"},
		{"{\"command\": \"explain\"}", "needs a \"path\""},
		{"{\"command\": \"explain\", \"path\": \"\"}", "absolute"},
		{"{\"command\": \"explain\", \"path\": \"a\"}", "absolute"},
		{"{\"command\": \"explain\", \"path\": \"/\"}", "absolute"},
		{"{\"command\": \"explain\", \"path\": \"/a//b\"}", "absolute"},
		{"{\"command\": \"explain\", \"path\": \"/a/.\"}", "absolute"},
		{"{\"command\": \"explain\", \"path\": \"/a/../b\"}", "absolute"},
		{"{\"command\": \"status\", \"now\": 1}", "key is unknown"},
	};

	memset(&request, 0x55, sizeof(request));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_int_eq(read_request(bad[i].line), -EINVAL);
		ck_assert_msg(strstr(error, bad[i].sentence), "%s: %s", bad[i].line, error);
		ck_assert_int_eq(request.path[0], 0x55);
	}
	ck_assert_int_eq(read_request("{\"command\": \"explain\", \"path\": \"/a/...b\"}"), 0);
}
END_TEST

Suite *fr_check_status_suite(void);

Suite *fr_check_status_suite(void)
{
	Suite *suite = suite_create("status");
	TCase *tcase = tcase_create("status");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_the_median_is_that_of_the_last_reloads);
	tcase_add_test(tcase, test_the_journal_keeps_the_last_ones);
	tcase_add_test(tcase, test_the_same_again_only_counts_until_it_was_written);
	tcase_add_test(tcase, test_long_paths_keep_their_end);
	tcase_add_test(tcase, test_of_a_journal_that_does_not_fit_the_newest_are_told);
	tcase_add_test(tcase, test_control_bytes_stay_out_of_the_journals_lines);
	tcase_add_test(tcase, test_every_status_fits);
	tcase_add_test(tcase, test_the_state_is_named);
	tcase_add_test(tcase, test_a_batch_names_what_fits_and_counts_the_rest);
	tcase_add_test(tcase, test_what_is_not_known_of_an_outcome_is_null);
	tcase_add_test(tcase, test_each_command_is_understood_and_written_so);
	tcase_add_test(tcase, test_the_longest_path_fits);
	tcase_add_test(tcase, test_requests_that_make_no_sense_are_errors);
	suite_add_tcase(suite, tcase);
	return suite;
}
