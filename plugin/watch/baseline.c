/*
 * baseline: the contents of all counted files as the application found them. See baseline.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "watch/baseline.h"
#include "watch/content.h"
#include "watch/tree.h"

struct fr_slot {
	struct fr_stamp stamp;
	bool is_set; /* written last */
};

struct fr_baseline {
	struct fr_slot *slots; /* shared with the child */
	size_t slots_len;
	pid_t child;
};

/* A record of the saved form: this, then the absolute path with its NUL. Read by the same build
 * only: uWSGI reloads by exec'ing itself. */
struct fr_record {
	uint32_t magic;
	uint32_t path_size;
	uint64_t dev, ino, size, mtime_ns, ctime_ns, hash;
};

#define FR_RECORD_MAGIC 0x66723101u /* "fr1" and the version of the form */

/* The next file in a walk through *root and the roots after it; NULL at the end. */
static struct fr_node *next_file(struct fr_node *node, struct fr_node **root)
{
	while (*root) {
		node = node ? fr_tree_next(node, *root) : *root;
		if (node && node->kind == FR_NODE_FILE)
			return node;
		if (!node)
			*root = (*root)->next;
	}
	return NULL;
}

#define for_each_file(tree, node, root)                                                            \
	for (root = fr_tree_roots(tree), node = next_file(NULL, &root); node;                      \
	     node = next_file(node, &root))

/* In the child: reads what is to be read, and says so only of files that still look as the parent
 * saw them. */
static void read_all(struct fr_tree *tree, struct fr_slot *slots)
{
	struct fr_node *node, *root;

	(void)prctl(PR_SET_NAME, "fastreload-read");
	(void)setpriority(PRIO_PROCESS, 0, 10); /* the application is starting at the same time */
	for_each_file(tree, node, root)
	{
		const char *path = fr_tree_path(tree, node, NULL);
		struct fr_slot *slot;

		if (!node->baseline_slot || !path)
			continue;
		slot = &slots[node->baseline_slot - 1];
		if (fr_content_stamp(-1, path, true, &slot->stamp) == 0 && slot->stamp.has_hash &&
		    fr_content_same_stamp(&slot->stamp, &node->stamp))
			__atomic_store_n(&slot->is_set, true, __ATOMIC_RELEASE);
	}
}

static size_t number_unknown_files(struct fr_tree *tree, bool (*is_wanted)(const char *name))
{
	struct fr_node *node, *root;
	uint32_t count = 0;

	for_each_file(tree, node, root)
	{
		node->baseline_slot = 0;
		if (!node->stamp.has_hash && node->stamp.size <= FR_CONTENT_MAX_BYTES &&
		    count < UINT32_MAX && (!is_wanted || is_wanted(node->name)))
			node->baseline_slot = ++count;
	}
	return count;
}

int fr_baseline_start(struct fr_tree *tree, bool (*is_wanted)(const char *name),
		      struct fr_baseline **ret_baseline)
{
	size_t len = number_unknown_files(tree, is_wanted);
	struct fr_baseline *baseline;

	if (len == 0) {
		*ret_baseline = NULL;
		return 0;
	}
	baseline = calloc(1, sizeof(*baseline));
	if (!baseline)
		return -ENOMEM;
	baseline->slots_len = len;
	baseline->slots = mmap(NULL, len * sizeof(*baseline->slots), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (baseline->slots == MAP_FAILED) {
		free(baseline);
		return -ENOMEM;
	}
	baseline->child = fr_child_fork(); /* signals stay blocked: it ends soon enough */
	if (baseline->child == 0) {
		read_all(tree, baseline->slots);
		fr_baseline_free(baseline); /* so that tools that look for leaks find none in a
					       child either */
		_exit(0);
	}
	if (baseline->child < 0) {
		int error = baseline->child;

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
	return baseline->slots_len;
}

void fr_baseline_resolve(const struct fr_baseline *baseline, struct fr_node *node)
{
	const struct fr_slot *slot;

	if (!node->baseline_slot)
		return;
	slot = &baseline->slots[node->baseline_slot - 1];
	if (__atomic_load_n(&slot->is_set, __ATOMIC_ACQUIRE))
		node->stamp = slot->stamp;
}

void fr_baseline_finish(struct fr_baseline *baseline, struct fr_tree *tree)
{
	struct fr_node *node, *root;

	for_each_file(tree, node, root)
	{
		fr_baseline_resolve(baseline, node);
		node->baseline_slot = 0;
	}
	baseline->child = 0;
}

void fr_baseline_free(struct fr_baseline *baseline)
{
	if (!baseline)
		return;
	munmap(baseline->slots, baseline->slots_len * sizeof(*baseline->slots));
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
	struct fr_node *node, *root;
	int error = 0;

	if (!file)
		return -errno;
	for_each_file(tree, node, root)
	{
		const char *path = fr_tree_path(tree, node, NULL);
		struct fr_record record;

		if (!path || !node->stamp.has_hash || node->stamp.is_fresh)
			continue;
		record = record_of(&node->stamp, strlen(path) + 1);
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
		continue;
	fclose(file);
	return known;
}
