/*
 * content: how a file looks now. See content.h.
 */
#define _GNU_SOURCE /* O_NOATIME */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "watch/content.h"
#include "watch/tree.h"

/* Kernels before 6.13 stamp files with a clock that ticks every 1 to 10 ms: a second write in the
 * same tick leaves the same times. */
#define FR_CONTENT_FRESH_NS (50 * 1000000LL)

static int64_t to_ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000000LL + time->tv_nsec;
}

/* The largest that is read takes about a millisecond. */
static int hash_all(int fd, uint64_t *ret_hash)
{
	uint64_t hash = FR_HASH_START;
	size_t total = 0;
	unsigned char bytes[16384];
	ssize_t len;

	while ((len = read(fd, bytes, sizeof(bytes))) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		total += (size_t)len;
		if (total > FR_CONTENT_MAX_BYTES)
			return -EFBIG;
		hash = fr_hash_bytes(hash, bytes, (size_t)len);
	}
	*ret_hash = hash & (UINT64_MAX >> (64 - FR_STAMP_HASH_BITS));
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return to_ns(&now);
}

/* before_ns is the time before the file was looked at: a write can follow the look at once, and the
 * next clock reading may be late. */
static void stamp_from(const struct stat *st, int64_t before_ns, struct fr_stamp *ret_stamp)
{
	*ret_stamp = (struct fr_stamp){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime_ns = to_ns(&st->st_mtim),
		.ctime_ns = to_ns(&st->st_ctim),
	};
	ret_stamp->is_fresh = before_ns - ret_stamp->ctime_ns < FR_CONTENT_FRESH_NS;
}

/* Nobody should see that we have read it, ourselves the least: the time of the last reading tells a
 * save from a `touch` (outpost). Only the owner of a file may ask for that, open(2). */
static int open_unseen(int dirfd, const char *path)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = openat(dirfd, path, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(dirfd, path, flags) : fd;
}

/* Adds the hash, if the file stays the one that was stamped while it is read. */
static void add_hash(int dirfd, const char *path, struct fr_stamp *stamp)
{
	struct fr_stamp opened, closed;
	struct stat st;
	uint64_t hash;
	int64_t before_ns = now_ns();
	int fd = open_unseen(dirfd, path);

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		stamp_from(&st, before_ns, &opened);
		if (hash_all(fd, &hash) == 0 && fstat(fd, &st) == 0) {
			stamp_from(&st, before_ns, &closed);
			if (fr_content_same_stamp(&opened, &closed)) {
				*stamp = opened;
				stamp->hash = hash;
				stamp->has_hash = true;
			}
		}
	}
	close(fd);
}

int fr_content_stamp(int dirfd, const char *path, bool with_hash, struct fr_stamp *ret_stamp)
{
	struct stat st;
	int64_t before_ns = now_ns();

	if (fstatat(dirfd, path, &st, 0) < 0)
		return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	stamp_from(&st, before_ns, ret_stamp);
	if (with_hash && st.st_size <= FR_CONTENT_MAX_BYTES)
		add_hash(dirfd, path, ret_stamp);
	return 0;
}

bool fr_content_same_stamp(const struct fr_stamp *a, const struct fr_stamp *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool fr_content_same_hash(const struct fr_stamp *a, const struct fr_stamp *b)
{
	return a->has_hash && b->has_hash && a->size == b->size && a->hash == b->hash;
}
