/*
 * events: each batch, decision and outcome as one line of JSON. See events.h.
 */
#include "report/events.h"
#include "report/json.h"
#include "report/status.h"

/* Kept free for what comes behind the changes. */
#define FR_EVENTS_TAIL 64

void fr_events_begin(struct fr_json *json, char text[FR_EVENTS_LINE_SIZE], int64_t at_ms,
		     const char *event)
{
	fr_json_begin(json, text, FR_EVENTS_LINE_SIZE);
	fr_json_open(json, NULL, '{');
	fr_json_number(json, "v", FR_STATUS_VERSION);
	fr_json_seconds(json, "time", at_ms);
	fr_json_string(json, "event", event);
}

size_t fr_events_end(struct fr_json *json)
{
	fr_json_close(json, '}');
	fr_json_raw(json, "\n");
	return json->len;
}

void fr_events_changes(struct fr_json *json, const char *const *paths, size_t len,
		       const char *(*kind)(void *ctx, size_t i), void *ctx)
{
	size_t shown = 0;

	json->size -= FR_EVENTS_TAIL;
	fr_json_open(json, "changes", '[');
	for (; shown < len; shown++) {
		struct fr_json_mark mark = fr_json_mark(json);

		fr_json_open(json, NULL, '{');
		fr_json_string(json, "path", paths[shown]);
		fr_json_string(json, "kind", kind(ctx, shown));
		fr_json_close(json, '}');
		if (!json->is_full)
			continue;
		fr_json_go_back(json, mark);
		break;
	}
	json->size += FR_EVENTS_TAIL;
	fr_json_close(json, ']');
	fr_json_number(json, "more", (int64_t)(len - shown));
}

static void write_ms(struct fr_json *json, const char *key, int64_t ms)
{
	if (ms < 0)
		fr_json_string(json, key, NULL);
	else
		fr_json_number(json, key, ms);
}

void fr_events_outcome(struct fr_json *json, const struct fr_events_outcome *outcome)
{
	fr_json_string(json, "result", outcome->is_reloaded ? "reloaded" : "failed");
	write_ms(json, "ms", outcome->total_ms);
	write_ms(json, "settle_ms", outcome->settle_ms);
	write_ms(json, "leave_ms", outcome->leave_ms);
	write_ms(json, "load_ms", outcome->load_ms);
	fr_json_string(json, "error", outcome->error);
	fr_json_bool(json, "has_app", outcome->has_app);
}
