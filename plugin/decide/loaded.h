/*
 * loaded: which files the application has loaded, and which files it writes itself.
 *
 * What git ignores is not to be shared, and the application may depend on it all the same:
 * local_settings.py, .env. So a file that an ignore file names counts if the application has loaded
 * it, and is not one that the application writes: that is its data (see decide/judge).
 *
 * Knows paths; no disk, no process and no rule.
 */
#ifndef FR_LOADED_H
#define FR_LOADED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of more files it is not known that they were loaded. */
#define FR_LOADED_MAX_PATHS 8192
#define FR_LOADED_MAX_BYTES (1024 * 1024) /* of their paths */

/*
 * What is written. Plain data without pointers, all zero at first: it may lie in memory that
 * several processes share, where each notes what it opens, and another one asks. A path may take
 * the place of another one; whoever writes that again notes it again.
 */
#define FR_WRITES_LEN 1024 /* a power of two */

struct fr_writes {
	uint64_t hashes[FR_WRITES_LEN];
};

/* Notes that the file at path (absolute) is opened for writing, or replaced. Never blocks. */
void fr_writes_note(struct fr_writes *writes, const char *path);

struct fr_loaded;

/* writes is borrowed until fr_loaded_free; NULL: nothing is known of that. 0 or -ENOMEM; the caller
 * owns *ret_loaded. */
int fr_loaded_new(const struct fr_writes *writes, struct fr_loaded **ret_loaded);

/* NULL is fine. */
void fr_loaded_free(struct fr_loaded *loaded);

/* The application has loaded the file at path (absolute, copied). 1: that was not known; 0: it was;
 * -ENOSPC: there are too many; or -ENOMEM. */
int fr_loaded_add(struct fr_loaded *loaded, const char *path);

/* Has the application loaded it? It remains true for one that a later load does not read. NULL for
 * loaded is fine: nothing is known. */
bool fr_loaded_has(const struct fr_loaded *loaded, const char *path);

/* Does the application write it? Only asked of files that it has loaded; a stranger may pass for
 * one, with the same hash. */
bool fr_loaded_is_written(const struct fr_loaded *loaded, const char *path);

/* Returns whether this is the first time that this is called for path, which has been loaded. */
bool fr_loaded_is_first_time(struct fr_loaded *loaded, const char *path);

/* Grows whenever fr_loaded_bump is called: what other processes have of this is outdated. */
uint32_t fr_loaded_version(const struct fr_loaded *loaded);
void fr_loaded_bump(struct fr_loaded *loaded);

#endif
