/*
 * batch: gathers hints until a save is complete and things are quiet. See batch.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "decide/batch.h"
#include "hash.h"

#define FR_BATCH_FIRST_BUCKETS 64 /* a power of two */

enum state { STATE_COMPLETE, STATE_WRITING, STATE_GONE, STATES };

struct fr_batch {
	struct fr_batch_times times;
	struct fr_batch_item *items;
	uint8_t *states; /* one for each item */
	size_t items_len, items_size;
	uint32_t *buckets; /* 1 + index of an item, or 0; open addressing */
	size_t buckets_len;
	size_t in_state[STATES];
	int64_t last_ms[STATES]; /* the last hint that put an item into that state, or kept it there
				  */
	int64_t first_ms;
	bool overflowed;
};

int fr_batch_new(const struct fr_batch_times *times, struct fr_batch **ret_batch)
{
	struct fr_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return -ENOMEM;
	batch->times = *times;
	*ret_batch = batch;
	return 0;
}

void fr_batch_items_free(struct fr_batch_item *items, size_t items_len)
{
	for (size_t i = 0; i < items_len; i++)
		free(items[i].path);
	free(items);
}

void fr_batch_free(struct fr_batch *batch)
{
	if (!batch)
		return;
	fr_batch_items_free(batch->items, batch->items_len);
	free(batch->states);
	free(batch->buckets);
	free(batch);
}

void fr_batch_set_settle(struct fr_batch *batch, int64_t settle_ms)
{
	batch->times.settle_ms = settle_ms;
}

/* The bucket of path, or the empty one where it would go. */
static uint32_t *bucket_of(const struct fr_batch *batch, const char *path)
{
	size_t i = fr_hash_place(fr_hash_text(FR_HASH_START, path), batch->buckets_len);

	while (batch->buckets[i] && strcmp(batch->items[batch->buckets[i] - 1].path, path) != 0)
		i = (i + 1) & (batch->buckets_len - 1);
	return &batch->buckets[i];
}

/* Makes room for one more item and keeps the buckets at most half full. */
static bool reserve(struct fr_batch *batch)
{
	size_t size = batch->items_size ? batch->items_size * 2 : FR_BATCH_FIRST_BUCKETS / 2;
	struct fr_batch_item *items;
	uint8_t *states;
	uint32_t *buckets;

	if (batch->items_len < batch->items_size)
		return true;
	items = realloc(batch->items, size * sizeof(*items));
	if (!items)
		return false;
	batch->items = items;
	states = realloc(batch->states, size * sizeof(*states));
	if (!states)
		return false;
	batch->states = states;
	buckets = calloc(size * 2, sizeof(*buckets));
	if (!buckets)
		return false;
	free(batch->buckets);
	batch->buckets = buckets;
	batch->buckets_len = size * 2;
	batch->items_size = size;
	for (size_t i = 0; i < batch->items_len; i++)
		*bucket_of(batch, batch->items[i].path) = (uint32_t)i + 1;
	return true;
}

/* The index of the item for path, added if need be; -1: there is no room. */
static ssize_t item_for(struct fr_batch *batch, const char *path)
{
	uint32_t *bucket = batch->buckets ? bucket_of(batch, path) : NULL;
	char *copy;

	if (bucket && *bucket)
		return *bucket - 1;
	if (batch->items_len >= FR_BATCH_MAX_ITEMS || !reserve(batch))
		return -1;
	copy = strdup(path);
	if (!copy)
		return -1;
	batch->items[batch->items_len] = (struct fr_batch_item){.path = copy};
	batch->states[batch->items_len] = STATE_COMPLETE;
	batch->in_state[STATE_COMPLETE]++;
	*bucket_of(batch, path) = (uint32_t)batch->items_len + 1;
	return (ssize_t)batch->items_len++;
}

/* Setting attributes says nothing about whether a write is complete. */
static enum state state_after(enum state before, enum fr_batch_hint hint)
{
	switch (hint) {
	case FR_BATCH_WRITING:
		return STATE_WRITING;
	case FR_BATCH_GONE:
		return STATE_GONE;
	case FR_BATCH_WRITTEN:
		return STATE_COMPLETE;
	case FR_BATCH_ATTRIB:
		break;
	}
	return before;
}

void fr_batch_note(struct fr_batch *batch, const char *path, enum fr_batch_hint hint,
		   int64_t now_ms)
{
	bool was_empty = batch->items_len == 0 && !batch->overflowed;
	ssize_t i = item_for(batch, path);
	enum state state = STATE_COMPLETE;

	if (was_empty)
		batch->first_ms = now_ms;
	if (i < 0) {
		batch->overflowed = true;
	} else {
		state = state_after((enum state)batch->states[i], hint);
		batch->in_state[batch->states[i]]--;
		batch->in_state[state]++;
		batch->states[i] = (uint8_t)state;
		batch->items[i].was_written |= hint == FR_BATCH_WRITING || hint == FR_BATCH_GONE;
	}
	batch->last_ms[state] = now_ms;
}

int64_t fr_batch_deadline_ms(const struct fr_batch *batch)
{
	const int64_t waits[STATES] = {
		[STATE_COMPLETE] = batch->times.settle_ms,
		[STATE_WRITING] = batch->times.writing_ms,
		[STATE_GONE] = batch->times.gone_ms,
	};
	int64_t bound = batch->first_ms + batch->times.bound_ms;
	int64_t deadline = -1;

	if (batch->items_len == 0 && !batch->overflowed)
		return -1;
	for (int state = 0; state < STATES; state++) {
		bool is_used =
			batch->in_state[state] || (state == STATE_COMPLETE && batch->overflowed);

		if (is_used && batch->last_ms[state] + waits[state] > deadline)
			deadline = batch->last_ms[state] + waits[state];
	}
	return deadline < bound ? deadline : bound;
}

size_t fr_batch_len(const struct fr_batch *batch)
{
	return batch->items_len;
}

int64_t fr_batch_first_ms(const struct fr_batch *batch)
{
	return batch->first_ms;
}

int64_t fr_batch_last_ms(const struct fr_batch *batch)
{
	int64_t last_ms = batch->first_ms;

	for (int state = 0; state < STATES; state++) {
		if (batch->last_ms[state] > last_ms)
			last_ms = batch->last_ms[state];
	}
	return last_ms;
}

const char *fr_batch_first_path(const struct fr_batch *batch)
{
	return batch->items_len > 0 ? batch->items[0].path : NULL;
}

size_t fr_batch_take(struct fr_batch *batch, struct fr_batch_item **ret_items, bool *ret_overflowed)
{
	size_t len = batch->items_len;

	*ret_items = batch->items;
	*ret_overflowed = batch->overflowed;
	free(batch->states);
	free(batch->buckets);
	*batch = (struct fr_batch){.times = batch->times};
	return len;
}
