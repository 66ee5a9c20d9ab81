/*
 * hot: the files that changed last. See hot.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "watch/hot.h"

static size_t find(const struct fr_hot *hot, const char *path, uint64_t hash)
{
	size_t i = 0;

	while (i < hot->len &&
	       (hot->files[i].hash != hash || strcmp(hot->files[i].path, path) != 0))
		i++;
	return i;
}

/* Takes out the file at a place. */
static struct fr_hot_file take(struct fr_hot *hot, size_t at)
{
	struct fr_hot_file file = hot->files[at];

	memmove(&hot->files[at], &hot->files[at + 1], (hot->len - at - 1) * sizeof(file));
	hot->len--;
	return file;
}

int fr_hot_note(struct fr_hot *hot, const char *path, int64_t changed_ms)
{
	uint64_t hash = fr_hash_text(FR_HASH_START, path);
	struct fr_hot_file file;
	size_t at;

	/* Most of a large tree ends here. */
	if (hot->len == FR_HOT_MAX && changed_ms <= hot->files[hot->len - 1].changed_ms)
		return 0;
	at = find(hot, path, hash);
	if (at < hot->len) {
		if (hot->files[at].changed_ms >= changed_ms)
			return 0;
		file = take(hot, at);
	} else {
		file = (struct fr_hot_file){.path = strdup(path), .hash = hash};
		if (!file.path)
			return -ENOMEM;
		if (hot->len == FR_HOT_MAX)
			free(take(hot, hot->len - 1).path);
	}
	file.changed_ms = changed_ms;
	at = fr_hot_since(hot, changed_ms);
	memmove(&hot->files[at + 1], &hot->files[at], (hot->len - at) * sizeof(file));
	hot->files[at] = file;
	hot->len++;
	return 0;
}

size_t fr_hot_since(const struct fr_hot *hot, int64_t ms)
{
	size_t i = 0;

	while (i < hot->len && hot->files[i].changed_ms > ms)
		i++;
	return i;
}

void fr_hot_clear(struct fr_hot *hot)
{
	while (hot->len > 0)
		free(hot->files[--hot->len].path);
}
