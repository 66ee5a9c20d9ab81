/*
 * outpost: the process that looks at a disk in the master's place. See outpost.h.
 *
 * Three jobs at three paces: the files edited last, ten times a second; those that changed lately,
 * five times a second, with their folders; and the whole tree, in slices. Each job measures what it
 * costs and waits long enough to stay below its share. Where memory is short it ends: the master
 * starts another one, which finds what this one has not said.
 */
#define _GNU_SOURCE /* statx */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "decide/judge.h"
#include "decide/rules.h"
#include "watch/bytecode.h"
#include "watch/content.h"
#include "watch/hot.h"
#include "watch/ignorefiles.h"
#include "watch/mounts.h"
#include "watch/outpost.h"
#include "watch/scan.h"
#include "watch/tree.h"
#include "watch/walk.h"

/* Of its share of one core the walk has one half, and the two jobs for what changed lately have the
 * other. Of a slow disk's time, in parts of a thousand, they have this. */
#define FR_OUTPOST_HOT_WALL  100
#define FR_OUTPOST_WALK_WALL 150
#define FR_OUTPOST_URGENT    500 /* of both, while somebody waits */

#define FR_OUTPOST_EDITED     16     /* so many files are looked at most often … */
#define FR_OUTPOST_EDITED_MS  600000 /* … for so long after their last change */
#define FR_OUTPOST_EDITED_GAP 100
#define FR_OUTPOST_HOT_GAP    200
#define FR_OUTPOST_WALK_GAP   100
#define FR_OUTPOST_ENTRIES    16   /* of a walk between two looks at the clock */
#define FR_OUTPOST_SLICE_CPU  4000 /* microseconds */
#define FR_OUTPOST_SLICE_WALL 25000

/* A file that was just written is looked at once more before it is said to be complete; an empty
 * one may be about to be filled. One that is written all the time is said at last. */
#define FR_OUTPOST_SETTLE_MS       20
#define FR_OUTPOST_EMPTY_SETTLE_MS 100
#define FR_OUTPOST_BOUND_MS        1000

/* File systems count time in ticks of up to 2 s (FAT): so long after a change equal times prove
 * nothing. By our own clock, because a server has another. */
#define FR_OUTPOST_TICK_MS 3000

/* A folder is listed when its times move, and so often all the same: there are servers that do not
 * keep them. */
#define FR_OUTPOST_LIST_MS 60000

/* After somebody else said that something happened: at once, and until a network file system's
 * cache must have let go of what it had. */
static const int again_ms[] = {0, 300, 1000, 2500, 5000};

#define FR_OUTPOST_AGAIN (sizeof(again_ms) / sizeof(*again_ms))
#define FR_OUTPOST_ASKED 64

struct job {
	int64_t due_ms;
	int gap_ms;
	unsigned cpu, wall; /* parts of a thousand */
};

/* A file whose writer may not be done. */
struct unsettled {
	struct unsettled *next;
	int64_t first_ms, due_ms;
	enum fr_hint hint;
	char path[];
};

struct asked {
	char *path; /* NULL: none */
	size_t stage;
	int64_t due_ms;
};

static struct {
	struct fr_outpost with;
	struct fr_scan *scan;
	struct fr_hot hot;
	struct job edited, recent, walk;
	struct unsettled *unsettled_first, *unsettled_last;
	struct asked asked[FR_OUTPOST_ASKED];
	int64_t pass_ms; /* when the walk began */
	bool is_walking; /* in the middle of a walk */
	bool is_through; /* a walk has ended, and what it found is not all said */
	bool is_urgent;  /* somebody waits for the end of this walk */
	bool must_list;  /* no folder is believed to be as it was */
	bool is_remote;  /* ask the server, not what is remembered here */
	uint32_t round;  /* of looking at recent files */
} post;

static int64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static unsigned larger(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/* ---- the master ---- */

/* What follows may take for ever. */
static void touching(const struct fr_node *root)
{
	__atomic_store_n(&post.with.pulse->root, (uintptr_t)root, __ATOMIC_RELAXED);
	__atomic_store_n(&post.with.pulse->busy_ms, now_ms(), __ATOMIC_RELEASE);
}

static void touched(void)
{
	__atomic_store_n(&post.with.pulse->busy_ms, 0, __ATOMIC_RELEASE);
}

/* The disk answers, and there is more to ask. */
static void still_touching(void)
{
	if (post.with.pulse->busy_ms)
		__atomic_store_n(&post.with.pulse->busy_ms, now_ms(), __ATOMIC_RELEASE);
}

/* Waits for the master, whose own slowness is not the disk's. */
static void say(const char *path, enum fr_hint hint, int error, const struct fr_stamp *stamp)
{
	struct fr_finding finding = {.error = error, .hint = hint};
	size_t path_size = strlen(path) + 1;
	int64_t busy_ms = post.with.pulse->busy_ms;

	if (path_size > sizeof(finding.path))
		return;
	if (stamp)
		finding.stamp = *stamp;
	memcpy(finding.path, path, path_size);
	touched();
	if (send(post.with.fd, &finding, offsetof(struct fr_finding, path) + path_size,
		 MSG_NOSIGNAL) < 0)
		_exit(0); /* the master has gone */
	if (busy_ms)
		__atomic_store_n(&post.with.pulse->busy_ms, now_ms(), __ATOMIC_RELEASE);
}

/* ---- files ---- */

static struct fr_node *root_of(const struct fr_node *node)
{
	while (node->parent)
		node = node->parent;
	return (struct fr_node *)(uintptr_t)node;
}

int fr_outpost_has_root(const struct fr_outpost *outpost, const struct fr_node *root,
			unsigned *count)
{
	if (root->kind != FR_NODE_FOLDER || root->source != outpost->source)
		return 0;
	return (*count)++ % outpost->parts == outpost->part;
}

static struct fr_node *next_root(struct fr_node *root, unsigned *count)
{
	root = root ? root->next : fr_tree_roots(post.with.tree);
	while (root && !fr_outpost_has_root(&post.with, root, count))
		root = root->next;
	return root;
}

#define for_each_root(root, count)                                                                 \
	for (root = next_root(NULL, (count = 0, &count)); root; root = next_root(root, &count))

/* The root of ours that the path is below, or NULL; innermost, so that no file is two's. */
static struct fr_node *our_root(const char *path, const char **ret_rest)
{
	const struct fr_node *found = fr_tree_root_of(post.with.tree, path, ret_rest);
	struct fr_node *root;
	unsigned count;

	for_each_root(root, count)
	{
		if (root == found)
			return root;
	}
	return NULL;
}

static void note_hot(const char *path, int64_t changed_ms)
{
	if (fr_hot_note(&post.hot, path, changed_ms) < 0)
		_exit(1);
}

static void forget(struct fr_node *node)
{
	fr_scan_forget(post.scan, node);
	fr_tree_remove(post.with.tree, node);
}

static void say_gone(struct fr_node *file, const char *path)
{
	say(path, FR_HINT_GONE, -ENOENT, NULL);
	note_hot(path, now_ms());
	forget(file);
}

/* Network file systems look at the server when a file is opened (close-to-open), and when they are
 * told to (statx(2), AT_STATX_FORCE_SYNC). */
static void ask_server(const char *path, int flags)
{
	struct statx unused;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);

	if (fd < 0)
		return;
	(void)statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &unused);
	close(fd);
}

static int64_t to_ns(const struct statx_timestamp *time)
{
	return time->tv_sec * 1000000000LL + time->tv_nsec;
}

/*
 * New times and the same content: has somebody saved it again, or touched it? touch(1) sets both
 * times to the same, or to the one that it was told; a writer moves mtime and ctime, and leaves
 * atime another; and a new file of that name is nobody's touch. (now: before we read the file,
 * which moves atime.)
 */
static bool is_touched(const struct fr_stamp *before, const struct statx *now)
{
	int64_t mtime = to_ns(&now->stx_mtime);

	if (before->ino != now->stx_ino ||
	    (now->stx_mask & STATX_BTIME && to_ns(&now->stx_btime) > before->ctime_ns))
		return false;
	return mtime != to_ns(&now->stx_ctime) || mtime == to_ns(&now->stx_atime);
}

static void await_settling(const char *path, enum fr_hint hint, const struct fr_stamp *stamp,
			   struct unsettled *entry)
{
	int64_t now = now_ms();
	size_t size = strlen(path) + 1;

	if (!entry) {
		entry = malloc(sizeof(*entry) + size);
		if (!entry)
			_exit(1);
		entry->first_ms = now;
		memcpy(entry->path, path, size);
	}
	entry->next = NULL;
	entry->hint = hint;
	entry->due_ms = now + (stamp->size ? FR_OUTPOST_SETTLE_MS : FR_OUTPOST_EMPTY_SETTLE_MS);
	if (post.unsettled_last)
		post.unsettled_last->next = entry;
	else
		post.unsettled_first = entry;
	post.unsettled_last = entry;
}

static bool counts(const char *path)
{
	struct fr_verdict verdict;
	const char *rest;

	if (!our_root(path, &rest) || *rest == '\0')
		return false;
	fr_judge_file(fr_scan_judge(post.scan), path, rest, false, &verdict);
	return verdict.counts;
}

/* The file is not as the tree has it, or it is not in the tree. now: before it was read. */
static void take_change(struct fr_node *file, const char *path, const struct statx *now,
			const struct fr_stamp *stamp)
{
	enum fr_hint hint = FR_HINT_WRITTEN;

	if (!file) {
		struct fr_node *folder = fr_tree_folder_of(post.with.tree, path);

		file = folder ? fr_tree_add(post.with.tree, folder, strrchr(path, '/') + 1,
					    FR_NODE_FILE)
			      : NULL;
		if (!file)
			_exit(1);
	} else if (fr_content_same_hash(&file->stamp, stamp) || !file->stamp.has_hash) {
		if (is_touched(&file->stamp, now))
			hint = FR_HINT_ATTRIB;
	}
	file->stamp = *stamp;
	file->is_settling = true;
	note_hot(path, now_ms());
	await_settling(path, hint, stamp, NULL);
}

/*
 * Looks at the file at path (absolute, and not in the tree's own buffer). with_content: equal times
 * prove nothing.
 */
static void look_at_file(const char *path, bool with_content)
{
	struct fr_node *file = fr_tree_file(post.with.tree, path);
	struct fr_stamp stamp;
	struct statx now = {0};
	int error;

	if (file ? file->is_settling : !counts(path))
		return; /* it is waited for, or it is nothing to us */
	if (post.is_remote)
		ask_server(path, 0);
	if (file && !with_content) {
		error = fr_content_stamp(-1, path, false, &stamp);
		if (!error && !file->stamp.is_fresh && fr_content_same_stamp(&file->stamp, &stamp))
			return;
	}
	(void)statx(-1, path, 0, STATX_BASIC_STATS | STATX_BTIME, &now);
	error = fr_content_stamp(-1, path, true, &stamp);
	if (error == -ENOENT && file)
		say_gone(file, path);
	if (error)
		return;
	if (file && fr_content_same_stamp(&file->stamp, &stamp) &&
	    (!file->stamp.has_hash || !stamp.has_hash ||
	     fr_content_same_hash(&file->stamp, &stamp))) {
		if (stamp.has_hash || !file->stamp.has_hash)
			file->stamp = stamp;
		else
			file->stamp.is_fresh = stamp.is_fresh;
		return;
	}
	if (!file && !fr_tree_folder_of(post.with.tree, path))
		return;
	if (now.stx_mask && to_ns(&now.stx_mtime) != stamp.mtime_ns) { /* written in between */
		note_hot(path, now_ms());
		return;
	}
	take_change(file, path, &now, &stamp);
}

/* Looks once more at a file that was written; says it if it stayed as it was. */
static void settle(struct unsettled *entry)
{
	struct fr_node *file = fr_tree_file(post.with.tree, entry->path);
	struct fr_stamp stamp;
	int error;

	if (!file || !file->is_settling) { /* gone meanwhile, and perhaps back */
		free(entry);
		return;
	}
	touching(root_of(file));
	if (post.is_remote)
		ask_server(entry->path, 0);
	error = fr_content_stamp(-1, entry->path, true, &stamp);
	if (error) {
		file->is_settling = false;
		if (error == -ENOENT)
			say_gone(file, entry->path);
		free(entry);
		return;
	}
	if (now_ms() - entry->first_ms < FR_OUTPOST_BOUND_MS &&
	    !(fr_content_same_stamp(&file->stamp, &stamp) &&
	      file->stamp.has_hash == stamp.has_hash && file->stamp.hash == stamp.hash)) {
		file->stamp = stamp;
		await_settling(entry->path, FR_HINT_WRITTEN, &stamp, entry);
		return;
	}
	file->stamp = stamp;
	file->is_settling = false;
	note_hot(entry->path, now_ms());
	if (!post.with.is_audit)
		fr_bytecode_drop(entry->path);
	say(entry->path, entry->hint, 0, &stamp);
	free(entry);
}

static void settle_all(int64_t now)
{
	/* All wait for the same time, but for empty ones, which may hold others up a little. */
	while (post.unsettled_first && post.unsettled_first->due_ms <= now) {
		struct unsettled *entry = post.unsettled_first;

		post.unsettled_first = entry->next;
		if (!post.unsettled_first)
			post.unsettled_last = NULL;
		settle(entry);
	}
}

/* ---- folders ---- */

static int64_t timespec_to_ns(struct timespec time)
{
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Did names come or go since the folder was listed? */
static bool has_moved(struct fr_listing *listing, const struct stat *st, int64_t now)
{
	struct fr_listing fresh = {
		.dev = st->st_dev,
		.ino = st->st_ino,
		.mtime_ns = timespec_to_ns(st->st_mtim),
		.ctime_ns = timespec_to_ns(st->st_ctim),
		.moved_ms = listing->moved_ms,
		.listed_ms = listing->listed_ms,
		.round = listing->round,
	};

	if (listing->ino != fresh.ino || listing->dev != fresh.dev ||
	    listing->mtime_ns != fresh.mtime_ns || listing->ctime_ns != fresh.ctime_ns)
		fresh.moved_ms = now;
	*listing = fresh;
	return post.must_list || now - listing->moved_ms < FR_OUTPOST_TICK_MS ||
	       now - listing->listed_ms > FR_OUTPOST_LIST_MS;
}

/* NULL: no memory. */
static struct fr_listing *listing_of(struct fr_node *folder)
{
	if (!folder->has_listing) {
		folder->listing = calloc(1, sizeof(*folder->listing));
		folder->has_listing = folder->listing != NULL;
	}
	return folder->listing;
}

/* The next look lists the folder, whatever its times are. */
static void forget_listing(struct fr_node *folder)
{
	if (folder->has_listing)
		free(folder->listing);
	folder->has_listing = false;
	folder->listing = NULL;
}

static int stat_folder(const struct fr_node *folder, const char *path, struct stat *ret_st)
{
	int error = folder->parent ? lstat(path, ret_st) : stat(path, ret_st);

	if (error < 0)
		return -errno;
	return S_ISDIR(ret_st->st_mode) ? 0 : -ENOTDIR;
}

static int enter(void *ctx, struct fr_node *folder, const char *path)
{
	int64_t now = now_ms();
	struct stat st;
	int error;

	touching(root_of(folder));
	error = stat_folder(folder, path, &st);
	if (error)
		return error;
	if (!listing_of(folder))
		return -ENOMEM;
	folder->watch = 0; /* it has been listed, and its ignore files have been read */
	if (!has_moved(folder->listing, &st, now))
		return FR_SCAN_KNOWN;
	folder->listing->listed_ms = now;
	return 0;
}

static void file_differs(void *ctx, const char *path, bool is_gone)
{
	char copy[PATH_MAX];

	if ((size_t)snprintf(copy, sizeof(copy), "%s", path) < sizeof(copy))
		look_at_file(copy, true);
}

/* All below it has nodes then. */
static struct fr_node *first_leaf(struct fr_node *node)
{
	for (;;) {
		if (node->kind == FR_NODE_FOLDER && fr_tree_unpack(post.with.tree, node) < 0)
			_exit(1);
		if (!fr_tree_first_child(node))
			return node;
		node = node->first_child;
	}
}

static void forget_ignorefiles(const struct fr_node *folder)
{
	const char *path = post.with.files ? fr_tree_path(post.with.tree, folder, NULL) : NULL;

	if (path)
		fr_ignorefiles_forget(post.with.files, path);
}

static void file_recorded(void *ctx, const char *path, const struct fr_stamp *stamp)
{
	say(path, FR_HINT_KNOWN, 0, stamp);
}

static void file_dropped(void *ctx, const char *path)
{
	say(path, FR_HINT_GONE, -ESTALE, NULL);
}

/* The folder is gone, or is not entered any more. Leaves first. */
static void folder_left(void *ctx, struct fr_node *top)
{
	struct fr_node *node = first_leaf(top), *next;
	struct fr_stamp stamp;

	for (; node != top; node = next) {
		next = node->next ? first_leaf(node->next) : node->parent;
		if (node->kind == FR_NODE_FILE) {
			const char *path = fr_tree_path(post.with.tree, node, NULL);
			int error = path ? fr_content_stamp(-1, path, false, &stamp) : -ENOMEM;

			if (path)
				say(path, FR_HINT_GONE, error == -ENOENT ? -ENOENT : -ESTALE, NULL);
		} else {
			forget_ignorefiles(node);
		}
		forget(node);
	}
	forget_ignorefiles(top);
	fr_scan_forget(post.scan, top);
	if (top->parent)
		fr_tree_remove(post.with.tree, top);
	else
		forget_listing(top);
}

/* The master has named what it could not read; what comes later shows where it is needed. */
static void no_trouble(void *ctx, const char *path, int error)
{
}

static const struct fr_scan_hooks scan_hooks = {
	.enter = enter,
	.differs = file_differs,
	.recorded = file_recorded,
	.dropped = file_dropped,
	.left = folder_left,
	.trouble = no_trouble,
};

/* Looks whether names came to the folder of a file, or went, once in each round. */
static void look_at_folder_of(const char *path)
{
	struct fr_node *folder = fr_tree_folder_of(post.with.tree, path);
	struct fr_listing *listing = folder ? listing_of(folder) : NULL;
	char copy[PATH_MAX];
	const char *folder_path;
	struct stat st;
	int error;

	if (!listing || listing->round == post.round)
		return;
	listing->round = post.round;
	folder_path = fr_tree_path(post.with.tree, folder, NULL);
	if (!folder_path || (size_t)snprintf(copy, sizeof(copy), "%s", folder_path) >= sizeof(copy))
		return;
	if (post.is_remote)
		ask_server(copy, O_DIRECTORY);
	error = stat_folder(folder, copy, &st);
	if (error == -ENOENT || error == -ENOTDIR)
		folder_left(NULL, folder);
	else if (!error && has_moved(listing, &st, now_ms()))
		fr_scan_push_alone(post.scan, folder);
}

/* ---- the jobs ---- */

static void look_at_hot(const struct fr_hot_file *file, bool with_folder)
{
	const char *rest;
	const struct fr_node *root = our_root(file->path, &rest);
	int64_t changed_ms = file->changed_ms; /* a look may move the file in the list */
	char path[PATH_MAX];

	if (!root || (size_t)snprintf(path, sizeof(path), "%s", file->path) >= sizeof(path))
		return;
	touching(root);
	if (with_folder)
		look_at_folder_of(path);
	look_at_file(path, now_ms() - changed_ms < FR_OUTPOST_TICK_MS);
}

static size_t edited_len(void)
{
	size_t len = fr_hot_since(&post.hot, now_ms() - FR_OUTPOST_EDITED_MS);

	return len < FR_OUTPOST_EDITED ? len : FR_OUTPOST_EDITED;
}

/* A look may move a file in the list to its top: one or the other is then looked at in the next
 * round. */
static void do_edited(void)
{
	for (size_t i = 0, len = edited_len(); i < len; i++)
		look_at_hot(&post.hot.files[i], false);
}

static void do_recent(void)
{
	post.round++;
	for (size_t i = 0; i < post.hot.len; i++)
		look_at_hot(&post.hot.files[i], true);
}

static void begin_walk(int64_t now)
{
	struct fr_node *root;
	unsigned count;

	for_each_root(root, count) fr_scan_push(post.scan, root, true);
	post.is_walking = true;
	post.pass_ms = now;
}

static void do_walk(void)
{
	int64_t cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID), wall = clock_us(CLOCK_MONOTONIC);

	while (fr_scan_step(post.scan, FR_OUTPOST_ENTRIES)) {
		still_touching();
		if (clock_us(CLOCK_MONOTONIC) - wall > FR_OUTPOST_SLICE_WALL ||
		    clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu > FR_OUTPOST_SLICE_CPU)
			return;
	}
	post.is_through |= post.is_walking;
	post.is_walking = post.is_urgent = post.must_list = false;
}

/* Does the job if it is time, and lets it rest for as long as its share asks for. */
static void work(struct job *job, void (*run)(void), int64_t now)
{
	int64_t cpu, wall, rest;

	if (job->due_ms > now)
		return;
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	wall = clock_us(CLOCK_MONOTONIC);
	run();
	touched();
	cpu = (clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu) / job->cpu;
	wall = (clock_us(CLOCK_MONOTONIC) - wall) / job->wall;
	rest = cpu > wall ? cpu : wall;
	job->due_ms = now_ms() + (rest > job->gap_ms ? rest : job->gap_ms);
}

/* The walk goes on, and begins again when its time has come; at half speed where somebody waits. */
static void walk(int64_t now)
{
	if (!fr_scan_is_busy(post.scan)) {
		if (now < post.pass_ms + post.with.gap_ms)
			return;
		begin_walk(now);
	}
	post.walk.gap_ms = post.is_urgent ? 1 : (int)earlier(FR_OUTPOST_WALK_GAP, post.with.gap_ms);
	post.walk.cpu = post.is_urgent ? FR_OUTPOST_URGENT : larger(post.with.share / 2, 1);
	post.walk.wall = post.is_urgent ? FR_OUTPOST_URGENT
					: larger(post.with.share / 2, FR_OUTPOST_WALK_WALL);
	work(&post.walk, do_walk, now);
}

static void note_pass(void)
{
	if (!post.is_through || post.unsettled_first)
		return;
	post.is_through = false;
	__atomic_add_fetch(&post.with.pulse->passes, 1, __ATOMIC_RELEASE);
}

/* ---- what others say ---- */

static void compare_all(void)
{
	begin_walk(now_ms());
	post.is_urgent = post.must_list = true;
	post.walk.due_ms = 0;
}

/* Cuts the last name off. */
static void go_up(char *path)
{
	char *slash = strrchr(path, '/');

	slash[slash == path] = '\0';
}

/* The folder at path, if it is known; or NULL. */
static struct fr_node *folder_at(const char *path)
{
	struct fr_node *folder = fr_tree_folder_of(post.with.tree, path);
	const char *rest;
	struct fr_node *root = our_root(path, &rest);

	if (root && *rest == '\0')
		return root;
	return folder && root ? fr_tree_child(post.with.tree, folder, strrchr(path, '/') + 1,
					      FR_NODE_FOLDER)
			      : NULL;
}

static void look(const char *path)
{
	struct fr_node *folder = folder_at(path);
	char above[PATH_MAX];
	const char *rest;
	const struct fr_node *root = our_root(path, &rest);

	if (!root || (size_t)snprintf(above, sizeof(above), "%s", path) >= sizeof(above))
		return;
	touching(root);
	post.walk.due_ms = 0;
	if (folder) {
		post.is_urgent = post.must_list = true;
		fr_scan_push(post.scan, folder, true);
		return;
	}
	go_up(above);
	while (our_root(above, &rest) && !(folder = folder_at(above)))
		go_up(above);
	if (folder) {
		if (post.is_remote)
			ask_server(above, O_DIRECTORY);
		forget_listing(folder);
		fr_scan_push_alone(post.scan, folder);
	}
	look_at_file(path, true);
}

static void ask(const char *path)
{
	struct asked *free_place = NULL;

	if (strcmp(path, FR_OUTPOST_ALL) == 0) {
		compare_all();
		return;
	}
	for (struct asked *asked = post.asked; asked < post.asked + FR_OUTPOST_ASKED; asked++) {
		if (!asked->path) {
			free_place = asked;
		} else if (strcmp(asked->path, path) == 0) {
			asked->stage = 0;
			asked->due_ms = 0;
			return;
		}
	}
	if (!free_place) {
		compare_all();
		return;
	}
	*free_place = (struct asked){.path = strdup(path)};
	if (!free_place->path)
		_exit(1);
}

static void look_again(int64_t now)
{
	for (struct asked *asked = post.asked; asked < post.asked + FR_OUTPOST_ASKED; asked++) {
		if (!asked->path || asked->due_ms > now)
			continue;
		look(asked->path);
		if (++asked->stage < FR_OUTPOST_AGAIN) {
			asked->due_ms = now + again_ms[asked->stage] - again_ms[asked->stage - 1];
		} else {
			free(asked->path);
			asked->path = NULL;
		}
	}
	touched();
}

static void listen_to_master(void)
{
	char path[PATH_MAX];
	ssize_t len;

	while ((len = recv(post.with.fd, path, sizeof(path) - 1, MSG_DONTWAIT)) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0)
			break;
		path[len] = '\0';
		ask(path);
	}
	_exit(0);
}

/* ---- the process ---- */

static int64_t next_due(void)
{
	int64_t due = post.recent.due_ms;

	if (edited_len() > 0)
		due = earlier(due, post.edited.due_ms);
	if (fr_scan_is_busy(post.scan))
		due = earlier(due, post.walk.due_ms);
	else
		due = earlier(due, post.pass_ms + post.with.gap_ms > post.walk.due_ms
					   ? post.pass_ms + post.with.gap_ms
					   : post.walk.due_ms);
	if (post.unsettled_first)
		due = earlier(due, post.unsettled_first->due_ms);
	for (size_t i = 0; i < FR_OUTPOST_ASKED; i++) {
		if (post.asked[i].path)
			due = earlier(due, post.asked[i].due_ms);
	}
	return due;
}

__attribute__((noreturn)) static void live(void)
{
	for (;;) {
		struct pollfd master = {.fd = post.with.fd, .events = POLLIN};
		int64_t now = now_ms(), wait = next_due() - now;

		if (poll(&master, 1, wait < 0 ? 0 : wait > 1000 ? 1000 : (int)wait) > 0)
			listen_to_master();
		now = now_ms();
		settle_all(now);
		touched();
		look_again(now);
		work(&post.edited, do_edited, now);
		work(&post.recent, do_recent, now);
		walk(now);
		note_pass();
	}
}

/* Goes through everything once, says what differs, and ends. */
__attribute__((noreturn)) static void audit(void)
{
	while (fr_scan_is_busy(post.scan) || post.unsettled_first) {
		int64_t now = now_ms();
		int64_t due = fr_scan_is_busy(post.scan) ? post.walk.due_ms
							 : post.unsettled_first->due_ms;

		if (due > now)
			(void)poll(NULL, 0, (int)(due - now));
		post.is_urgent = false; /* nobody waits for this one */
		if (fr_scan_is_busy(post.scan))
			walk(now_ms());
		settle_all(now_ms());
	}
	_exit(0);
}

/* The tree is a copy of the master's, with what the master's own listing and its sources had noted
 * there. Files that were written lately will be written again. */
static void take_over_tree(void)
{
	int64_t now = now_ms(), real_ms = clock_us(CLOCK_REALTIME) / 1000;
	struct fr_node *root;
	struct fr_walk walk;
	unsigned count;

	fr_tree_end_hashes(post.with.tree); /* nobody tells us of what is found out later */
	for (root = fr_tree_roots(post.with.tree); root; root = root->next) {
		for (struct fr_node *node = root; node; node = fr_tree_next(node, root)) {
			node->is_queued = node->is_left = false;
			node->is_pending_compare = node->is_pending_below = false;
			node->seen = 0; /* by a scan that counts from 1 again */
			if (node->kind == FR_NODE_FILE) {
				fr_tree_resolve(post.with.tree, node);
				continue;
			}
			node->watch_next = NULL; /* or a listing of ours, later */
			node->queue_next = node->queue_prev = NULL;
			node->watch = node->kind == FR_NODE_FOLDER ? 0 : -1;
		}
	}
	for_each_root(root, count)
	{
		fr_walk_begin_below(&walk, post.with.tree, root);
		while (fr_walk_next(&walk)) {
			int64_t age_ms = real_ms - walk.stamp.mtime_ns / 1000000;
			const char *path =
				fr_tree_path_in(post.with.tree, walk.folder, walk.name, NULL);

			if (path)
				note_hot(path,
					 now - FR_OUTPOST_EDITED_MS - (age_ms > 0 ? age_ms : 0));
		}
	}
}

/* Do changes come from elsewhere, so that what this kernel remembers may be old? */
static bool is_remote(void)
{
	struct fr_node *root;
	unsigned count;
	bool is_local = true;

	for_each_root(root, count)
	{
		touching(root);
		is_local &= !fr_mounts_are_remote(root->name);
	}
	touched();
	return !is_local;
}

__attribute__((noreturn)) static void run(const struct fr_outpost *outpost)
{
	const struct sched_param lowest = {0};

	post.with = *outpost;
	post.edited = (struct job){
		.gap_ms = FR_OUTPOST_EDITED_GAP,
		.cpu = larger(outpost->share / 4, 1),
		.wall = FR_OUTPOST_HOT_WALL,
	};
	post.recent = post.edited;
	post.recent.gap_ms = FR_OUTPOST_HOT_GAP;
	fr_child_begin(outpost->is_audit ? "fastreload-look" : "fastreload-poll");
	fr_child_keep(&post.with.fd, 1);
	if (outpost->is_audit)
		(void)sched_setscheduler(0, SCHED_IDLE, &lowest);
	if (fr_scan_new(post.with.tree, post.with.rules, &scan_hooks, NULL, &post.scan) < 0)
		_exit(1);
	if (post.with.files)
		fr_scan_use_ignorefiles(post.scan, post.with.files);
	take_over_tree();
	post.is_remote = is_remote();
	compare_all();
	if (outpost->is_audit)
		audit();
	live();
}

/* ---- the master's side ---- */

struct fr_pulse *fr_outpost_map(void)
{
	void *pulse = mmap(NULL, sizeof(struct fr_pulse), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return pulse == MAP_FAILED ? NULL : pulse;
}

void fr_outpost_unmap(struct fr_pulse *pulse)
{
	if (pulse)
		munmap(pulse, sizeof(*pulse));
}

pid_t fr_outpost_start(const struct fr_outpost *outpost, int *ret_fd)
{
	struct fr_outpost child = *outpost;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	child.fd = fds[1];
	pid = fr_child_fork();
	if (pid == 0)
		run(&child);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return pid;
	}
	*ret_fd = fds[0];
	return pid;
}

int fr_outpost_hear(int fd, struct fr_finding *ret_finding)
{
	const size_t head = offsetof(struct fr_finding, path);
	ssize_t len;

	do
		len = recv(fd, ret_finding, sizeof(*ret_finding), MSG_DONTWAIT);
	while (len < 0 && errno == EINTR);
	if (len < 0 && errno == EAGAIN)
		return 0;
	if (len <= (ssize_t)head)
		return -1;
	ret_finding->path[(size_t)len - head - 1] = '\0';
	return 1;
}
