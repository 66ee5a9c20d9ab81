/*
 * scan: lists folders and compares them with the tree, a bounded number of entries at a time.
 *
 * The one mechanism behind the start, new folders, lost events and lost watches: look at the
 * folder, enter what the rules enter, and either record what is there (baseline) or say what
 * differs (compare). It knows no source and no clock; it reports through hooks.
 */
#ifndef FR_SCAN_H
#define FR_SCAN_H

#include <stdbool.h>
#include <stdint.h>

struct fr_folder_facts;
struct fr_ignorefiles;
struct fr_judge;
struct fr_node;
struct fr_rules;
struct fr_stamp;
struct fr_tree;

/* No name came to the folder and none went: what is known to be in it is looked at, and it is not
 * listed. */
#define FR_SCAN_KNOWN 1

struct fr_scan_hooks {
	/* The folder is about to be listed: watch it now, so that nothing can slip in between. 0,
	 * FR_SCAN_KNOWN or a negative errno. */
	int (*enter)(void *ctx, struct fr_node *folder, const char *path);
	/* The file at path is new or not as it was (is_gone: it is missing). The tree still has it
	 * as it was; it, and nothing else, may be removed. */
	void (*differs)(void *ctx, const char *path, bool is_gone);
	/* The file at path is in the tree now, as stamp says, and that is no difference. May be
	 * NULL. */
	void (*recorded)(void *ctx, const char *path, const struct fr_stamp *stamp);
	/* An ignore file leaves out the file at path from now on: it is about to be removed from
	 * the tree. May be NULL. */
	void (*dropped)(void *ctx, const char *path);
	/* The folder is not there any more, or the rules no longer enter it. */
	void (*left)(void *ctx, struct fr_node *folder);
	/* The folder could not be watched or listed, or only in part; error is a negative errno,
	 * never one that means "gone". */
	void (*trouble)(void *ctx, const char *path, int error);
	/* In the folder at path, one that is not watched otherwise, an ignore file is looked for
	 * that has a say in watched folders. May be NULL. `folder` is the one that asked for it. */
	void (*beyond)(void *ctx, struct fr_node *folder, const char *path);
};

struct fr_scan;

/* Everything given is borrowed until fr_scan_free. 0 or -ENOMEM. */
int fr_scan_new(struct fr_tree *tree, const struct fr_rules *rules,
		const struct fr_scan_hooks *hooks, void *ctx, struct fr_scan **ret_scan);

/* NULL is fine. */
void fr_scan_free(struct fr_scan *scan);

/* Honours ignore files from now on: those of a folder are read each time before it is listed. What
 * an ignore file that has changed leaves out is left without a report, and what one does not leave
 * out any more is recorded: neither is a difference. files is borrowed until fr_scan_free. */
void fr_scan_use_ignorefiles(struct fr_scan *scan, struct fr_ignorefiles *files);

/* Who says what counts: the rules, and the ignore files as they were read. */
const struct fr_judge *fr_scan_judge(const struct fr_scan *scan);

/* The ignore files of the folder at path (in the tree, folder) may have changed. If they have, the
 * folder is queued, with all below it. */
void fr_scan_read_ignorefiles(struct fr_scan *scan, struct fr_node *folder);

/* Queues a folder, with all below it. is_compare: report differences; else record what is there.
 * Cheap if it is queued already. */
void fr_scan_push(struct fr_scan *scan, struct fr_node *folder, bool is_compare);

/* The same for the folder alone, and for those folders in it that are new, with all below them. */
void fr_scan_push_alone(struct fr_scan *scan, struct fr_node *folder);

/* Looks at no more than max_entries directory entries. Returns whether more is waiting. Blocks only
 * as long as the file system does. */
bool fr_scan_step(struct fr_scan *scan, unsigned max_entries);

/* Is something queued or half listed? */
bool fr_scan_is_busy(const struct fr_scan *scan);

/* Looks up what the rules want to know of the folder `name`, relative to dirfd. */
void fr_scan_facts(int dirfd, const char *name, struct fr_folder_facts *ret_facts);

/*
 * Is the folder at path (relative points to the part of it below the root) entered from the one
 * above, as the disk has it now? By the rules, and unless it is a root itself: no file is in the
 * tree twice.
 */
bool fr_scan_enters(const struct fr_scan *scan, const char *path, const char *relative);

/* Must be called before a folder is removed from the tree or given up, and before a file is removed
 * by anybody but the hooks: stops looking at it. Constant time. */
void fr_scan_forget(struct fr_scan *scan, struct fr_node *node);

#endif
