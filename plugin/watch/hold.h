/*
 * hold: is somebody at work on the watched files who will say when it is done? Git has a lock file
 * while it writes a work tree, Mercurial a lock, and the user may name files of their own.
 *
 * It looks at lock files and knows nothing of what is held back for their sake.
 */
#ifndef FR_HOLD_H
#define FR_HOLD_H

#include <stdint.h>

/* After so long without any change, a lock of git or Mercurial is one that nobody will remove: its
 * owner has crashed, or waits for an editor. */
#define FR_HOLD_STALE_MS 10000

struct fr_hold;

enum fr_hold_verdict {
	FR_HOLD_GO,     /* nobody is */
	FR_HOLD_SETTLE, /* a rebase or a merge is not finished: it may go on at once, or wait for a
			   human */
	FR_HOLD_WAIT,   /* there is a lock */
	FR_HOLD_STALE,  /* once for each lock: it was there for FR_HOLD_STALE_MS, and counts no more
			 */
};

/* 0 or -ENOMEM; the caller owns *ret_hold. */
int fr_hold_new(struct fr_hold **ret_hold);

/* NULL is fine. */
void fr_hold_free(struct fr_hold *hold);

/* Waits, too, while the file exists, however long; path is absolute and copied. 0 or -ENOMEM. */
int fr_hold_add_file(struct fr_hold *hold, const char *path);

/*
 * Looks at the user's files, and at the locks of the working copy that holds the changed file at
 * path (absolute; NULL: not known). quiet_ms: how long ago the last change was. *ret_file: what the
 * verdict rests on, valid until the next call; NULL for GO. A few dozen system calls; blocks only
 * as long as that file system does.
 */
enum fr_hold_verdict fr_hold_look(struct fr_hold *hold, const char *path, int64_t quiet_ms,
				  const char **ret_file);

#endif
