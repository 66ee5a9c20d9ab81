/*
 * content: how a file looks now: its stamp and, if it is small enough, a hash of what is in it.
 *
 * Looks at the disk; knows no tree, no rule and no event.
 */
#ifndef FR_CONTENT_H
#define FR_CONTENT_H

#include <stdbool.h>

struct fr_stamp;
struct stat;

/* Larger files are not read: any new time or size of theirs is a change. */
#define FR_CONTENT_MAX_BYTES (1024 * 1024)

/*
 * Stamps the regular file at path, links followed, relative to dirfd (AT_FDCWD for none); with_hash
 * also reads it. 0; -ENOENT where there is no regular file of that name (now): nothing, a folder, a
 * socket, a link to nothing. Another negative errno otherwise, with *ret_stamp untouched. A file
 * that cannot be read, is too large, or changes while it is read, has no hash. Reads at most
 * FR_CONTENT_MAX_BYTES; never waits for a FIFO or a lock.
 */
int fr_content_stamp(int dirfd, const char *path, bool with_hash, struct fr_stamp *ret_stamp);

/* Same inode, size and times? (Says nothing about a stamp that is_fresh.) */
bool fr_content_same_stamp(const struct fr_stamp *a, const struct fr_stamp *b);

/* Both hashes are known and say that nothing changed? */
bool fr_content_same_hash(const struct fr_stamp *a, const struct fr_stamp *b);

#endif
