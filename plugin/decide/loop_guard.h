/*
 * loop_guard: is it the application itself that changes a file, each time that it is loaded? Then
 * every reload is the cause of the next one.
 *
 * What comes while the application is being loaded may be its own doing, or a developer's who saves
 * faster than it loads, and the first few times nobody can tell. So the guard waits longer and
 * longer between such reloads: a developer stops, and is served; an application does not. Only then
 * is the file held back, until something else changes.
 *
 * It is told what happens and when (in milliseconds of any clock), and knows no disk and no
 * reloads. Plain data without pointers: it is handed over from one image of the master to the next.
 */
#ifndef FR_LOOP_GUARD_H
#define FR_LOOP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An application that writes more files than this is not recognised. */
#define FR_LOOP_GUARD_PATHS 3

/* A longer path is not remembered: its application is not recognised. */
#define FR_LOOP_GUARD_PATH_SIZE 512

struct fr_loop_guard_file {
	char path[FR_LOOP_GUARD_PATH_SIZE]; /* "": none */
	uint32_t rounds;                    /* loads in a row during which it has changed */
	uint32_t is_certain;                /* it is the application's own */
	int64_t load_ms;                    /* when the last of those loads began */
};

struct fr_loop_guard {
	struct fr_loop_guard_file files[FR_LOOP_GUARD_PATHS];
	uint32_t is_held;                     /* those that are certain are held back */
	int64_t load_began_ms, load_ended_ms; /* 0: never; ended before it began: it goes on */
	int64_t load_before_ms;               /* when the load before that one began */
};

/* A load has begun, or ended, well or not. */
void fr_loop_guard_begin(struct fr_loop_guard *guard, int64_t now_ms);
void fr_loop_guard_end(struct fr_loop_guard *guard, int64_t now_ms);

/* A file may have changed: is it one of those that are held back? Then there is nothing to do. */
bool fr_loop_guard_holds(const struct fr_loop_guard *guard, const char *path);

/*
 * These files have changed, and nothing else, the first of them at first_ms: when may a load begin?
 * A time in ms, in the past if it may at once; -1: never for their sake, they are held back from
 * now on (told once).
 */
int64_t fr_loop_guard_judge(struct fr_loop_guard *guard, const char *const *paths, size_t paths_len,
			    int64_t first_ms, int64_t now_ms);

#endif
