/*
 * push_due: where to look, and when, after somebody said that something happened there.
 *
 * Word travels faster than a shared file system. NFS, vboxsf, 9p and FUSE answer from a cache of
 * attributes for a while, so what is not there yet when the word comes is looked for again, a few
 * times, further and further apart. A file costs one stat(2). A folder costs all that is below it,
 * and fswatch speaks of folders whenever somebody lists one: so those are looked at only now and
 * then.
 *
 * A table with bounded memory and a clock that is given: it touches no file itself.
 */
#ifndef FR_PUSH_DUE_H
#define FR_PUSH_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most paths that wait to be looked at, and their bytes; if there are more, everything is looked
 * at instead of them. */
#define FR_PUSH_DUE_MAX       4096
#define FR_PUSH_DUE_MAX_BYTES (1024 * 1024)

/* Most looks in one step. */
#define FR_PUSH_DUE_PER_STEP 256

/* Folders rest for so long after a look, or for 10 times as long as that look took. */
#define FR_PUSH_DUE_REST_MS 1000

/* The last look at a path comes so long after the word: a little more than NFS keeps a folder's
 * attributes (nfs(5), acdirmin). */
#define FR_PUSH_DUE_LAST_MS 31100

struct fr_push_due_hooks {
	/* Is it a folder that is known, so that to look at it is to list it? */
	bool (*is_folder)(void *ctx, const char *path);
	void (*look)(void *ctx, const char *path);
	void (*look_everywhere)(void *ctx);
};

struct fr_push_due;

/* hooks are borrowed until fr_push_due_free. 0 or -ENOMEM. */
int fr_push_due_new(const struct fr_push_due_hooks *hooks, void *ctx, struct fr_push_due **ret_due);

/* NULL is fine. */
void fr_push_due_free(struct fr_push_due *due);

/* Something happened at the path, borrowed, or anywhere. Cannot fail: where there is no room,
 * anywhere it is. */
void fr_push_due_note(struct fr_push_due *due, const char *path, int64_t now_ms);
void fr_push_due_note_all(struct fr_push_due *due, int64_t now_ms);

/*
 * Looks where it is time to. is_busy: what was looked at before is still being listed; folders wait
 * until it is not. Returns when to call again, in the same ms; -1: when there is word again.
 */
int64_t fr_push_due_step(struct fr_push_due *due, int64_t now_ms, bool is_busy);

/* How many paths wait; and does anything, everything included? */
size_t fr_push_due_len(const struct fr_push_due *due);
bool fr_push_due_has_any(const struct fr_push_due *due);

#endif
