/*
 * changes: turns what may have changed into what has, a bounded number of files at a time.
 *
 * Asks the watcher about each path of a batch and keeps the ones that changed. Knows nothing of
 * what follows from them.
 */
#ifndef FR_CHANGES_H
#define FR_CHANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "watch/watcher.h"

struct fr_batch_item;

/* The whole struct is the caller's, zeroed at first and again by fr_changes_clear. */
struct fr_changes {
	struct fr_batch_item *items; /* to be verified; owned */
	size_t items_len, next;
	const char **paths;         /* of the files that changed; they point into items */
	enum fr_change_kind *kinds; /* one for each path */
	size_t len;
};

/* Takes the items (owned from here on). 0 or -ENOMEM, with the items freed. */
int fr_changes_begin(struct fr_changes *changes, struct fr_batch_item *items, size_t items_len);

/* Verifies a few hundred more. Returns whether there are more. Contents of Python's stale caches go
 * with the change of their source. */
bool fr_changes_step(struct fr_changes *changes, struct fr_watcher *watcher);

/* Is there something begun and not cleared? */
bool fr_changes_is_open(const struct fr_changes *changes);

/* Frees what it holds. */
void fr_changes_clear(struct fr_changes *changes);

/* "changed", "added", …; static. */
const char *fr_change_word(enum fr_change_kind kind);

#endif
