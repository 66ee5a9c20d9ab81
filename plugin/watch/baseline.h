/*
 * baseline: the contents of all counted files as the application found them.
 *
 * Only with them can a save that changes nothing be told from one that does. Reading them all takes
 * too long for the master, so a child does it, into memory that both see; and what is known
 * survives a full reload in a file descriptor.
 */
#ifndef FR_BASELINE_H
#define FR_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct fr_baseline;
struct fr_tree;

/*
 * Starts a child that reads every file of the tree whose content is not known, or of these at first
 * only those whose names is_first likes (NULL: all); what it finds out is in the tree's hashes at
 * once. The tree is borrowed for the call. 0 with *ret_baseline owned by the caller, and NULL if
 * nothing is left to read; or a negative errno. Goes through the whole tree, and that once: the
 * next time there is nothing left.
 */
int fr_baseline_start(struct fr_tree *tree, bool (*is_first)(const char *name),
		      struct fr_baseline **ret_baseline);

/* The child, for the caller to wait for; 0: there is none at present, or no baseline. */
pid_t fr_baseline_pid(const struct fr_baseline *baseline);

/* The child has ended, as it may. Returns whether there are files left for fr_baseline_read_rest.
 * Otherwise what has not been found out will never be known, and the baseline is of no more use but
 * to be freed. */
bool fr_baseline_child_ended(struct fr_baseline *baseline, struct fr_tree *tree);

/* Starts a child for the files that are left. 0 or a negative errno; then there is none to end.
 * Does nothing else: it may be called in the master's loop. */
int fr_baseline_read_rest(struct fr_baseline *baseline, struct fr_tree *tree);

/* NULL is fine. Does not wait for the child. What that finds out is the tree's. */
void fr_baseline_free(struct fr_baseline *baseline);

/*
 * Writes all known contents to fd, from where it stands, to be read by fr_baseline_load after an
 * exec. 0 or a negative errno. fd should be a memfd: a disk may block.
 */
int fr_baseline_save(struct fr_tree *tree, int fd);

/*
 * Takes what fr_baseline_save wrote, for the files that still look the same. Anything malformed
 * ends the reading: what is not known is only read again. Returns how many files were recognised.
 */
size_t fr_baseline_load(struct fr_tree *tree, int fd);

#endif
