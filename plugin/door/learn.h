/*
 * learn: what the application has loaded counts, also where an ignore file names it.
 *
 * Joins what a load tells of itself (reload/census) with who judges (decide/loaded) and who
 * compares (watch/watcher).
 */
#ifndef FR_LEARN_H
#define FR_LEARN_H

#include <stdbool.h>

struct fr_changes;

/* There is a nursery, which will tell (post_init). */
void fr_learn_open(void);

/* Once in every turn: takes in what a load has told. */
void fr_learn_turn(void);

/* In a worker that is asked about the file at path: what its load has told the master, it knows
 * from that load itself. */
void fr_learn_in_worker(const char *path);

/* Says of each of these files, once, why it counts, if that is because it was loaded. */
void fr_learn_say(const struct fr_changes *changes);

#endif
