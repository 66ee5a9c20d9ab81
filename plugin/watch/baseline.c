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
	size_t files;
	pid_t child;
};

/* A record of the saved form: this, then the absolute path with its NUL. Read by the same build
 * only: uWSGI reloads by exec'ing itself. */
struct fr_record {
	uint32_t magic;
	uint32_t path_size;
	uint64_t dev, ino, size, mtime_ns, ctime_ns, hash;
};

#define FR_RECORD_MAGIC 0x66723102u /* "fr1" and the version of the form */

static bool is_to_be_read(const char *name, const struct fr_stamp *stamp,
			  bool (*is_wanted)(const char *name))
{
	return !stamp->has_hash && stamp->size <= FR_CONTENT_MAX_BYTES &&
	       (!is_wanted || is_wanted(name));
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
		const char *path = walk.hash_number &&
						   is_to_be_read(walk.name, &walk.stamp, is_wanted)
					   ? fr_tree_path_in(tree, walk.folder, walk.name, NULL)
					   : NULL;

		if (path && fr_content_stamp(-1, path, true, &stamp) == 0 && stamp.has_hash &&
		    fr_content_same_stamp(&stamp, &walk.stamp))
			fr_hashes_put(hashes, walk.hash_number, &stamp);
	}
}

/* What the hashes have to have room for, and how much of that is to be read. */
struct need {
	bool (*is_wanted)(const char *name); /* NULL: each is */
	size_t numbers, unknown;
};

/* A file that is not packed. fresh: the hashes that will be the tree's; NULL: only counts. */
static void number_node(const struct fr_tree *tree, struct fr_node *file,
			const struct fr_hashes *fresh, struct need *need)
{
	bool is_read;

	if (!fresh)
		fr_tree_resolve(tree, file); /* by the hashes that it has had until now */
	is_read = is_to_be_read(file->name, &file->stamp, need->is_wanted);
	need->unknown += is_read;
	need->numbers += is_read;
	if (fresh)
		file->hash_number = is_read ? (uint32_t)need->numbers : 0;
}

/* The packed files of a folder are numbered all together, if any of them needs a number. What was
 * known by a number until now goes to the fresh hashes, too. */
static void number_packed(struct fr_tree *tree, struct fr_node *folder, struct fr_hashes *fresh,
			  struct need *need)
{
	size_t first = need->numbers + 1, at = first;
	bool needs_any = false, is_read;
	struct fr_walk walk;

	fr_walk_begin_in(&walk, tree, folder);
	for (; fr_walk_next(&walk); at++) {
		bool is_known_by_number = walk.hash_number && walk.stamp.has_hash;

		if (is_known_by_number && fresh)
			fr_hashes_put(fresh, (uint32_t)at, &walk.stamp);
		is_read = is_to_be_read(walk.name, &walk.stamp, need->is_wanted);
		need->unknown += is_read;
		needs_any |= is_known_by_number || is_read;
	}
	if (needs_any)
		need->numbers = at - 1;
	first = needs_any ? first : 0;
	/* To write the same would cost a page that workers share. */
	if (fresh && folder->hash_number != first)
		folder->hash_number = (uint32_t)first;
}

static void number_all(struct fr_tree *tree, bool is_packed, struct fr_hashes *fresh,
		       struct need *need)
{
	for (struct fr_node *root = fr_tree_roots(tree); root; root = root->next) {
		for (struct fr_node *node = root; node; node = fr_tree_next(node, root)) {
			if (node->kind == FR_NODE_FILE && !is_packed)
				number_node(tree, node, fresh, need);
			else if (node->kind != FR_NODE_FILE && node->packed && is_packed)
				number_packed(tree, node, fresh, need);
		}
	}
}

/* Those at rest come first: unless something has become of them, they have the same numbers again
 * the next time. */
static struct need number(struct fr_tree *tree, bool (*is_wanted)(const char *name),
			  struct fr_hashes *fresh)
{
	struct need need = {.is_wanted = is_wanted};

	number_all(tree, true, fresh, &need);
	number_all(tree, false, fresh, &need);
	return need;
}

int fr_baseline_start(struct fr_tree *tree, bool (*is_wanted)(const char *name),
		      struct fr_baseline **ret_baseline)
{
	struct need need = number(tree, is_wanted, NULL);
	struct fr_baseline *baseline;
	struct fr_hashes *hashes;
	int error;

	if (need.unknown == 0) {
		*ret_baseline = NULL;
		return 0;
	}
	baseline = calloc(1, sizeof(*baseline));
	error = baseline ? fr_hashes_new(need.numbers, &hashes) : -ENOMEM;
	if (error) {
		free(baseline);
		return error;
	}
	(void)number(tree, is_wanted, hashes);
	fr_tree_take_hashes(tree, hashes);
	baseline->files = need.unknown;
	baseline->child = fr_child_fork(); /* signals stay blocked: it ends soon enough */
	if (baseline->child == 0) {
		read_all(tree, is_wanted, hashes);
		fr_baseline_free(baseline); /* so that tools that look for leaks find none in a
					       child either */
		_exit(0);
	}
	if (baseline->child < 0) {
		error = baseline->child;
		fr_tree_end_hashes(tree);
		fr_baseline_free(baseline);
		return error;
	}
	*ret_baseline = baseline;
	return 0;
}

pid_t fr_baseline_pid(const struct fr_baseline *baseline)
{
	return baseline->child;
}

size_t fr_baseline_files(const struct fr_baseline *baseline)
{
	return baseline->files;
}

void fr_baseline_finish(struct fr_baseline *baseline, struct fr_tree *tree)
{
	fr_tree_end_hashes(tree);
	baseline->child = 0;
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
