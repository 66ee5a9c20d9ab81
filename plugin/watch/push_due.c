/*
 * push_due: where to look, and when. See push_due.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "watch/push_due.h"

#define FR_PUSH_DUE_BUCKETS 4096 /* a power of two */
#define FR_PUSH_DUE_PACE_MS 5    /* between two full steps, for the master to do other things */

/*
 * The pauses after the first look, the second, … At 100 ms vboxsf's cache (200 ms) may still be
 * old, at 400 it is not; FUSE and 9p keep attributes for 1 s, NFS those of a file for 3 s at least
 * (nfs(5), acregmin) and of a folder for 30.
 */
static const int pauses_ms[] = {100, 300, 800, 2300, 6600, 21000};

#define FR_PUSH_DUE_ROUNDS (sizeof(pauses_ms) / sizeof(*pauses_ms))

/* Somewhere to look. */
struct place {
	struct place *next; /* in its bucket, or in the free list */
	char *path;         /* NULL: the place is free */
	uint64_t hash;
	int64_t at_ms;
	unsigned round; /* how often it was looked at since the last word */
};

struct fr_push_due {
	const struct fr_push_due_hooks *hooks;
	void *ctx;
	size_t len, bytes;
	size_t cursor; /* where the next step begins, so that all have their turn */
	struct place everywhere;
	bool is_everywhere; /* the above waits */
	bool is_listing;    /* a look at a folder is going on */
	int64_t listing_ms; /* since then */
	int64_t folders_ms; /* folders rest until then */
	struct place *free;
	struct place *buckets[FR_PUSH_DUE_BUCKETS];
	struct place places[FR_PUSH_DUE_MAX];
};

static void forget(struct fr_push_due *due, struct place *place)
{
	struct place **link = &due->buckets[fr_hash_place(place->hash, FR_PUSH_DUE_BUCKETS)];

	while (*link != place)
		link = &(*link)->next;
	*link = place->next;
	due->bytes -= strlen(place->path);
	due->len--;
	free(place->path);
	place->path = NULL;
	place->next = due->free;
	due->free = place;
}

static void forget_all(struct fr_push_due *due)
{
	for (size_t i = 0; i < FR_PUSH_DUE_MAX; i++) {
		if (due->places[i].path)
			forget(due, &due->places[i]);
	}
}

int fr_push_due_new(const struct fr_push_due_hooks *hooks, void *ctx, struct fr_push_due **ret_due)
{
	struct fr_push_due *due = calloc(1, sizeof(*due));

	if (!due)
		return -ENOMEM;
	due->hooks = hooks;
	due->ctx = ctx;
	for (size_t i = FR_PUSH_DUE_MAX; i > 0; i--) {
		due->places[i - 1].next = due->free;
		due->free = &due->places[i - 1];
	}
	*ret_due = due;
	return 0;
}

void fr_push_due_free(struct fr_push_due *due)
{
	if (due)
		forget_all(due);
	free(due);
}

/* FNV can be made to collide on purpose: then a chain is as long as the table, and no longer. */
static struct place *find(const struct fr_push_due *due, const char *path, uint64_t hash)
{
	struct place *place = due->buckets[fr_hash_place(hash, FR_PUSH_DUE_BUCKETS)];

	while (place && (place->hash != hash || strcmp(place->path, path) != 0))
		place = place->next;
	return place;
}

static struct place *add(struct fr_push_due *due, const char *path, uint64_t hash)
{
	struct place *place = due->free;
	size_t len = strlen(path), bucket = fr_hash_place(hash, FR_PUSH_DUE_BUCKETS);

	if (!place || due->bytes + len > FR_PUSH_DUE_MAX_BYTES || !(place->path = strdup(path)))
		return NULL;
	due->free = place->next;
	place->hash = hash;
	place->next = due->buckets[bucket];
	due->buckets[bucket] = place;
	due->bytes += len;
	due->len++;
	return place;
}

/* A place that waits for its first look keeps its time: else a flood would put it off for ever. */
static void wait_from(struct place *place, bool is_new, int64_t now_ms)
{
	if (is_new || place->round > 0)
		place->at_ms = now_ms;
	place->round = 0;
}

void fr_push_due_note(struct fr_push_due *due, const char *path, int64_t now_ms)
{
	uint64_t hash = fr_hash_text(FR_HASH_START, path);
	struct place *place = find(due, path, hash);
	bool is_new = !place;

	if (is_new)
		place = add(due, path, hash);
	if (place) {
		wait_from(place, is_new, now_ms);
		return;
	}
	forget_all(due);
	fr_push_due_note_all(due, now_ms);
}

void fr_push_due_note_all(struct fr_push_due *due, int64_t now_ms)
{
	wait_from(&due->everywhere, !due->is_everywhere, now_ms);
	due->is_everywhere = true;
}

/* When its last look was made: nothing. Else sets the time of the next. */
static bool has_next(struct place *place, int64_t now_ms)
{
	if (place->round == FR_PUSH_DUE_ROUNDS)
		return false;
	place->at_ms = now_ms + pauses_ms[place->round++];
	return true;
}

static void begin_listing(struct fr_push_due *due, int64_t now_ms)
{
	if (!due->is_listing)
		due->listing_ms = now_ms;
	due->is_listing = true;
}

/* Have folders rested? */
static bool may_list(struct fr_push_due *due, int64_t now_ms, bool is_busy)
{
	int64_t rest_ms;

	if (due->is_listing && !is_busy) {
		rest_ms = 10 * (now_ms - due->listing_ms);
		due->folders_ms =
			now_ms + (rest_ms > FR_PUSH_DUE_REST_MS ? rest_ms : FR_PUSH_DUE_REST_MS);
		due->is_listing = false;
	}
	return !due->is_listing && now_ms >= due->folders_ms;
}

static void earlier(int64_t *when_ms, int64_t at_ms)
{
	if (*when_ms < 0 || at_ms < *when_ms)
		*when_ms = at_ms;
}

static void look_at(struct fr_push_due *due, struct place *place, bool is_folder, int64_t now_ms)
{
	if (is_folder)
		begin_listing(due, now_ms);
	due->hooks->look(due->ctx, place->path);
	if (!has_next(place, now_ms))
		forget(due, place);
}

static void look_everywhere(struct fr_push_due *due, int64_t now_ms)
{
	begin_listing(due, now_ms);
	due->hooks->look_everywhere(due->ctx);
	due->is_everywhere = has_next(&due->everywhere, now_ms);
}

/* A folder whose time has come waits for the end of the listing, or of the rest. */
static int64_t next_time(const struct fr_push_due *due, const struct place *place, int64_t now_ms)
{
	if (place->at_ms > now_ms)
		return place->at_ms;
	return due->is_listing ? now_ms + FR_PUSH_DUE_PACE_MS : due->folders_ms;
}

int64_t fr_push_due_step(struct fr_push_due *due, int64_t now_ms, bool is_busy)
{
	bool can_list = may_list(due, now_ms, is_busy);
	int64_t when_ms = -1;
	size_t looks = 0, start = due->cursor;

	if (due->is_everywhere && due->everywhere.at_ms <= now_ms && can_list)
		look_everywhere(due, now_ms);
	for (size_t i = 0; due->len > 0 && i < FR_PUSH_DUE_MAX; i++) {
		struct place *place = &due->places[(start + i) % FR_PUSH_DUE_MAX];
		bool is_folder;

		if (!place->path)
			continue;
		if (place->at_ms <= now_ms && looks == FR_PUSH_DUE_PER_STEP) {
			due->cursor = (start + i) % FR_PUSH_DUE_MAX;
			return now_ms + FR_PUSH_DUE_PACE_MS;
		}
		is_folder = place->at_ms <= now_ms && due->hooks->is_folder(due->ctx, place->path);
		if (place->at_ms <= now_ms && (!is_folder || can_list)) {
			looks++;
			look_at(due, place, is_folder, now_ms);
		}
		if (place->path)
			earlier(&when_ms, next_time(due, place, now_ms));
	}
	if (due->is_listing) /* nobody says when that ends */
		earlier(&when_ms, now_ms + FR_PUSH_DUE_PACE_MS);
	if (due->is_everywhere)
		earlier(&when_ms, next_time(due, &due->everywhere, now_ms));
	return when_ms;
}

size_t fr_push_due_len(const struct fr_push_due *due)
{
	return due->len;
}

bool fr_push_due_has_any(const struct fr_push_due *due)
{
	return due->len > 0 || due->is_everywhere;
}
