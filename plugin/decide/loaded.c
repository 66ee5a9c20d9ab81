/*
 * loaded: which files the application has loaded, and which files it writes itself. See loaded.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decide/loaded.h"
#include "hash.h"

#define FR_LOADED_BUCKETS (2 * FR_LOADED_MAX_PATHS) /* a power of two; at most half full */

struct item {
	char *path;
	bool is_mentioned;
};

struct fr_loaded {
	const struct fr_writes *writes;
	struct item items[FR_LOADED_MAX_PATHS];
	uint16_t buckets[FR_LOADED_BUCKETS]; /* 1 + index; open addressing */
	size_t len, bytes;
	uint32_t version;
};

/* ---- what is written ---- */

static uint64_t hash_of(const char *path)
{
	return fr_hash_text(FR_HASH_START, path) | 1; /* 0 is an empty place */
}

void fr_writes_note(struct fr_writes *writes, const char *path)
{
	uint64_t hash = hash_of(path);

	__atomic_store_n(&writes->hashes[fr_hash_place(hash, FR_WRITES_LEN)], hash,
			 __ATOMIC_RELEASE);
}

bool fr_loaded_is_written(const struct fr_loaded *loaded, const char *path)
{
	uint64_t hash = hash_of(path);

	return loaded && loaded->writes &&
	       __atomic_load_n(&loaded->writes->hashes[fr_hash_place(hash, FR_WRITES_LEN)],
			       __ATOMIC_ACQUIRE) == hash;
}

/* ---- what is loaded ---- */

int fr_loaded_new(const struct fr_writes *writes, struct fr_loaded **ret_loaded)
{
	struct fr_loaded *loaded = calloc(1, sizeof(*loaded));

	if (!loaded)
		return -ENOMEM;
	loaded->writes = writes;
	*ret_loaded = loaded;
	return 0;
}

void fr_loaded_free(struct fr_loaded *loaded)
{
	if (!loaded)
		return;
	for (size_t i = 0; i < loaded->len; i++)
		free(loaded->items[i].path);
	free(loaded);
}

/* Its place in the buckets, or the one where it would be. */
static size_t place_of(const struct fr_loaded *loaded, const char *path)
{
	size_t place = fr_hash_place(fr_hash_text(FR_HASH_START, path), FR_LOADED_BUCKETS);

	while (loaded->buckets[place] &&
	       strcmp(loaded->items[loaded->buckets[place] - 1].path, path) != 0)
		place = (place + 1) & (FR_LOADED_BUCKETS - 1);
	return place;
}

int fr_loaded_add(struct fr_loaded *loaded, const char *path)
{
	size_t place = place_of(loaded, path), size = strlen(path) + 1;
	char *copy;

	if (loaded->buckets[place])
		return 0;
	if (loaded->len == FR_LOADED_MAX_PATHS || loaded->bytes + size > FR_LOADED_MAX_BYTES)
		return -ENOSPC;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	loaded->items[loaded->len++].path = copy;
	loaded->bytes += size;
	loaded->buckets[place] = (uint16_t)loaded->len;
	return 1;
}

bool fr_loaded_has(const struct fr_loaded *loaded, const char *path)
{
	return loaded && loaded->buckets[place_of(loaded, path)] != 0;
}

bool fr_loaded_is_first_time(struct fr_loaded *loaded, const char *path)
{
	uint16_t bucket = loaded->buckets[place_of(loaded, path)];
	struct item *item = bucket ? &loaded->items[bucket - 1] : NULL;

	if (!item || item->is_mentioned)
		return false;
	item->is_mentioned = true;
	return true;
}

uint32_t fr_loaded_version(const struct fr_loaded *loaded)
{
	return loaded ? loaded->version : 0;
}

void fr_loaded_bump(struct fr_loaded *loaded)
{
	loaded->version++;
}
