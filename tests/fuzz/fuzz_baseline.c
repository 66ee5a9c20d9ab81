/*
 * Anything at all where the saved baseline should be: no crash, and never more files recognised
 * than there are.
 *
 * The first byte may choose a file whose own record is put before the rest, so that what is behind
 * a whole record is reached, too.
 */
#define _GNU_SOURCE /* memfd_create */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "watch/baseline.h"
#include "watch/tree.h"

#define FILES 4

static const char *const names[FILES] = {"a.py", "b.py", "\xff.py", "c.ini"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(struct fr_tree *tree, struct fr_node *nodes[FILES])
{
	struct fr_node *root = fr_tree_add_root(tree, "/r", FR_NODE_FOLDER);
	struct fr_node *pkg = root ? fr_tree_add(tree, root, "p", FR_NODE_FOLDER) : NULL;

	for (size_t i = 0; i < FILES; i++) {
		nodes[i] =
			pkg ? fr_tree_add(tree, i % 2 ? root : pkg, names[i], FR_NODE_FILE) : NULL;
		if (!nodes[i])
			abort();
		nodes[i]->stamp = (struct fr_stamp){
			.dev = 1, .ino = i, .size = 2, .mtime_ns = 3, .ctime_ns = 4};
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("baseline", MFD_CLOEXEC);
	struct fr_node *nodes[FILES];
	struct fr_tree *tree;

	if (fd < 0 || fr_tree_new(&tree) < 0)
		abort();
	fill(tree, nodes);
	if (size > 0 && data[0] < FILES) {
		nodes[data[0]]->stamp.has_hash = true;
		if (fr_baseline_save(tree, fd) < 0)
			abort();
		nodes[data[0]]->stamp.has_hash = false;
		data++;
		size--;
	}
	if (write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	if (fr_baseline_load(tree, fd) > FILES)
		abort();
	fr_tree_free(tree);
	close(fd);
	return 0;
}
