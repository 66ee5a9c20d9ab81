/*
 * uses: which files a process has read so far, and how they looked when it did.
 *
 * What a process has become depends on these files (and on nothing else that is watched): as long
 * as all of them look the same, a copy of the process is as good as a fresh start that would have
 * come to the same point. Looks at the disk; knows no language and no rule.
 */
#ifndef FR_USES_H
#define FR_USES_H

#include <stdbool.h>
#include <stddef.h>

struct fr_stamp;
struct fr_uses;

struct fr_uses_hooks {
	/* Is path (absolute) in a watched folder? Of a folder that is, the entries are compared,
	 * of another its times. */
	bool (*is_watched)(void *ctx, const char *path);
	/* Is the entry at path (absolute, in a watched folder) one that comes and goes without
	 * meaning: an editor's, a cache? */
	bool (*is_noise)(void *ctx, const char *path);
};

/* hooks and ctx are borrowed until fr_uses_free. 0 or -ENOMEM; the caller owns *ret_uses. */
int fr_uses_new(const struct fr_uses_hooks *hooks, void *ctx, struct fr_uses **ret_uses);

/* NULL is fine. */
void fr_uses_free(struct fr_uses *uses);

/*
 * The file or folder at path (borrowed; relative to the current folder if it is not absolute) is
 * being read. Devices and pipes are nothing; what does not exist, or cannot be reached, is noted as
 * that; a cached .pyc counts as its source. The first use counts, later ones of the same path
 * change nothing.
 */
void fr_uses_note(struct fr_uses *uses, const char *path);

/* Somebody has asked for it, and has not read it: as by stat(2). Of a folder, or with is_type,
 * counts only that it is there and remains what it is. Otherwise as fr_uses_note. */
void fr_uses_note_question(struct fr_uses *uses, const char *path, bool is_type);

/* The file at path (absolute, without links) is open and stays so, only to be written to: counts
 * that it remains the same file. */
void fr_uses_note_open(struct fr_uses *uses, const char *path);

/* This process has waited: what it knows of the folders on the way to a file is looked at anew. */
void fr_uses_look_anew(struct fr_uses *uses);

/* Something may have been read of which nothing is known here: then it is never current again. */
void fr_uses_spoil(struct fr_uses *uses);

/* Has nothing spoiled it? */
bool fr_uses_is_complete(const struct fr_uses *uses);

/*
 * The file at path, which has been read, is set aside: how it looks does not count until it is
 * taken back, because somebody else compares what has come of it so far. Whoever reads it once
 * more, or asks about it, means all of it: then it counts again by itself. One at a time. False: it
 * has not been read, or another one is aside.
 */
bool fr_uses_set_aside(struct fr_uses *uses, const char *path);

/* What is aside: borrowed, until fr_uses_free. NULL: nothing is. */
const char *fr_uses_aside(const struct fr_uses *uses);

/* Counts from now on, as it looked when it was first read; or anew, as it looks now, because it is
 * about to be read again. */
void fr_uses_take_back(struct fr_uses *uses, bool anew);

/* Has it been read, or more been asked for than its type? Not of what is aside. path must be
 * absolute. */
bool fr_uses_has(const struct fr_uses *uses, const char *path);

/* Has it been read? path must be absolute. */
bool fr_uses_has_read(const struct fr_uses *uses, const char *path);

enum fr_uses_part {
	FR_USES_ALL,
	FR_USES_WATCHED, /* only what lies in a watched folder, which is seldom much */
};

/*
 * Do the first len that were used, or this part of them, still look the same? *ret_path (may be
 * NULL) names one that does not; borrowed. Never true after something could not be noted.
 */
bool fr_uses_are_current(const struct fr_uses *uses, enum fr_uses_part part, size_t len,
			 const char **ret_path);

/*
 * Calls visit for each file in a watched folder that has been read, and for each link there that
 * was followed. path is absolute, borrowed. stamp, without a hash, is how the file looked when it
 * was first asked about; NULL for a link.
 */
void fr_uses_each_read(const struct fr_uses *uses,
		       void (*visit)(void *ctx, const char *path, const struct fr_stamp *stamp),
		       void *ctx);

/* How many there are. */
size_t fr_uses_len(const struct fr_uses *uses);

#endif
