/*
 * watcher: the watched folders as a whole. It joins a source, the tree, the scan and the rules, and
 * answers two questions: which files may have changed (hints, by fr_watcher_step), and which of
 * them really have (fr_watcher_verify).
 *
 * It knows no clock, and nothing of what a change leads to.
 */
#ifndef FR_WATCHER_H
#define FR_WATCHER_H

#include <stdbool.h>
#include <stddef.h>

#include "watch/source.h"

struct fr_ignorefiles;
struct fr_judge;
struct fr_rules;
struct fr_stamp;
struct fr_tree;
struct fr_verdict;
struct fr_watcher;

enum fr_change_kind {
	FR_CHANGE_NONE,
	FR_CHANGE_ADDED,
	FR_CHANGE_MODIFIED,
	FR_CHANGE_TOUCHED, /* new times, same content, and nobody wrote: somebody's `touch` */
	FR_CHANGE_REMOVED,
};

struct fr_watcher_hooks {
	/* A counted file may have changed. path is absolute, borrowed. hint is one of WRITING,
	 * WRITTEN, ATTRIB, GONE. */
	void (*note)(void *ctx, const char *path, enum fr_hint hint);
	/* A folder could not be watched or listed; error is a negative errno for
	 * fr_watcher_explain. */
	void (*trouble)(void *ctx, const char *path, int error);
	/* The source dropped events; all that it watches is being compared with the disk. */
	void (*lost)(void *ctx, const struct fr_source_ops *ops);
	/* The source sees nothing any more; error is a negative errno of its step(). May call
	 * fr_watcher_move_root. */
	void (*failed)(void *ctx, const struct fr_source_ops *ops, int error);
	/* A file was written to or is gone that would count but for the line of an ignore file
	 * which the verdict names. May be NULL. */
	void (*ignored)(void *ctx, const char *path, const struct fr_verdict *verdict);
	/* One that had failed sees again: folders that were moved to another source may come back,
	 * by fr_watcher_move_root. */
	void (*back)(void *ctx, const struct fr_source_ops *ops);
	/* There is something to say of the folder: text goes on after its path, "answers again". */
	void (*say)(void *ctx, const char *path, const char *text);
	/* Any file was written to or is gone that does not count, by that verdict, those of
	 * `ignored` among them. May be NULL. */
	void (*skipped)(void *ctx, const char *path, const struct fr_verdict *verdict);
};

/* Most kinds of sources that one watcher can have. */
#define FR_WATCHER_MAX_SOURCES 8

/* rules and hooks are borrowed until fr_watcher_free. 0 or a negative errno: no descriptor is left,
 * or no memory. */
int fr_watcher_new(const struct fr_rules *rules, const struct fr_watcher_hooks *hooks, void *ctx,
		   struct fr_watcher **ret_watcher);

/* NULL is fine. In a forked child it only closes what the child has inherited. */
void fr_watcher_free(struct fr_watcher *watcher);

/* Honours ignore files (borrowed until fr_watcher_free), also when they change: that alone is no
 * change of any file. Before the first folder is added. */
void fr_watcher_use_ignorefiles(struct fr_watcher *watcher, struct fr_ignorefiles *files);

/*
 * Adds a folder by its absolute, resolved path, to be watched by a source of the kind ops (borrowed
 * for ever); one that is there already is ignored. Later than fr_watcher_arm, all that is in it is
 * new. All folders of one kind share a source. 0,
 * -ENOMEM or a negative errno of the source's open().
 */
int fr_watcher_add_root(struct fr_watcher *watcher, const char *path,
			const struct fr_source_ops *ops);

/* Has the folder, one that was added, watched by a source of another kind from now on, and compares
 * it with the disk. Errors as above: it is watched as before then. */
int fr_watcher_move_root(struct fr_watcher *watcher, const char *path,
			 const struct fr_source_ops *ops);

/* What the folder is watched by, or NULL if it was not added. */
const struct fr_source_ops *fr_watcher_ops_of(const struct fr_watcher *watcher, const char *path);

/*
 * Watches all folders and records how every counted file looks. For the start only: blocks until
 * all is listed. 0, or the first error that left a folder unwatched (the others are watched); every
 * one went to trouble().
 */
int fr_watcher_arm(struct fr_watcher *watcher);

#define FR_WATCHER_SAVED_SIZE 8192

/*
 * What the sources of the next image need to go on where these stand, after the exec of a full
 * reload, as NUL-terminated text; "" if they need nothing. restore borrows that text, or any other,
 * as long as sources are opened; to be called before the first fr_watcher_add_root.
 */
void fr_watcher_save(const struct fr_watcher *watcher, char text[FR_WATCHER_SAVED_SIZE]);
void fr_watcher_restore(struct fr_watcher *watcher, const char *text);

/* Readable when fr_watcher_step has something to do. One descriptor, the same for ever. */
int fr_watcher_fd(const struct fr_watcher *watcher);

/* Most descriptors that fr_watcher_fds gives. */
#define FR_WATCHER_MAX_FDS 64

/* All descriptors that are open now, that of fr_watcher_fd among them: for a forked child to close,
 * or for an exec to be told of. Returns their number. Async-signal-safe. */
size_t fr_watcher_fds(const struct fr_watcher *watcher, int fds[FR_WATCHER_MAX_FDS]);

/* Makes the calling process the one that reads events (after a fork that the master itself goes
 * through). */
void fr_watcher_own(struct fr_watcher *watcher);

/*
 * Takes a bounded amount of events and of listing. Returns whether there is more to do at once,
 * without waiting for the descriptor; until it is false, what has been noted may be only a part of
 * the truth.
 */
bool fr_watcher_step(struct fr_watcher *watcher);

/* Compares everything with the disk, from the next step on. */
void fr_watcher_rescan(struct fr_watcher *watcher);

/*
 * Somebody says that something happened at an absolute path, or below it: looks there, from the
 * next step on. Returns whether it is in a watched folder; any other path is not looked at, nor is
 * one that is not in its plain form ("//", ".", "..").
 */
bool fr_watcher_look(struct fr_watcher *watcher, const char *path);

/*
 * What has really become of the file at path since it was last verified (or since the start)? Looks
 * at the disk and remembers what it saw. was_written: somebody wrote to it, so the same content is
 * no change; else new times are a `touch`. with_hash: compare the content, too (reads up to 1 MiB);
 * without, new times mean MODIFIED.
 */
enum fr_change_kind fr_watcher_verify(struct fr_watcher *watcher, const char *path,
				      bool was_written, bool with_hash);

/*
 * The file at path counts from now on, which the judge knows already, as it was when it looked like
 * stamp (NULL: as it is now). What has become of it since is noted, from the next step on. Returns
 * false where it has counted before, or is in no folder that is entered. Blocks as long as the file
 * system does.
 */
bool fr_watcher_learn(struct fr_watcher *watcher, const char *path, const struct fr_stamp *stamp);

/* Does the watcher look at the disk there itself? If not, a source does, because it may take for
 * ever. */
bool fr_watcher_looks_itself(const struct fr_watcher *watcher, const char *path);

/* Writes a sentence about an error of add_root, arm or trouble(): which limit, its value, what
 * would be right. */
void fr_watcher_explain(const struct fr_watcher *watcher, const struct fr_source_ops *ops,
			int error, char *text, size_t text_size);

/* The path below its watched folder, for people; points into path. */
const char *fr_watcher_relative(const struct fr_watcher *watcher, const char *path);

/* How many folders are watched, and how many files count. */
size_t fr_watcher_folders(const struct fr_watcher *watcher);
size_t fr_watcher_files(const struct fr_watcher *watcher);

/* The ignore files that it honours, borrowed, or NULL. */
struct fr_ignorefiles *fr_watcher_ignorefiles(const struct fr_watcher *watcher);
/* What each source watches. */
struct fr_watcher_backend {
	const char *name; /* static */
	size_t folders, files;
};

/* Writes one for each source that watches, and returns their number. Where there are several it
 * counts all that is watched, one by one. */
size_t fr_watcher_backends(const struct fr_watcher *watcher,
			   struct fr_watcher_backend backends[FR_WATCHER_MAX_SOURCES]);

/* By what files count, borrowed. */
const struct fr_judge *fr_watcher_judge(const struct fr_watcher *watcher);

/* The tree, borrowed: for the baseline. */
struct fr_tree *fr_watcher_tree(struct fr_watcher *watcher);

/* The rules that were given, borrowed. */
const struct fr_rules *fr_watcher_rules(const struct fr_watcher *watcher);

#endif
