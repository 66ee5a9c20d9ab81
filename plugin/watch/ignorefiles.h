/*
 * ignorefiles: finds the ignore files of a folder and reads them into decide/ignores.
 *
 * Looks at the disk, and knows where git and people put such files; what their lines mean is
 * decide/ignore's business. It knows no tree and no source: somebody tells it which folder to look
 * at. Whatever lies there under such a name cannot make it wait: only regular files are read, and a
 * bounded number of bytes.
 */
#ifndef FR_IGNOREFILES_H
#define FR_IGNOREFILES_H

#include <stdbool.h>
#include <stddef.h>

#include "decide/ignore.h"

struct fr_ignorefiles;
struct fr_ignores;
struct fr_names;

/* with_git: .gitignore and info/exclude are honoured. complain (may be NULL) hears of lines and
 * files that are not; ctx is its. 0 or -ENOMEM. */
int fr_ignorefiles_new(bool with_git, fr_ignore_complain *complain, void *ctx,
		       struct fr_ignorefiles **ret_files);

/* NULL is fine. */
void fr_ignorefiles_free(struct fr_ignorefiles *files);

/*
 * Adds the file at path, whose lines are relative to each watched folder. For the start: it has to
 * be a regular file in which every line is good. 0, -ENOMEM, or another negative errno with a
 * sentence in error.
 */
int fr_ignorefiles_add(struct fr_ignorefiles *files, const char *path, char *error,
		       size_t error_size);

/* What has been read, borrowed. */
struct fr_ignores *fr_ignorefiles_ignores(struct fr_ignorefiles *files);

/* Reads the files of the folder (absolute path) as they are now. Returns whether something is not
 * as it was; keeps_before as for fr_ignores_set. Blocks as long as the file system does. */
bool fr_ignorefiles_read(struct fr_ignorefiles *files, const char *folder, bool keeps_before);

/* Is it certain that fr_ignorefiles_read would find nothing, and has found nothing before? names:
 * those in the folder. Does not look at the disk. */
bool fr_ignorefiles_has_none(const struct fr_ignorefiles *files, const char *folder,
			     const struct fr_names *names);

/*
 * The same for the folders above a watched one, up to the top of the repository that it lies in;
 * none if it is in no repository, or in one of somebody else: its owner has to be root, this user,
 * or the owner of the watched folder. visit (may be NULL) is told of each of these folders.
 */
bool fr_ignorefiles_read_above(struct fr_ignorefiles *files, const char *root, bool keeps_before,
			       void (*visit)(void *ctx, const char *folder), void *ctx);

/* The folder of info/exclude, if `folder` was found to be the top of a repository and there is one.
 * Writes it to path; false: there is none. */
bool fr_ignorefiles_info(const struct fr_ignorefiles *files, const char *folder, char *path,
			 size_t size);

/* The folder has been left. */
void fr_ignorefiles_forget(struct fr_ignorefiles *files, const char *folder);

/* Is it the name of something that fr_ignorefiles_read looks at? */
bool fr_ignorefiles_is_name(const char *name);

#endif
