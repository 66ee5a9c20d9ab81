/*
 * loop_guard: is it the application itself that changes a file? See loop_guard.h.
 */
#include <string.h>

#include "decide/loop_guard.h"

/* A file written by the first requests, or by a thread, is written a little after the load. */
#define FR_LOOP_GUARD_AFTER_MS 500

/* So many rounds go on at once, those after them with a pause, which doubles; then it is certain.
 */
#define FR_LOOP_GUARD_FREE_ROUNDS 3
#define FR_LOOP_GUARD_ROUNDS      6
#define FR_LOOP_GUARD_PAUSE_MS    1000

void fr_loop_guard_begin(struct fr_loop_guard *guard, int64_t now_ms)
{
	guard->load_before_ms = guard->load_began_ms;
	guard->load_began_ms = now_ms;
}

void fr_loop_guard_end(struct fr_loop_guard *guard, int64_t now_ms)
{
	guard->load_ended_ms = now_ms;
}

/* Was the application being loaded at that time, or just had been? */
static bool is_within_load(const struct fr_loop_guard *guard, int64_t at_ms)
{
	if (guard->load_began_ms == 0 || at_ms < guard->load_began_ms)
		return false;
	return guard->load_ended_ms < guard->load_began_ms ||
	       at_ms <= guard->load_ended_ms + FR_LOOP_GUARD_AFTER_MS;
}

static struct fr_loop_guard_file *find(struct fr_loop_guard *guard, const char *path)
{
	for (size_t i = 0; i < FR_LOOP_GUARD_PATHS; i++) {
		if (*path && strcmp(guard->files[i].path, path) == 0)
			return &guard->files[i];
	}
	return NULL;
}

bool fr_loop_guard_holds(const struct fr_loop_guard *guard, const char *path)
{
	const struct fr_loop_guard_file *file = find((struct fr_loop_guard *)guard, path);

	return guard->is_held && file && file->is_certain;
}

/* A place for a path that is not known yet: that of the one that is least likely to be a loop.
 * NULL: it cannot be remembered. */
static struct fr_loop_guard_file *remember(struct fr_loop_guard *guard, const char *path)
{
	struct fr_loop_guard_file *file = &guard->files[0];

	if (strlen(path) >= FR_LOOP_GUARD_PATH_SIZE)
		return NULL;
	for (size_t i = 1; i < FR_LOOP_GUARD_PATHS; i++) {
		if (guard->files[i].is_certain < file->is_certain ||
		    (guard->files[i].is_certain == file->is_certain &&
		     guard->files[i].rounds < file->rounds))
			file = &guard->files[i];
	}
	if (file->is_certain)
		return NULL;
	memset(file, 0, sizeof(*file));
	strcpy(file->path, path);
	return file;
}

/* The file has changed during the load that was the last one to begin. Returns its rounds. */
static uint32_t count_round(struct fr_loop_guard *guard, const char *path)
{
	struct fr_loop_guard_file *file = find(guard, path);

	if (!file)
		file = remember(guard, path);
	if (!file)
		return 1;
	if (file->load_ms == guard->load_began_ms && file->rounds > 0)
		return file->rounds;
	file->rounds = file->load_ms == guard->load_before_ms ? file->rounds + 1 : 1;
	file->load_ms = guard->load_began_ms;
	file->is_certain |= file->rounds > FR_LOOP_GUARD_ROUNDS;
	return file->is_certain ? FR_LOOP_GUARD_ROUNDS + 1 : file->rounds;
}

/* The file has changed at another time: that was a human, or another program. */
static void forget(struct fr_loop_guard *guard, const char *path)
{
	struct fr_loop_guard_file *file = find(guard, path);

	if (file)
		memset(file, 0, sizeof(*file));
}

int64_t fr_loop_guard_judge(struct fr_loop_guard *guard, const char *const *paths, size_t paths_len,
			    int64_t first_ms, int64_t now_ms)
{
	bool is_own = is_within_load(guard, first_ms);
	uint32_t rounds = FR_LOOP_GUARD_ROUNDS + 1; /* of the file that has the fewest */

	guard->is_held = 0;
	for (size_t i = 0; i < paths_len; i++) {
		uint32_t of_file = 0;

		if (is_own)
			of_file = count_round(guard, paths[i]);
		else
			forget(guard, paths[i]);
		if (of_file < rounds)
			rounds = of_file;
	}
	if (rounds <= FR_LOOP_GUARD_FREE_ROUNDS)
		return now_ms;
	if (rounds <= FR_LOOP_GUARD_ROUNDS)
		return now_ms + ((int64_t)FR_LOOP_GUARD_PAUSE_MS
				 << (rounds - FR_LOOP_GUARD_FREE_ROUNDS - 1));
	guard->is_held = 1;
	return -1;
}
