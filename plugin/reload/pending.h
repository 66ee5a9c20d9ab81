/*
 * pending: the files whose change no generation has loaded yet.
 *
 * What a request names is gone when slots become free, so it is kept here; and what was not loaded
 * when the next request comes has still changed, so new paths come to the old ones.
 */
#ifndef FR_PENDING_H
#define FR_PENDING_H

#include <stddef.h>

/* Adds paths (absolute, copied); NULL: anything may have changed, and that stays so until
 * fr_pending_forget. So it is with more paths than are worth naming, and without memory. */
void fr_pending_add(const char *const *paths, size_t paths_len);

/* All of them, the newest first; NULL: none is named, and anything may have changed. Borrowed until
 * the next call that adds or forgets. */
const char *const *fr_pending_paths(size_t *ret_len);

/* They have been loaded. */
void fr_pending_forget(void);

#endif
