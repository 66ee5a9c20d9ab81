/*
 * backend: which source watches which folder, why, and what follows when one can not.
 *
 * It decides by the mount table and by what the user said, adds the folders to the watcher, and
 * moves them to another source when theirs meets a limit, ends, or turns out to be deaf. It says
 * each choice and its reason; it knows no rule and no change.
 */
#ifndef FR_BACKEND_H
#define FR_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_backends;
struct fr_source_ops;
struct fr_watcher;

struct fr_backend_hooks {
	/* What there is to say of the folder at path: text goes on after it, "is polled: …". An
	 * ordinary choice is_usual. */
	void (*say)(void *ctx, const char *path, const char *text, bool is_usual);
	/* An audit has found that the file at path has changed, and no event had told. May be NULL.
	 */
	void (*missed)(void *ctx, const char *path);
};

/* The source of that name; *ret_ops is NULL for "auto". 0, or -EINVAL with a sentence in error. */
int fr_backend_parse(const char *name, const struct fr_source_ops **ret_ops, char *error,
		     size_t error_size);

/*
 * Cuts ",backend=NAME" off the end of a folder as --fastreload-dir has it; any other comma belongs
 * to the path, and so does this one where a '/' follows. *ret_ops is by_default where nothing is
 * cut off. Errors as above.
 */
int fr_backend_parse_folder(char *value, const struct fr_source_ops *by_default,
			    const struct fr_source_ops **ret_ops, char *error, size_t error_size);

/* watcher and hooks are borrowed until fr_backends_free. 0 or a negative errno. */
int fr_backends_new(struct fr_watcher *watcher, const struct fr_backend_hooks *hooks, void *ctx,
		    struct fr_backends **ret_backends);

/* NULL is fine. */
void fr_backends_free(struct fr_backends *backends);

/*
 * Adds a folder by its absolute, resolved path, and the file systems that are mounted below it and
 * need a source of their own. ops: as the user said, or NULL: by what the folder is on. Looks at
 * the mount table only. 0 or a negative errno of the last resort.
 */
int fr_backends_add(struct fr_backends *backends, const char *path,
		    const struct fr_source_ops *ops);

/* The watcher's hook of that name has been called for a path. Returns whether it was a limit, and
 * the folder will be watched otherwise. */
bool fr_backends_trouble(struct fr_backends *backends, const char *path, int error);

/* The watcher's hook of that name has been called. */
void fr_backends_failed(struct fr_backends *backends, const struct fr_source_ops *ops, int error);

/* The watcher's hook of that name has been called. */
void fr_backends_back(struct fr_backends *backends, const struct fr_source_ops *ops);

/* Most descriptors that fr_backends_fds gives. */
#define FR_BACKENDS_MAX_FDS 2

/* All that are open now, for a child to close. Returns their number. NULL is fine.
 * Async-signal-safe. */
size_t fr_backends_fds(const struct fr_backends *backends, int fds[FR_BACKENDS_MAX_FDS]);

/*
 * Moves what is to be moved, sees what was mounted, and has an audit look now and then whether
 * events come at all: a process at idle priority compares the disk with the tree. To be called once
 * a second or more often. now_ms: of a clock that never goes back. is_quiet: all that the watcher
 * noted was verified. Never blocks.
 */
void fr_backends_step(struct fr_backends *backends, int64_t now_ms, bool is_quiet);

/* The process that audits, whose end is worth a step; 0: there is none. */
int fr_backends_pid(const struct fr_backends *backends);

#endif
