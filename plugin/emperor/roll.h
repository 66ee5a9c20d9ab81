/*
 * roll: the files that are vassals at one moment, and how two such moments differ.
 *
 * Knows no disk, no clock and no uWSGI: it is told what there is, file by file, and compares.
 */
#ifndef FR_ROLL_H
#define FR_ROLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stat;

struct fr_roll_entry {
	char *name; /* owned by the roll */
	dev_t dev;
	ino_t ino;
	off_t size;
	int64_t mtime_ns;
	time_t mtime_s;  /* as uWSGI compares it */
	bool is_changed; /* not as it was before; stays set until the owner of the roll clears it */
	int64_t forgave_ms; /* for the owner: when it last forgave this vassal its failures */
};

/* All zero is an empty roll. */
struct fr_roll {
	struct fr_roll_entry *entries; /* sorted by name after fr_roll_follow */
	size_t len, size;
};

/* Frees what is in the roll and makes it empty. */
void fr_roll_clear(struct fr_roll *roll);

/* Adds a file. name is borrowed. 0 or -ENOMEM. */
int fr_roll_add(struct fr_roll *roll, const char *name, const struct stat *st);

/*
 * Makes `roll`, which was filled since, the successor of `before`: what differs in content or time
 * from what it was there is changed, what is new is not, and what the owner noted stays. Mode and
 * owner do not count: uWSGI looks at those itself. Empties `before`.
 */
void fr_roll_follow(struct fr_roll *roll, struct fr_roll *before);

/* The entry of that name, or NULL. Only after fr_roll_follow. */
struct fr_roll_entry *fr_roll_find(const struct fr_roll *roll, const char *name);

#endif
