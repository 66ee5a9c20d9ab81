/*
 * uses: which files a process has read so far. See uses.h.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "watch/tree.h"
#include "watch/uses.h"

#define FR_USES_MAX           50000
#define FR_USES_FIRST_BUCKETS 1024 /* a power of two */
#define FR_USES_PLAIN         512  /* likewise */

/* How much of a file counts. */
enum depth {
	DEPTH_TYPE,     /* that it is there, and what it is */
	DEPTH_IDENTITY, /* that it is the same file */
	DEPTH_ALL,
};

struct use {
	char *path;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	bool is_watched;
	int error;       /* why it could not be looked at, mostly ENOENT; 0: it is there */
	bool is_listing; /* a watched folder: its entries count, not its times */
	bool is_link;    /* the link itself, not what it leads to */
	bool is_read;    /* more than asked about */
	enum depth depth;
	mode_t type;
	uint64_t entries; /* a hash of their names, in any order */
};

struct fr_uses {
	const struct fr_uses_hooks *hooks;
	void *ctx;
	struct use *items;
	size_t len, size;
	uint32_t *buckets; /* 1 + index; open addressing, at most half full */
	size_t buckets_len;
	bool is_incomplete;         /* something could not be noted */
	uint32_t aside;             /* 1 + index of what does not count; 0: all does */
	char last[PATH_MAX];        /* was noted last, as read; "": none */
	char *plain[FR_USES_PLAIN]; /* folders that were reached without a link; each has one place,
				       where the last one that came stays; NULL: none */
};

int fr_uses_new(const struct fr_uses_hooks *hooks, void *ctx, struct fr_uses **ret_uses)
{
	struct fr_uses *uses = calloc(1, sizeof(*uses));

	if (!uses)
		return -ENOMEM;
	uses->hooks = hooks;
	uses->ctx = ctx;
	uses->buckets_len = FR_USES_FIRST_BUCKETS;
	uses->buckets = calloc(uses->buckets_len, sizeof(*uses->buckets));
	if (!uses->buckets) {
		free(uses);
		return -ENOMEM;
	}
	*ret_uses = uses;
	return 0;
}

void fr_uses_free(struct fr_uses *uses)
{
	if (!uses)
		return;
	for (size_t i = 0; i < uses->len; i++)
		free(uses->items[i].path);
	for (size_t i = 0; i < FR_USES_PLAIN; i++)
		free(uses->plain[i]);
	free(uses->items);
	free(uses->buckets);
	free(uses);
}

static uint32_t *bucket_of(const struct fr_uses *uses, const char *path)
{
	size_t i = fr_hash_place(fr_hash_text(FR_HASH_START, path), uses->buckets_len);

	while (uses->buckets[i] && strcmp(uses->items[uses->buckets[i] - 1].path, path) != 0)
		i = (i + 1) & (uses->buckets_len - 1);
	return &uses->buckets[i];
}

static bool grow(struct fr_uses *uses)
{
	size_t size = uses->size ? uses->size * 2 : FR_USES_FIRST_BUCKETS / 2;
	struct use *items;
	uint32_t *buckets;

	if (uses->len < uses->size)
		return true;
	items = realloc(uses->items, size * sizeof(*items));
	if (!items)
		return false;
	uses->items = items;
	buckets = calloc(size * 2, sizeof(*buckets));
	if (!buckets)
		return false;
	free(uses->buckets);
	uses->buckets = buckets;
	uses->buckets_len = size * 2;
	uses->size = size;
	for (size_t i = 0; i < uses->len; i++)
		*bucket_of(uses, uses->items[i].path) = (uint32_t)i + 1;
	return true;
}

/* "/srv/app/__pycache__/views.cpython-311.pyc" is read in place of "/srv/app/views.py", which
 * exists beside it or not at all. True: it does, path is that now, and st how it looks. */
static bool source_of(struct fr_uses *uses, char *path, struct stat *st)
{
	static const char cache[] = "/__pycache__/";
	char source[PATH_MAX];
	char *folder_end = NULL, *name, *dot;
	size_t len = strlen(path);

	if (len < 4 || strcmp(path + len - 4, ".pyc") != 0)
		return false;
	for (char *at = strstr(path, cache); at; at = strstr(at + 1, cache))
		folder_end = at;
	if (!folder_end) {
		uses->is_incomplete =
			true; /* of what, and where, is not to be known (sys.pycache_prefix) */
		return false;
	}
	name = folder_end + sizeof(cache) - 1;
	dot = strchr(name, '.');
	if (!dot ||
	    (size_t)snprintf(source, sizeof(source), "%.*s/%.*s.py", (int)(folder_end - path), path,
			     (int)(dot - name), name) >= sizeof(source) ||
	    stat(source, st) < 0)
		return false;
	memcpy(path, source, strlen(source) + 1); /* it is shorter */
	return true;
}

/* The names in a folder, and what they are, without what is noise, as one number; of a folder where
 * all is noise, all of it: whoever lists that one means it. False: it cannot be listed. */
static bool hash_entries(const struct fr_uses *uses, const char *folder, uint64_t *ret_hash)
{
	char path[PATH_MAX];
	struct dirent *entry;
	uint64_t hash = 0, noise = 0;
	bool has_names = false;
	DIR *dir = opendir(folder);

	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		uint64_t name = fr_hash_text(FR_HASH_START + entry->d_type, entry->d_name);

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    strcmp(entry->d_name, "__pycache__") == 0 ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >=
			    sizeof(path))
			continue;
		if (uses->hooks->is_noise(uses->ctx, path)) {
			noise += name;
			continue;
		}
		has_names = true;
		hash += name;
	}
	closedir(dir);
	*ret_hash = has_names ? hash : noise;
	return true;
}

static void stamp(struct use *use, const struct stat *st)
{
	use->type = st->st_mode & S_IFMT;
	use->dev = st->st_dev;
	use->ino = st->st_ino;
	use->size = st->st_size;
	use->mtime = st->st_mtim;
	use->ctime = st->st_ctim;
}

/* The path of what is not there; false: it does not fit. */
static bool absolute(const char *path, char *full)
{
	size_t used = 0;

	if (path[0] != '/') {
		if (!getcwd(full, PATH_MAX - 1))
			return false;
		used = strlen(full);
		full[used++] = '/';
	}
	if (used + strlen(path) >= PATH_MAX)
		return false;
	memcpy(full + used, path, strlen(path) + 1);
	return true;
}

void fr_uses_spoil(struct fr_uses *uses)
{
	uses->is_incomplete = true;
}

bool fr_uses_is_complete(const struct fr_uses *uses)
{
	return !uses->is_incomplete;
}

/* Adds it, unless as much is known of it already. st: how it looks, if there is no error. Returns
 * it if it is new, or more of it counts from now on. */
static struct use *add(struct fr_uses *uses, const char *path, int error, const struct stat *st,
		       enum depth depth)
{
	uint32_t place = *bucket_of(uses, path);
	struct use *use = place ? &uses->items[place - 1] : NULL;

	if (place && place == uses->aside && depth == DEPTH_ALL)
		uses->aside = 0;
	if (use && use->depth < depth && !error) {
		stamp(use, st);
		use->depth = depth;
		return use;
	}
	if (use)
		return NULL;
	if (uses->len >= FR_USES_MAX || !grow(uses)) {
		uses->is_incomplete = true;
		return NULL;
	}
	use = &uses->items[uses->len];
	*use = (struct use){.path = strdup(path), .error = error, .depth = depth};
	if (!use->path) {
		uses->is_incomplete = true;
		return NULL;
	}
	if (!error)
		stamp(use, st);
	use->is_watched = uses->hooks->is_watched(uses->ctx, path);
	*bucket_of(uses, path) = (uint32_t)++uses->len;
	return use;
}

/* The place of the folder that the absolute path is in. */
static char **plain_place(struct fr_uses *uses, const char *path, size_t folder_len)
{
	uint64_t hash = fr_hash_bytes(FR_HASH_START, path, folder_len);

	return &uses->plain[fr_hash_place(hash, FR_USES_PLAIN)];
}

/* path has no link in it, and neither has its folder. A folder that becomes a link later changes
 * what is in it. */
static void note_plain_folder(struct fr_uses *uses, const char *path)
{
	size_t len = (size_t)(strrchr(path, '/') - path);
	char **place = plain_place(uses, path, len);

	if (*place && strncmp(*place, path, len) == 0 && (*place)[len] == '\0')
		return;
	free(*place);
	*place = strndup(path, len);
}

/* How long the part of path is that is known to have no link in it: its folder's, or 0. */
static size_t plain_len(struct fr_uses *uses, const char *path)
{
	const char *slash = path[0] == '/' ? strrchr(path, '/') : NULL;
	size_t len = slash ? (size_t)(slash - path) : 0;
	const char *folder = len > 0 ? *plain_place(uses, path, len) : NULL;

	return folder && strncmp(folder, path, len) == 0 && folder[len] == '\0' ? len : 0;
}

/* Most files lie in a folder that another one was read in: then a look at the file itself is
 * enough. False: that is not so, or it is a link, or not there. */
static bool is_plain(struct fr_uses *uses, const char *path, struct stat *st)
{
	const char *name = path + plain_len(uses, path);

	return name > path && name[1] && strcmp(name, "/.") != 0 && strcmp(name, "/..") != 0 &&
	       lstat(path, st) == 0 && !S_ISLNK(st->st_mode);
}

/* Replaces in path, which is absolute, the link that ends at `end` by what it leads to. False: that
 * does not fit. */
static bool follow(char *path, const char *end, const char *target, size_t target_len)
{
	char rest[PATH_MAX];
	const char *slash = end;

	while (slash[-1] != '/')
		slash--;
	if (target[0] == '/')
		slash = path;
	if ((size_t)(slash - path) + target_len + strlen(end) >= PATH_MAX)
		return false;
	strcpy(rest, end);
	memcpy(path + (slash - path), target, target_len);
	strcpy(path + (slash - path) + target_len, rest);
	return true;
}

/* The links on the way to a file can be turned elsewhere, and neither file changes by that. */
static void note_links(struct fr_uses *uses, const char *path)
{
	char at[PATH_MAX], target[PATH_MAX];
	struct stat st;
	int links = 0;

	if (!absolute(path, at))
		return;
	for (char *end = at + plain_len(uses, at); *end;) {
		struct use *use;
		ssize_t len;
		char kept;

		end += strspn(end, "/");
		end += strcspn(end, "/");
		kept = *end;
		*end = '\0';
		len = lstat(at, &st) == 0 && S_ISLNK(st.st_mode)
			      ? readlink(at, target, sizeof(target) - 1)
			      : -1;
		use = len > 0 ? add(uses, at, 0, &st, DEPTH_ALL) : NULL;
		if (use)
			use->is_link = true;
		*end = kept;
		if (len <= 0)
			continue;
		if (++links > 40 || !follow(at, end, target, (size_t)len))
			return;
		end = at + plain_len(uses, at);
	}
}

/* Where path leads to, with the links on the way noted, and how it looks, or the error. A link that
 * leads nowhere is there all the same for who asks about itself. False: the path is too long. */
static bool look_at(struct fr_uses *uses, const char *path, char *full, struct stat *st,
		    int *ret_error)
{
	char asked[PATH_MAX];
	bool has_links;

	*ret_error = 0;
	if (strlen(path) < PATH_MAX && is_plain(uses, path, st)) {
		strcpy(full, path);
		(void)source_of(uses, full, st);
		return true;
	}
	if (realpath(path, full)) {
		has_links = !absolute(path, asked) || strcmp(asked, full) != 0;
		if (!has_links)
			note_plain_folder(uses, full);
	} else {
		if (!absolute(path, full))
			return false;
		has_links = lstat(full, st) == 0;
	}
	if (has_links)
		note_links(uses, path);
	if (!source_of(uses, full, st) && stat(full, st) < 0)
		*ret_error = errno;
	return true;
}

static void mark_read(struct fr_uses *uses, const char *path)
{
	uint32_t place = *bucket_of(uses, path);

	if (place)
		uses->items[place - 1].is_read = true;
}

void fr_uses_note(struct fr_uses *uses, const char *path)
{
	char full[PATH_MAX];
	struct stat st;
	struct use *use;
	int error;

	/* Python tells of each source twice: when it is opened as code, and as a file. */
	if (strcmp(path, uses->last) == 0)
		return;
	snprintf(uses->last, sizeof(uses->last), "%s", path[0] == '/' ? path : "");
	if (!look_at(uses, path, full, &st, &error) ||
	    (!error && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return;
	use = add(uses, full, error, &st, DEPTH_ALL);
	mark_read(uses, full);
	if (!use || error || !S_ISDIR(st.st_mode) || !use->is_watched)
		return;
	use->is_listing = true;
	if (!hash_entries(uses, full, &use->entries))
		uses->is_incomplete = true;
}

void fr_uses_note_question(struct fr_uses *uses, const char *path, bool is_type)
{
	char full[PATH_MAX];
	struct stat st;
	int error;

	if (look_at(uses, path, full, &st, &error))
		(void)add(uses, full, error, &st,
			  !error && (is_type || !S_ISREG(st.st_mode)) ? DEPTH_TYPE : DEPTH_ALL);
}

void fr_uses_note_open(struct fr_uses *uses, const char *path)
{
	struct stat st;

	(void)add(uses, path, lstat(path, &st) < 0 ? errno : 0, &st, DEPTH_IDENTITY);
}

bool fr_uses_set_aside(struct fr_uses *uses, const char *path)
{
	char full[PATH_MAX];
	uint32_t place = realpath(path, full) ? *bucket_of(uses, full) : 0;

	if (!place || uses->aside || !uses->items[place - 1].is_read)
		return false;
	uses->aside = place;
	uses->last[0] = '\0';
	return true;
}

const char *fr_uses_aside(const struct fr_uses *uses)
{
	return uses->aside ? uses->items[uses->aside - 1].path : NULL;
}

void fr_uses_take_back(struct fr_uses *uses, bool anew)
{
	struct use *use = uses->aside ? &uses->items[uses->aside - 1] : NULL;
	struct stat st;

	uses->aside = 0;
	if (!use || !anew)
		return;
	use->error = stat(use->path, &st) < 0 ? errno : 0;
	if (!use->error)
		stamp(use, &st);
}

bool fr_uses_has(const struct fr_uses *uses, const char *path)
{
	uint32_t place = *bucket_of(uses, path);

	return place && place != uses->aside && uses->items[place - 1].depth == DEPTH_ALL;
}

bool fr_uses_has_read(const struct fr_uses *uses, const char *path)
{
	uint32_t place = *bucket_of(uses, path);

	return place && uses->items[place - 1].is_read;
}

static bool is_current(const struct fr_uses *uses, const struct use *use)
{
	uint64_t entries;
	struct stat st;

	if (use->error)
		return stat(use->path, &st) < 0 && errno == use->error;
	if (use->depth <
	    DEPTH_ALL) /* a link in its place is something else, whatever it leads to */
		return lstat(use->path, &st) == 0 && (st.st_mode & S_IFMT) == use->type &&
		       (use->depth == DEPTH_TYPE ||
			(st.st_ino == use->ino && st.st_dev == use->dev));
	if (use->is_listing)
		return hash_entries(uses, use->path, &entries) && entries == use->entries;
	return (use->is_link ? lstat : stat)(use->path, &st) == 0 && st.st_ino == use->ino &&
	       st.st_dev == use->dev && st.st_size == use->size &&
	       st.st_mtim.tv_sec == use->mtime.tv_sec && st.st_mtim.tv_nsec == use->mtime.tv_nsec &&
	       st.st_ctim.tv_sec == use->ctime.tv_sec && st.st_ctim.tv_nsec == use->ctime.tv_nsec;
}

/* The latest first: that is where people edit. */
bool fr_uses_are_current(const struct fr_uses *uses, enum fr_uses_part part, size_t len,
			 const char **ret_path)
{
	for (size_t i = len < uses->len ? len : uses->len; i > 0; i--) {
		const struct use *use = &uses->items[i - 1];

		if (i == uses->aside || (part == FR_USES_WATCHED && !use->is_watched) ||
		    is_current(uses, use))
			continue;
		if (ret_path)
			*ret_path = use->path;
		return false;
	}
	return !uses->is_incomplete;
}

static struct fr_stamp stamp_of(const struct use *use)
{
	return (struct fr_stamp){
		.dev = (uint32_t)use->dev,
		.ino = use->ino,
		.size = use->size,
		.mtime_ns = (int64_t)use->mtime.tv_sec * 1000000000 + use->mtime.tv_nsec,
		.ctime_ns = (int64_t)use->ctime.tv_sec * 1000000000 + use->ctime.tv_nsec,
	};
}

void fr_uses_each_read(const struct fr_uses *uses,
		       void (*visit)(void *ctx, const char *path, const struct fr_stamp *stamp),
		       void *ctx)
{
	for (size_t i = 0; i < uses->len; i++) {
		const struct use *use = &uses->items[i];
		struct fr_stamp stamp = stamp_of(use);

		if (!use->is_watched || use->error)
			continue;
		if (use->is_link)
			visit(ctx, use->path, NULL);
		else if (use->is_read && use->type == S_IFREG)
			visit(ctx, use->path, &stamp);
	}
}

size_t fr_uses_len(const struct fr_uses *uses)
{
	return uses->len;
}
