/*
 * hot: the files that changed last, the latest first. They are the ones that will change next.
 *
 * A short list of paths. It knows no disk and reads no clock.
 */
#ifndef FR_HOT_H
#define FR_HOT_H

#include <stddef.h>
#include <stdint.h>

#define FR_HOT_MAX 200

struct fr_hot_file {
	char *path; /* owned */
	uint64_t hash;
	int64_t changed_ms;
};

/* The whole struct is the caller's, zeroed at first. */
struct fr_hot {
	struct fr_hot_file files[FR_HOT_MAX]; /* by changed_ms, the latest first */
	size_t len;
};

/* The file at path (copied) changed at a time of any clock. Of more than FR_HOT_MAX, those that
 * changed first are forgotten. 0 or -ENOMEM, with the list as it was. */
int fr_hot_note(struct fr_hot *hot, const char *path, int64_t changed_ms);

/* How many of them changed after a time. */
size_t fr_hot_since(const struct fr_hot *hot, int64_t ms);

/* Frees what it holds. */
void fr_hot_clear(struct fr_hot *hot);

#endif
