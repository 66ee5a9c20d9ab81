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
#define FR_USES_LEVELS        64
#define FR_USES_LINKS         40 /* as many as Linux follows */

static const char cache_folder[] = "/__pycache__/";

/* How much of a file counts. */
enum depth {
	DEPTH_TYPE,     /* that it is there, and what it is */
	DEPTH_IDENTITY, /* that it is the same file */
	DEPTH_ALL,
};

/* There are thousands, in each process that waits. */
struct use {
	char *path;
	uint64_t dev, ino;
	int64_t size;
	int64_t mtime_ns, ctime_ns;
	uint64_t entries; /* a hash of their names, in any order */
	mode_t type;
	int16_t error; /* why it could not be looked at, mostly ENOENT; 0: it is there */
	uint8_t depth; /* enum depth */
	bool is_watched : 1;
	bool is_listing : 1; /* a watched folder: its entries count, not its times */
	bool is_link : 1;    /* the link itself, not what it leads to */
	bool is_read : 1;    /* more than asked about */
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
	char *plain[FR_USES_PLAIN]; /* folders without a link on the way to them; each has one
				       place, where the last one that came stays; NULL: none */
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
	fr_uses_look_anew(uses);
	free(uses->items);
	free(uses->buckets);
	free(uses);
}

void fr_uses_look_anew(struct fr_uses *uses)
{
	for (size_t i = 0; i < FR_USES_PLAIN; i++) {
		free(uses->plain[i]);
		uses->plain[i] = NULL;
	}
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

static bool is_cached(const char *path)
{
	size_t len = strlen(path);

	return len >= 4 && strcmp(path + len - 4, ".pyc") == 0;
}

/* "/srv/app/__pycache__/views.cpython-311.pyc" is read in place of "/srv/app/views.py". False: it
 * has no name. */
static bool name_source(const char *path, const char *cache, char *ret_source)
{
	const char *name = cache + strlen(cache_folder);
	size_t folder_len = (size_t)(cache - path) + 1;
	size_t name_len = strcspn(name, ".");

	if (!name[name_len])
		return false;
	memcpy(ret_source, path, folder_len);
	memcpy(ret_source + folder_len, name, name_len);
	strcpy(ret_source + folder_len + name_len, ".py"); /* all of it is shorter than path */
	return true;
}

/* Where the folder begins in the path of a cached file; NULL: it is in none. */
static const char *find_cache(const char *path)
{
	const char *last = NULL;

	for (const char *at = strstr(path, cache_folder); at; at = strstr(at + 1, cache_folder))
		last = at;
	return last;
}

/* The source of a cached file exists beside it or not at all. True: it does, path is that now, and
 * st how it looks. */
static bool source_of(struct fr_uses *uses, char *path, struct stat *st)
{
	char source[PATH_MAX];
	const char *cache;

	if (!is_cached(path))
		return false;
	cache = find_cache(path);
	if (!cache) {
		uses->is_incomplete =
			true; /* of what, and where, is not to be known (sys.pycache_prefix) */
		return false;
	}
	if (!name_source(path, cache, source) || stat(source, st) < 0)
		return false;
	strcpy(path, source);
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

static int64_t in_ns(struct timespec time)
{
	return (int64_t)((uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec);
}

static void stamp(struct use *use, const struct stat *st)
{
	use->type = st->st_mode & S_IFMT;
	use->dev = st->st_dev;
	use->ino = st->st_ino;
	use->size = st->st_size;
	use->mtime_ns = in_ns(st->st_mtim);
	use->ctime_ns = in_ns(st->st_ctim);
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

/* Has it as it looks now, unless as much is known of it already. st: how it looks, if there is no
 * error. *ret_is_more: it is new, or more of it counts from now on. NULL: there is no room. */
static struct use *add(struct fr_uses *uses, const char *path, int error, const struct stat *st,
		       enum depth depth, bool *ret_is_more)
{
	uint32_t *bucket = bucket_of(uses, path);
	struct use *use = *bucket ? &uses->items[*bucket - 1] : NULL;
	bool is_full = uses->len == uses->size;

	if (use && *bucket == uses->aside && depth == DEPTH_ALL)
		uses->aside = 0;
	*ret_is_more = !use || (use->depth < depth && !error);
	if (use && *ret_is_more) {
		stamp(use, st);
		use->depth = (uint8_t)depth;
	}
	if (use)
		return use;
	if (uses->len >= FR_USES_MAX || !grow(uses)) {
		uses->is_incomplete = true;
		return NULL;
	}
	use = &uses->items[uses->len];
	*use = (struct use){.path = strdup(path), .error = (int16_t)error, .depth = (uint8_t)depth};
	if (!use->path) {
		uses->is_incomplete = true;
		return NULL;
	}
	if (!error)
		stamp(use, st);
	use->is_watched = uses->hooks->is_watched(uses->ctx, path);
	if (is_full) /* and so they have been made anew */
		bucket = bucket_of(uses, path);
	*bucket = (uint32_t)++uses->len;
	return use;
}

/* ---- where a path leads ---- */

/* A folder that becomes a link later changes what is in it. */
static void note_plain_folder(struct fr_uses *uses, const char *path, size_t len)
{
	uint64_t hash = fr_hash_bytes(FR_HASH_START, path, len);
	char **place = &uses->plain[fr_hash_place(hash, FR_USES_PLAIN)];

	if (*place && strncmp(*place, path, len) == 0 && (*place)[len] == '\0')
		return;
	free(*place);
	*place = strndup(path, len);
}

/* How long the part of path, which is absolute, is that is known to be a folder without a link on
 * the way to it. Most files lie in a folder that another one was read in. */
static size_t plain_len(const struct fr_uses *uses, const char *path)
{
	struct {
		size_t len;
		uint64_t hash;
	} folders[FR_USES_LEVELS];
	uint64_t hash = FR_HASH_START;
	size_t found = 0;

	for (size_t len = 0; path[len] && found < FR_USES_LEVELS; len++) {
		if (path[len] == '/' && len > 0) {
			folders[found].len = len;
			folders[found++].hash = hash;
		}
		hash = fr_hash_bytes(hash, &path[len], 1);
	}
	while (found-- > 0) {
		size_t place = fr_hash_place(folders[found].hash, FR_USES_PLAIN);
		const char *folder = uses->plain[place];
		size_t len = folders[found].len;

		if (folder && strncmp(folder, path, len) == 0 && folder[len] == '\0')
			return len;
	}
	return 0;
}

/* A path on the way to where it leads. */
struct way {
	char *done; /* PATH_MAX: so far there is no link in it, nor "." or ".." */
	size_t len; /* of that */
	char text[PATH_MAX];
	const char *left; /* the rest of it, in text */
	int links;
};

/* The longest part that is known is gone already. */
static void begin(const struct fr_uses *uses, struct way *way)
{
	way->len = plain_len(uses, way->text);
	memcpy(way->done, way->text, way->len);
	way->done[way->len] = '\0';
	way->left = way->text + way->len;
}

static bool is_name(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(text, name, len) == 0;
}

/* The link at way->done is gone next, in place of its name. It can be turned elsewhere, and no file
 * changes by that. 0 or an error of errno(3). */
static int follow(struct fr_uses *uses, struct way *way, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t len = readlink(way->done, target, sizeof(target) - 1);
	struct use *use;
	bool is_more;

	if (len <= 0)
		return ENOENT;
	if (++way->links > FR_USES_LINKS)
		return ELOOP;
	use = add(uses, way->done, 0, st, DEPTH_ALL, &is_more);
	if (use && is_more)
		use->is_link = true;
	if ((size_t)len + strlen(way->left) >= sizeof(target))
		return ENAMETOOLONG;
	strcpy(target + len, way->left);
	strcpy(way->text, target);
	way->left = way->text;
	if (target[0] == '/')
		begin(uses, way);
	else
		way->done[way->len] = '\0';
	return 0;
}

/* One name further, which has len bytes. st: how what it names looks. 0 or an error of errno(3). */
static int go(struct fr_uses *uses, struct way *way, size_t len, struct stat *st)
{
	if (way->len + 1 + len >= PATH_MAX)
		return ENAMETOOLONG;
	way->done[way->len] = '/';
	memcpy(way->done + way->len + 1, way->left, len);
	way->done[way->len + 1 + len] = '\0';
	way->left += len;
	if (lstat(way->done, st) < 0)
		return errno;
	if (S_ISLNK(st->st_mode))
		return follow(uses, way, st);
	way->len += 1 + len;
	if (*way->left && !S_ISDIR(st->st_mode))
		return ENOTDIR;
	if (*way->left)
		note_plain_folder(uses, way->done, way->len);
	return 0;
}

static void go_up(struct way *way)
{
	while (way->len > 0 && way->done[--way->len] != '/')
		;
	way->done[way->len] = '\0';
}

/* As realpath(3), and how it looks: but what is known is not looked at again, and the links on the
 * way are noted. 0 or an error of errno(3); then full is undefined. */
static int resolve(struct fr_uses *uses, const char *path, char *full, struct stat *st)
{
	struct way way = {.done = full};
	bool is_looked_at = false;
	int error = 0;

	if (!absolute(path, way.text))
		return ENAMETOOLONG;
	for (begin(uses, &way); !error;) {
		size_t len;

		way.left += strspn(way.left, "/");
		len = strcspn(way.left, "/");
		if (len == 0)
			break;
		if (is_name(way.left, len, ".") || is_name(way.left, len, "..")) {
			if (len == 2)
				go_up(&way);
			is_looked_at = false;
			way.left += len;
			continue;
		}
		error = go(uses, &way, len, st);
		is_looked_at = true;
	}
	if (error || is_looked_at)
		return error;
	if (way.len == 0)
		strcpy(full, "/");
	return stat(full, st) < 0 ? errno : 0;
}

/* A cached file in a folder that is known counts as the source beside that: nothing else has to be
 * looked at. */
static bool is_source_at_hand(const struct fr_uses *uses, const char *path, char *full,
			      struct stat *st)
{
	const char *cache = is_cached(path) ? find_cache(path) : NULL;

	return cache && strlen(path) < PATH_MAX &&
	       plain_len(uses, path) == (size_t)(strrchr(path, '/') - path) &&
	       name_source(path, cache, full) && lstat(full, st) == 0 && S_ISREG(st->st_mode);
}

/* Where path leads to, with the links on the way noted, and how it looks, or the error. False: the
 * path is too long. */
static bool look_at(struct fr_uses *uses, const char *path, char *full, struct stat *st,
		    int *ret_error)
{
	int error;

	*ret_error = 0;
	if (is_source_at_hand(uses, path, full, st))
		return true;
	error = resolve(uses, path, full, st);
	if (error && !absolute(path, full))
		return false;
	if (!source_of(uses, full, st) && error && stat(full, st) < 0)
		*ret_error = errno;
	return true;
}

void fr_uses_note(struct fr_uses *uses, const char *path)
{
	char full[PATH_MAX];
	size_t len = strlen(path);
	struct stat st;
	struct use *use;
	bool is_more;
	int error;

	/* Python tells of each source twice: when it is opened as code, and as a file. */
	if (strcmp(path, uses->last) == 0 || len >= PATH_MAX)
		return;
	memcpy(uses->last, path[0] == '/' ? path : "", path[0] == '/' ? len + 1 : 1);
	if (!look_at(uses, path, full, &st, &error) ||
	    (!error && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return;
	use = add(uses, full, error, &st, DEPTH_ALL, &is_more);
	if (!use)
		return;
	use->is_read = true;
	if (!is_more || error || !S_ISDIR(st.st_mode) || !use->is_watched)
		return;
	use->is_listing = true;
	if (!hash_entries(uses, full, &use->entries))
		uses->is_incomplete = true;
}

void fr_uses_note_question(struct fr_uses *uses, const char *path, bool is_type)
{
	char full[PATH_MAX];
	struct stat st;
	bool is_more;
	int error;

	if (look_at(uses, path, full, &st, &error))
		(void)add(uses, full, error, &st,
			  !error && (is_type || !S_ISREG(st.st_mode)) ? DEPTH_TYPE : DEPTH_ALL,
			  &is_more);
}

void fr_uses_note_open(struct fr_uses *uses, const char *path)
{
	struct stat st;
	bool is_more;

	(void)add(uses, path, lstat(path, &st) < 0 ? errno : 0, &st, DEPTH_IDENTITY, &is_more);
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
	       in_ns(st.st_mtim) == use->mtime_ns && in_ns(st.st_ctim) == use->ctime_ns;
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
		.mtime_ns = use->mtime_ns,
		.ctime_ns = use->ctime_ns,
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
