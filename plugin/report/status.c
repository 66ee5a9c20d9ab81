/*
 * status: how things stand. See status.h.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "report/json.h"
#include "report/sentence.h"
#include "report/status.h"

/* ---- for programs ---- */

static const char *state_of(const struct fr_status *status)
{
	if (status->is_reloading)
		return "reloading";
	if (status->is_paused)
		return "paused";
	return status->is_last_failed ? "broken" : "watching";
}

static void write_last(const struct fr_status *status, struct fr_json *json)
{
	if (!status->last_at_ms) {
		fr_json_string(json, "last", NULL);
		return;
	}
	fr_json_open(json, "last", '{');
	fr_json_seconds(json, "time", status->last_at_ms);
	fr_json_string(json, "result", status->is_last_failed ? "failed" : "reloaded");
	fr_json_string(json, "what", status->last_what);
	fr_json_string(json, "error", status->last_error[0] ? status->last_error : NULL);
	fr_json_close(json, '}');
}

static void write_backends(const struct fr_status *status, struct fr_json *json)
{
	fr_json_open(json, "backends", '[');
	for (size_t i = 0; i < status->backends_len; i++) {
		fr_json_open(json, NULL, '{');
		fr_json_string(json, "name", status->backends[i].name);
		fr_json_number(json, "folders", (int64_t)status->backends[i].folders);
		fr_json_number(json, "files", (int64_t)status->backends[i].files);
		fr_json_close(json, '}');
	}
	fr_json_close(json, ']');
}

void fr_status_json(const struct fr_status *status, struct fr_json *json, const char *key)
{
	const struct fr_tally *tally = &status->tally;

	fr_json_open(json, key, '{');
	fr_json_number(json, "v", FR_STATUS_VERSION);
	fr_json_number(json, "pid", status->pid);
	fr_json_seconds(json, "since", status->since_ms);
	fr_json_string(json, "state", state_of(status));
	fr_json_bool(json, "paused", status->is_paused);
	fr_json_string(json, "action", status->action);
	fr_json_string(json, "reason", status->reason);
	fr_json_number(json, "waiting", (int64_t)status->waiting);
	fr_json_number(json, "batches", tally->batches);
	fr_json_number(json, "reloads", tally->reloads);
	fr_json_number(json, "failures", tally->failures);
	fr_json_number(json, "held", tally->held);
	fr_json_number(json, "ignored", tally->ignored);
	fr_json_number(json, "lost", tally->lost);
	fr_json_number(json, "missed", tally->missed);
	fr_json_number(json, "recovered", tally->recovered);
	fr_json_number(json, "last_ms", tally->last_ms);
	fr_json_number(json, "median_ms", fr_tally_median_ms(tally));
	fr_json_number(json, "events_dropped", (int64_t)status->events_dropped);
	write_last(status, json);
	write_backends(status, json);
	fr_json_close(json, '}');
}

/* ---- for people ---- */

__attribute__((format(printf, 4, 5))) static void add(char *text, size_t size, size_t *used,
						      const char *format, ...)
{
	va_list arguments;

	if (*used >= size)
		return;
	va_start(arguments, format);
	*used += (size_t)vsnprintf(text + *used, size - *used, format, arguments);
	va_end(arguments);
}

static const char *time_of(int64_t at_ms, char *text, size_t size)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm local;

	if (!localtime_r(&seconds, &local) ||
	    strftime(text, size, "%Y-%m-%d %H:%M:%S", &local) == 0)
		snprintf(text, size, "?");
	return text;
}

static void add_last(const struct fr_status *status, char *text, size_t size, size_t *used)
{
	char when[32], what[sizeof(status->last_what) * 4], error[sizeof(status->last_error) * 4];

	if (!status->last_at_ms)
		return;
	add(text, size, used, "last:     %s, %s, %s%s%s\n",
	    time_of(status->last_at_ms, when, sizeof(when)),
	    fr_sentence_path(status->last_what, what, sizeof(what)),
	    status->is_last_failed ? "not reloaded" : "reloaded", status->last_error[0] ? ": " : "",
	    fr_sentence_path(status->last_error, error, sizeof(error)));
}

char *fr_status_text(const struct fr_status *status, char *text, size_t size)
{
	const struct fr_tally *tally = &status->tally;
	char when[32];
	size_t used = 0;

	add(text, size, &used, "state:    %s%s, since %s, master %d\n", state_of(status),
	    status->is_paused && status->is_reloading ? " (paused)" : "",
	    time_of(status->since_ms, when, sizeof(when)), status->pid);
	add(text, size, &used, "a change: %s (%s)\n", status->action, status->reason);
	for (size_t i = 0; i < status->backends_len; i++)
		add(text, size, &used, "watching: %" PRIu64 " folders, %" PRIu64 " files by %s\n",
		    status->backends[i].folders, status->backends[i].files,
		    status->backends[i].name);
	add(text, size, &used,
	    "reloads:  %" PRId64 ", last %" PRId64 " ms, median %" PRId64 " ms\n", tally->reloads,
	    tally->last_ms, fr_tally_median_ms(tally));
	add(text, size, &used,
	    "counts:   %" PRId64 " failed, %" PRId64 " held, %" PRId64 " ignored, %" PRId64
	    " lost, %" PRId64 " missed, %" PRId64 " recovered\n",
	    tally->failures, tally->held, tally->ignored, tally->lost, tally->missed,
	    tally->recovered);
	add_last(status, text, size, &used);
	if (status->waiting)
		add(text, size, &used, "waiting:  %" PRIu64 " files\n", status->waiting);
	return text;
}
