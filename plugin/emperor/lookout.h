/*
 * lookout: the folders that are watched for an Emperor, and the entries in them that matter.
 *
 * The set is given anew at each look at the disk (begin, post, ..., end), and what was not given
 * again is no longer watched. It speaks to a source (watch/source.h) and knows neither the disk nor
 * uWSGI.
 */
#ifndef FR_LOOKOUT_H
#define FR_LOOKOUT_H

#include <stdbool.h>

#include "watch/source.h"

struct fr_lookout;

/*
 * Something happened to an entry that matters; both names are borrowed for the call. folder is NULL
 * where nobody knows to which: events were lost, or a watched folder itself is not what it was.
 */
typedef void fr_lookout_heard(void *ctx, const char *folder, const char *name, enum fr_hint hint);

/* 0, or a negative errno of the source's open(), or -ENOMEM. The caller owns *ret_lookout. */
int fr_lookout_new(const struct fr_source_ops *ops, struct fr_lookout **ret_lookout);

/* NULL is fine. */
void fr_lookout_free(struct fr_lookout *lookout);

/* Readable when fr_lookout_step has something to do. */
int fr_lookout_fd(const struct fr_lookout *lookout);

/* Begins to give the set of folders. */
void fr_lookout_begin(struct fr_lookout *lookout);

/*
 * Watches a folder for the entry of that name, or for those that match it, as glob(3) has it.
 * Whatever happens from now on is heard: look at the disk after that. A folder that is not there is
 * not watched; for other errors see fr_lookout_end.
 */
void fr_lookout_post(struct fr_lookout *lookout, const char *folder, const char *name,
		     bool is_pattern);

/* Ends it. 0, or the first error that left a folder unwatched; *ret_wanted is how many there should
 * be, for the source's explain(). */
int fr_lookout_end(struct fr_lookout *lookout, unsigned long *ret_wanted);

/* Tells what has been heard, a bounded amount of it. 1: there may be more, 0: nothing is left, or a
 * negative errno. Never blocks. */
int fr_lookout_step(struct fr_lookout *lookout, fr_lookout_heard *heard, void *ctx);

#endif
