/*
 * baseline: the contents of all counted files as the application found them. See baseline.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "watch/baseline.h"
#include "watch/content.h"
#include "watch/hashes.h"
#include "watch/tree.h"
#include "watch/walk.h"

struct fr_baseline {
	bool has_rest; /* for another child */
	pid_t child;   /* 0: none at present */
};

/* A record of the saved form: this, then the absolute path with its NUL. Read by the same build
 * only: uWSGI reloads by exec'ing itself. */
struct fr_record {
	uint32_t magic;
	uint32_t path_size;
	uint64_t dev, ino, size, mtime_ns, ctime_ns, hash;
};

#define FR_RECORD_MAGIC 0x66723102u /* "fr1" and the version of the form */

static bool is_to_be_read(const struct fr_stamp *stamp)
{
	return !stamp->has_hash && stamp->size <= FR_CONTENT_MAX_BYTES;
}

/* In the child: reads what is to be read, and says so only of files that still look as the parent
 * saw them. */
static void read_all(struct fr_tree *tree, bool (*is_wanted)(const char *name),
		     struct fr_hashes *hashes)
{
	struct fr_walk walk;
	struct fr_stamp stamp;

	(void)prctl(PR_SET_NAME, "fastreload-read");
	(void)setpriority(PRIO_PROCESS, 0, 10); /* the application is starting at the same time */
	fr_walk_begin(&walk, tree);
	while (fr_walk_next(&walk)) {
		bool is_read = walk.hash_number && is_to_be_read(&walk.stamp) &&
			       (!is_wanted || is_wanted(walk.name));
		const char *path =
			is_read ? fr_tree_path_in(tree, walk.folder, walk.name, NULL) : NULL;

		if (path && fr_content_stamp(-1, path, true, &stamp) == 0 && stamp.has_hash &&
		    fr_content_same_stamp(&stamp, &walk.stamp))
			fr_hashes_put(hashes, walk.hash_number, &stamp);
	}
}

/* Starts a child. */
static int read_in_child(struct fr_baseline *baseline, struct fr_tree *tree,
			 bool (*is_wanted)(const char *name), struct fr_hashes *hashes)
{
	pid_t child = fr_child_fork(); /* signals stay blocked: it ends soon enough */

	if (child == 0) {
		read_all(tree, is_wanted, hashes);
		fr_baseline_free(baseline); /* so that tools that look for leaks find none in a
					       child either */
		_exit(0);
	}
	if (child < 0)
		return child;
	baseline->child = child;
	return 0;
}

/* The packed files of a folder are numbered all together, if any of them is to be read. Returns the
 * last number that was given. */
static uint32_t number_packed(const struct fr_tree *tree, struct fr_node *folder, uint32_t last)
{
	bool is_any_read = false;
	struct fr_walk walk;

	fr_walk_begin_in(&walk, tree, folder);
	while (!is_any_read && fr_walk_next(&walk))
		is_any_read = is_to_be_read(&walk.stamp);
	folder->hash_number = is_any_read ? last + 1 : 0;
	return is_any_read ? last + fr_packed_count(folder->packed) : last;
}

/* Gives each file that is to be read its number in the tree's hashes. Returns the last one. */
static uint32_t number(struct fr_tree *tree)
{
	uint32_t last = 0;

	for (struct fr_node *root = fr_tree_roots(tree); root; root = root->next) {
		for (struct fr_node *node = root; node; node = fr_tree_next(node, root)) {
			if (node->kind != FR_NODE_FILE && node->packed)
				last = number_packed(tree, node, last);
			else if (node->kind == FR_NODE_FILE)
				node->hash_number = is_to_be_read(&node->stamp) ? ++last : 0;
		}
	}
	return last;
}

int fr_baseline_start(struct fr_tree *tree, bool (*is_first)(const char *name),
		      struct fr_baseline **ret_baseline)
{
	struct fr_baseline *baseline;
	struct fr_hashes *hashes;
	uint32_t len = fr_tree_hashes(tree) ? 0 : number(tree);
	int error;

	if (len == 0) {
		*ret_baseline = NULL;
		return 0;
	}
	baseline = calloc(1, sizeof(*baseline));
	error = baseline ? fr_hashes_new(len, &hashes) : -ENOMEM;
	if (!error) {
		fr_tree_take_hashes(tree, hashes);
		baseline->has_rest = is_first != NULL;
		error = read_in_child(baseline, tree, is_first, hashes);
	}
	if (error) {
		fr_tree_end_hashes(tree);
		fr_baseline_free(baseline);
		return error;
	}
	*ret_baseline = baseline;
	return 0;
}

int fr_baseline_read_rest(struct fr_baseline *baseline, struct fr_tree *tree)
{
	baseline->has_rest = false;
	return read_in_child(baseline, tree, NULL, fr_tree_hashes(tree));
}

pid_t fr_baseline_pid(const struct fr_baseline *baseline)
{
	return baseline ? baseline->child : 0;
}

bool fr_baseline_child_ended(struct fr_baseline *baseline, struct fr_tree *tree)
{
	baseline->child = 0;
	if (!baseline->has_rest)
		fr_tree_end_hashes(tree);
	return baseline->has_rest;
}

void fr_baseline_free(struct fr_baseline *baseline)
{
	free(baseline);
}

static struct fr_record record_of(const struct fr_stamp *stamp, size_t path_size)
{
	return (struct fr_record){
		.magic = FR_RECORD_MAGIC,
		.path_size = (uint32_t)path_size,
		.dev = stamp->dev,
		.ino = stamp->ino,
		.size = (uint64_t)stamp->size,
		.mtime_ns = (uint64_t)stamp->mtime_ns,
		.ctime_ns = (uint64_t)stamp->ctime_ns,
		.hash = stamp->hash,
	};
}

static bool is_record_of(const struct fr_record *record, const struct fr_stamp *stamp)
{
	return record->dev == stamp->dev && record->ino == stamp->ino &&
	       record->size == (uint64_t)stamp->size &&
	       record->mtime_ns == (uint64_t)stamp->mtime_ns &&
	       record->ctime_ns == (uint64_t)stamp->ctime_ns;
}

/* A stream of its own on what fd is open on, so that it can be closed without closing fd. NULL:
 * errno says why. */
static FILE *stream_of(int fd, const char *mode)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3), error;
	FILE *file = copy < 0 ? NULL : fdopen(copy, mode);

	if (copy >= 0 && !file) {
		error = errno;
		close(copy);
		errno = error;
	}
	return file;
}

int fr_baseline_save(struct fr_tree *tree, int fd)
{
	FILE *file = stream_of(fd, "w");
	struct fr_walk walk;
	int error = 0;

	if (!file)
		return -errno;
	fr_walk_begin(&walk, tree);
	while (fr_walk_next(&walk)) {
		const char *path = fr_tree_path_in(tree, walk.folder, walk.name, NULL);
		struct fr_record record;

		if (!path || !walk.stamp.has_hash || walk.stamp.is_fresh)
			continue;
		record = record_of(&walk.stamp, strlen(path) + 1);
		if (fwrite(&record, sizeof(record), 1, file) != 1 ||
		    fwrite(path, record.path_size, 1, file) != 1) {
			error = -EIO;
			break;
		}
	}
	if (fclose(file) != 0 && !error)
		error = -EIO;
	return error;
}

/* One record into the tree; false at the end, or where the form is broken. */
static bool load_record(struct fr_tree *tree, FILE *file, size_t *known)
{
	struct fr_record record;
	char path[PATH_MAX];
	struct fr_node *node;

	if (fread(&record, sizeof(record), 1, file) != 1 || record.magic != FR_RECORD_MAGIC ||
	    record.path_size < 2 || record.path_size > sizeof(path) ||
	    fread(path, record.path_size, 1, file) != 1 || path[record.path_size - 1] != '\0')
		return false;
	node = fr_tree_file(tree, path);
	if (node && !node->stamp.has_hash && is_record_of(&record, &node->stamp)) {
		node->stamp.hash = record.hash;
		node->stamp.has_hash = true;
		(*known)++;
	}
	return true;
}

size_t fr_baseline_load(struct fr_tree *tree, int fd)
{
	FILE *file = stream_of(fd, "r");
	size_t known = 0;

	if (!file)
		return 0;
	while (load_record(tree, file, &known))
		fr_tree_settle(tree);
	fclose(file);
	return known;
}
