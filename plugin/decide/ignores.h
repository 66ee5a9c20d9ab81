/*
 * ignores: what all ignore files say about a path, folder by folder, as git goes about it.
 *
 * Knows which files apply to a path and which of them decides. Knows no disk (watch/ignorefiles
 * reads the files) and nothing of other rules: an ignore file can only leave out.
 *
 * From the root down each folder on the way to a path is asked about, and then the path itself; the
 * first that is ignored decides. For one name, the last line that matches decides, in this order:
 * the repository's info/exclude, the .gitignore files, the .reloadignore files (of each kind the
 * deepest last), the files of the user's options. The git files of a repository say nothing about a
 * repository inside of it, save whether its folder is ignored.
 */
#ifndef FR_IGNORES_H
#define FR_IGNORES_H

#include <stdbool.h>
#include <stddef.h>

#include "decide/ignore.h"

struct fr_ignores;
struct fr_loaded;

/* The files that a folder may have. A later one decides over an earlier one. */
enum fr_ignores_kind {
	FR_IGNORES_EXCLUDE, /* info/exclude of the repository whose top this folder is */
	FR_IGNORES_GIT,     /* .gitignore */
	FR_IGNORES_RELOAD,  /* .reloadignore */
	FR_IGNORES_KINDS,
};

/* All files together; more are refused with -EFBIG, so that a strange tree does not take all
 * memory.
 */
#define FR_IGNORES_MAX_BYTES (1024 * 1024)

/* 0 or -ENOMEM; the caller owns *ret_ignores. */
int fr_ignores_new(struct fr_ignores **ret_ignores);

/* NULL is fine. */
void fr_ignores_free(struct fr_ignores *ignores);

/* Adds a file (taken, also on failure) whose lines are relative to each watched folder, behind
 * those added before. 0 or -ENOMEM. */
int fr_ignores_add(struct fr_ignores *ignores, struct fr_ignore *file);

/*
 * The file of that kind in the folder (absolute path, borrowed) is this one now (taken, also on
 * failure; NULL: there is none). 0, -ENOMEM or -EFBIG: then there is none. keeps_before: what it
 * was is still wanted, see fr_ignores_judge.
 */
int fr_ignores_set(struct fr_ignores *ignores, const char *folder, enum fr_ignores_kind kind,
		   struct fr_ignore *file, bool keeps_before);

/* The file that was set, borrowed, or NULL. */
const struct fr_ignore *fr_ignores_get(const struct fr_ignores *ignores, const char *folder,
				       enum fr_ignores_kind kind);

/* Was anything set for the folder, and not forgotten? */
bool fr_ignores_knows(const struct fr_ignores *ignores, const char *folder);

/* Which files the application has loaded (borrowed from now on; NULL: nothing is known): for
 * whoever judges by these files, see decide/judge. */
void fr_ignores_use_loaded(struct fr_ignores *ignores, const struct fr_loaded *loaded);
const struct fr_loaded *fr_ignores_loaded(const struct fr_ignores *ignores);

/* Is the folder a repository's top? As fr_ignores_set. */
int fr_ignores_set_repository(struct fr_ignores *ignores, const char *folder, bool is_repository,
			      bool keeps_before);
bool fr_ignores_is_repository(const struct fr_ignores *ignores, const char *folder);

/* Forgets all about this folder, which has been left, but not about those below it. */
void fr_ignores_forget(struct fr_ignores *ignores, const char *folder);

/* What was before is not wanted any more. Cheap if there is nothing. */
void fr_ignores_settle(struct fr_ignores *ignores);

/*
 * Is what is at path ignored? path is absolute and relative points to the part of it below its
 * watched folder, which was named by the user and is not judged itself, nor are those above it.
 * *ret_line is the line that decides, valid until a file is set or forgotten; where none does, its
 * text is NULL. A line that takes back is told as well. was: as it was before the files that
 * were set with keeps_before.
 *
 * Remembers the folder it was last asked about, so that its entries are cheap. Never blocks; where
 * memory is short, nothing is ignored.
 */
bool fr_ignores_judge(struct fr_ignores *ignores, const char *path, const char *relative,
		      bool is_folder, bool was, struct fr_ignore_line *ret_line);

#endif
