/*
 * packed: the files of a folder in which nothing happens, in as few bytes as their names and stamps
 * take: some twenty each, where a node of the tree takes seven times as much.
 *
 * A form and nothing more: it knows no tree and no disk. Nothing is lost in it; what repeats from
 * one file to the next (the device, most of an inode number and of a time) is left out.
 */
#ifndef FR_PACKED_H
#define FR_PACKED_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watch/tree.h"

struct fr_packed; /* on the heap, for free() */

/* What is being packed. The struct is the caller's, zeroed at first; what is in it is ours. */
struct fr_packer {
	unsigned char *bytes;
	size_t len, size;
	uint32_t count;
	struct fr_stamp last;
};

/* Adds a file. 0, -ENOMEM, or -ENAMETOOLONG for a name that no file system has; the packer is as it
 * was then. */
int fr_packer_add(struct fr_packer *packer, const char *name, const struct fr_stamp *stamp);

/* Takes what was added: 0 with *ret_packed, owned by the caller, and NULL if that was nothing; or
 * -ENOMEM. The packer is empty then. */
int fr_packer_end(struct fr_packer *packer, struct fr_packed **ret_packed);

/* Forgets what was added, and keeps the memory for what comes next. */
void fr_packer_reset(struct fr_packer *packer);

/* Frees what it holds. */
void fr_packer_clear(struct fr_packer *packer);

/* How many files there are; none in NULL. */
uint32_t fr_packed_count(const struct fr_packed *packed);

/* A walk through packed files in the order in which they were added. */
struct fr_unpacker {
	const unsigned char *at;
	uint32_t left;
	struct fr_stamp stamp;   /* of the file at hand */
	char name[NAME_MAX + 1]; /* "" before the first */
};

/* Begins before the first one. packed (NULL: there is none) is borrowed as long as the walk goes.
 */
void fr_unpacker_init(struct fr_unpacker *unpacker, const struct fr_packed *packed);

/* Goes to the next file; false: that was the last. */
bool fr_unpacker_next(struct fr_unpacker *unpacker);

#endif
