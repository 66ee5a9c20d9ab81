/*
 * batch: gathers hints until a save is complete and things are quiet, and says when that is.
 *
 * Knows no disk and reads no clock: every call is told the time, in milliseconds of any clock that
 * never goes back.
 */
#ifndef FR_BATCH_H
#define FR_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_batch;

/* How long to wait for more, after the last hint of each kind. */
struct fr_batch_times {
	int64_t settle_ms; /* after a complete write: of quiet, before acting */
	int64_t gone_ms; /* after a file disappeared: many editors save by moving the old file away
			    first */
	int64_t writing_ms; /* after a write that nobody has closed yet */
	int64_t bound_ms;   /* after the first hint, whatever comes in */
};

enum fr_batch_hint {
	FR_BATCH_WRITING, /* not complete */
	FR_BATCH_WRITTEN,
	FR_BATCH_ATTRIB,
	FR_BATCH_GONE,
};

struct fr_batch_item {
	char *path;       /* owned by whoever owns the item */
	bool was_written; /* not only its attributes were set */
};

/* More paths than this are not kept one by one: the batch says that it overflowed, and the taker
 * compares everything. */
#define FR_BATCH_MAX_ITEMS 20000

/* times is copied. 0 or -ENOMEM. */
int fr_batch_new(const struct fr_batch_times *times, struct fr_batch **ret_batch);

/* NULL is fine. */
void fr_batch_free(struct fr_batch *batch);

/* Changes how long a complete write is waited on, for what is in the batch, too. */
void fr_batch_set_settle(struct fr_batch *batch, int64_t settle_ms);

/* Takes a hint about path (borrowed). What does not fit in memory marks the batch as overflowed. */
void fr_batch_note(struct fr_batch *batch, const char *path, enum fr_batch_hint hint,
		   int64_t now_ms);

/* How many files are in it. */
size_t fr_batch_len(const struct fr_batch *batch);

/* When it will be ready if nothing else comes; -1: it is empty. In the past: it is ready. */
int64_t fr_batch_deadline_ms(const struct fr_batch *batch);

/* When the first hint came; meaningful if it is not empty. */
int64_t fr_batch_first_ms(const struct fr_batch *batch);

/* When the last hint came; meaningful if it is not empty. */
int64_t fr_batch_last_ms(const struct fr_batch *batch);

/* The path of the first hint, borrowed until fr_batch_take; NULL if there is none. */
const char *fr_batch_first_path(const struct fr_batch *batch);

/*
 * Empties the batch. The caller owns *ret_items (free each path, then the array), which are in the
 * order of their first hints; *ret_overflowed: there was more than that. Returns their number.
 */
size_t fr_batch_take(struct fr_batch *batch, struct fr_batch_item **ret_items,
		     bool *ret_overflowed);

/* Frees what fr_batch_take gave; NULL is fine. */
void fr_batch_items_free(struct fr_batch_item *items, size_t items_len);

#endif
