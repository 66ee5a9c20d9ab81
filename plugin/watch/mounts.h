/*
 * mounts: which file systems there are, where, and whether this kernel sees all that happens in
 * them.
 *
 * Reads the mount table (proc(5), mountinfo) and never a watched disk, which may not answer.
 */
#ifndef FR_MOUNTS_H
#define FR_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct fr_mount {
	char *point; /* absolute; owned */
	char type[32];
	bool has_device; /* a block device of this host */
};

/* The struct is the caller's; what it points to is given back by fr_mounts_clear. */
struct fr_mounts {
	struct fr_mount *list; /* the later one hides the earlier one at the same point */
	size_t len;
};

/* Reads a table in the form of /proc/self/mountinfo; lines that are not in it are passed over. 0 or
 * -ENOMEM. */
int fr_mounts_parse(FILE *table, struct fr_mounts *ret_mounts);

/* The same from /proc/self/mountinfo; or the negative errno of opening it. */
int fr_mounts_read(struct fr_mounts *ret_mounts);

void fr_mounts_clear(struct fr_mounts *mounts);

/* What the absolute, resolved path is on, or NULL. Borrowed from mounts. */
const struct fr_mount *fr_mounts_of(const struct fr_mounts *mounts, const char *path);

/* Is it a mount point below the folder that can be seen, not hidden by a later one? */
bool fr_mounts_is_below(const struct fr_mounts *mounts, const struct fr_mount *mount,
			const char *folder);

/* Can it change without this kernel's doing, so that no event tells? One that nobody knows can,
 * unless it is on a device of this host. */
bool fr_mount_is_remote(const struct fr_mount *mount);

/* The same for what the path is on; false where the table cannot be read. */
bool fr_mounts_are_remote(const char *path);

#endif
