/*
 * walk: all files of a tree, one after the other, packed or not.
 *
 * For who only wants to know how they are: nothing is unpacked, nothing is allocated.
 */
#ifndef FR_WALK_H
#define FR_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "watch/packed.h"
#include "watch/tree.h"

/* The struct is the caller's. While the walk goes on no file may come or go, nor be packed or
 * unpacked. */
struct fr_walk {
	/* The file at hand. */
	struct fr_node *folder; /* that it is in */
	const char *name;
	struct fr_stamp stamp; /* with the hash, also where only the tree's hashes have it */
	uint32_t hash_number;  /* in these, or 0 */

	/* Of the walk. */
	const struct fr_hashes *hashes;
	const struct fr_node *top;
	struct fr_node *node; /* met last: a folder whose packed files are at hand, or a file */
	struct fr_unpacker unpacker;
	uint32_t next_packed;
	bool is_alone; /* of `top`, without the roots after it */
	bool is_flat;  /* without the folders below it */
};

/* Begins before the first file: of the whole tree, of all that is below a folder, or of the folder
 * alone. Borrows the tree. */
void fr_walk_begin(struct fr_walk *walk, const struct fr_tree *tree);
void fr_walk_begin_below(struct fr_walk *walk, const struct fr_tree *tree, struct fr_node *top);
void fr_walk_begin_in(struct fr_walk *walk, const struct fr_tree *tree, struct fr_node *folder);

/* Goes to the next file; false: there is none. */
bool fr_walk_next(struct fr_walk *walk);

#endif
