/*
 * roll: the files that are vassals, and how two moments differ. See roll.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emperor/roll.h"

#define FR_ROLL_FIRST_SIZE 16

void fr_roll_clear(struct fr_roll *roll)
{
	for (size_t i = 0; i < roll->len; i++)
		free(roll->entries[i].name);
	free(roll->entries);
	*roll = (struct fr_roll){0};
}

int fr_roll_add(struct fr_roll *roll, const char *name, const struct stat *st)
{
	if (roll->len == roll->size) {
		size_t size = roll->size ? roll->size * 2 : FR_ROLL_FIRST_SIZE;
		struct fr_roll_entry *entries = realloc(roll->entries, size * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		roll->entries = entries;
		roll->size = size;
	}
	roll->entries[roll->len] = (struct fr_roll_entry){
		.name = strdup(name),
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
		.mtime_s = st->st_mtime,
	};
	if (!roll->entries[roll->len].name)
		return -ENOMEM;
	roll->len++;
	return 0;
}

static int compare(const void *left, const void *right)
{
	return strcmp(((const struct fr_roll_entry *)left)->name,
		      ((const struct fr_roll_entry *)right)->name);
}

static bool is_same(const struct fr_roll_entry *now, const struct fr_roll_entry *then)
{
	return now->dev == then->dev && now->ino == then->ino && now->size == then->size &&
	       now->mtime_ns == then->mtime_ns;
}

void fr_roll_follow(struct fr_roll *roll, struct fr_roll *before)
{
	if (roll->len > 0)
		qsort(roll->entries, roll->len, sizeof(*roll->entries), compare);
	for (size_t i = 0; i < roll->len; i++) {
		struct fr_roll_entry *now = &roll->entries[i];
		const struct fr_roll_entry *then = fr_roll_find(before, now->name);

		if (!then)
			continue;
		now->is_changed = then->is_changed || !is_same(now, then);
		now->forgave_ms = then->forgave_ms;
	}
	fr_roll_clear(before);
}

struct fr_roll_entry *fr_roll_find(const struct fr_roll *roll, const char *name)
{
	const struct fr_roll_entry wanted = {.name = (char *)name};

	if (roll->len == 0)
		return NULL;
	return bsearch(&wanted, roll->entries, roll->len, sizeof(*roll->entries), compare);
}
