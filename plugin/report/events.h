/*
 * events: each batch, decision and outcome as one JSON object on one line.
 *
 * configs/fastreload-events.schema.json describes them; README.rst tells what follows what. Writes
 * into a text; where that goes is lines' business.
 */
#ifndef FR_EVENTS_H
#define FR_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_json;

/* Every line fits; of a batch as many changes as do, and how many more there are. */
#define FR_EVENTS_LINE_SIZE 65536

/* Begins a line: "v", "time" (at_ms, CLOCK_REALTIME) and "event". The caller adds members. */
void fr_events_begin(struct fr_json *json, char text[FR_EVENTS_LINE_SIZE], int64_t at_ms,
		     const char *event);

/* Ends it, with the newline. Returns its length. */
size_t fr_events_end(struct fr_json *json);

/* Adds "changes", an array of {path, kind}, and "more". paths are absolute; kind says the word for
 * each. */
void fr_events_changes(struct fr_json *json, const char *const *paths, size_t len,
		       const char *(*kind)(void *ctx, size_t i), void *ctx);

/* What became of a reload; times in ms, negative ones are not known and become null. */
struct fr_events_outcome {
	bool is_reloaded;
	int64_t total_ms, settle_ms, leave_ms, load_ms;
	const char *error; /* NULL: none */
	bool has_app;      /* the application is loaded; else the workers answer with an error */
};

/* Adds the members of an outcome. */
void fr_events_outcome(struct fr_json *json, const struct fr_events_outcome *outcome);

#endif
