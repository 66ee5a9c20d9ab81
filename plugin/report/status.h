/*
 * status: how things stand, as programs read it and as people do.
 *
 * A flat struct of fixed size, which may lie in shared memory. The caller fills it in.
 */
#ifndef FR_STATUS_H
#define FR_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/tally.h"

struct fr_json;

/* The version of all that is written as JSON; raised when something is taken away or changes its
 * meaning, not when something is added. */
#define FR_STATUS_VERSION 1

#define FR_STATUS_MAX_BACKENDS 8

/* Texts of a status fit, with every byte escaped. */
#define FR_STATUS_TEXT_SIZE 16384

struct fr_status_backend {
	char name[16];
	uint64_t folders, files;
};

struct fr_status {
	struct fr_tally tally;
	int64_t since_ms;   /* CLOCK_REALTIME: this image of the master began to watch */
	int64_t last_at_ms; /* the last reload ended, well or not; 0: none did */
	int pid;
	bool is_paused;
	bool is_reloading;
	bool is_last_failed;
	uint64_t waiting;        /* files in the batch that is being gathered or held */
	uint64_t events_dropped; /* lines that --fastreload-events could not take */
	char action[160];        /* what a change does, and why */
	char reason[160];
	char last_what[200];  /* what had changed before the last reload; "": none was */
	char last_error[512]; /* why it failed; "": it did not */
	struct fr_status_backend backends[FR_STATUS_MAX_BACKENDS];
	size_t backends_len;
};

/* Writes it as one object: the member `key`, or NULL for one without a key. */
void fr_status_json(const struct fr_status *status, struct fr_json *json, const char *key);

/* Writes it for people, a few lines. Returns text. */
char *fr_status_text(const struct fr_status *status, char *text, size_t size);

#endif
