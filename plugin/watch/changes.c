/*
 * changes: turns what may have changed into what has. See changes.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decide/batch.h"
#include "watch/bytecode.h"
#include "watch/changes.h"

#define FR_CHANGES_PER_STEP 200

/* In a storm (a checkout) contents are not compared: new times are enough, and thousands of files
 * are not read by the master. */
#define FR_CHANGES_STORM 1000

int fr_changes_begin(struct fr_changes *changes, struct fr_batch_item *items, size_t items_len)
{
	*changes = (struct fr_changes){.items = items, .items_len = items_len};
	changes->paths = calloc(items_len + 1, sizeof(*changes->paths));
	changes->kinds = calloc(items_len + 1, sizeof(*changes->kinds));
	if (changes->paths && changes->kinds)
		return 0;
	fr_changes_clear(changes);
	return -ENOMEM;
}

bool fr_changes_is_open(const struct fr_changes *changes)
{
	return changes->paths != NULL;
}

static bool is_in_same_folder(const char *a, const char *b)
{
	const char *a_name = strrchr(a, '/'), *b_name = strrchr(b, '/');

	return a_name - a == b_name - b && strncmp(a, b, (size_t)(a_name - a)) == 0;
}

/* In a storm once for each folder, as they come. */
static void drop_bytecode(const struct fr_changes *changes, const char *path)
{
	if (changes->items_len < FR_CHANGES_STORM)
		fr_bytecode_drop(path);
	else if (changes->len == 0 || !is_in_same_folder(changes->paths[changes->len - 1], path))
		fr_bytecode_drop_beside(path);
}

bool fr_changes_step(struct fr_changes *changes, struct fr_watcher *watcher)
{
	size_t end = changes->next + FR_CHANGES_PER_STEP;

	for (; changes->next < changes->items_len && changes->next < end; changes->next++) {
		const struct fr_batch_item *item = &changes->items[changes->next];
		enum fr_change_kind kind = fr_watcher_verify(watcher, item->path, item->was_written,
							     changes->items_len < FR_CHANGES_STORM);

		if (kind == FR_CHANGE_NONE)
			continue;
		/* In a far folder that was done before the change was said. */
		if (kind != FR_CHANGE_TOUCHED && fr_watcher_looks_itself(watcher, item->path))
			drop_bytecode(changes, item->path);
		changes->paths[changes->len] = item->path;
		changes->kinds[changes->len] = kind;
		changes->len++;
	}
	return changes->next < changes->items_len;
}

void fr_changes_clear(struct fr_changes *changes)
{
	fr_batch_items_free(changes->items, changes->items_len);
	free(changes->paths);
	free(changes->kinds);
	*changes = (struct fr_changes){0};
}

const char *fr_change_word(enum fr_change_kind kind)
{
	switch (kind) {
	case FR_CHANGE_ADDED:
		return "added";
	case FR_CHANGE_MODIFIED:
		return "changed";
	case FR_CHANGE_TOUCHED:
		return "touched";
	case FR_CHANGE_REMOVED:
		return "removed";
	case FR_CHANGE_NONE:
		break;
	}
	return "unchanged";
}
