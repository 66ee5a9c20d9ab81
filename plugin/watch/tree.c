/*
 * tree: what we believe is on the disk. See tree.h.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "watch/hashes.h"
#include "watch/packed.h"
#include "watch/tree.h"

#define FR_TREE_FIRST_BUCKETS 256 /* a power of two, as all later sizes are */
#define FR_TREE_KINDS         4

/* So many files may have nodes at rest; and what one fr_tree_settle does. */
#define FR_TREE_LOOSE_FILES   512
#define FR_TREE_PACKS_AT_ONCE 256
#define FR_TREE_FILES_AT_ONCE 4096

/* A folder of more files is never packed: to unpack it would take long. */
#define FR_TREE_MAX_PACKED 4096

struct fr_tree {
	struct fr_node *first_root, *last_root;
	struct fr_node **buckets;
	size_t buckets_len;
	size_t hashed_len; /* nodes in the buckets: all but those without a parent */
	size_t counts[FR_TREE_KINDS];
	size_t file_nodes;      /* of counts[FR_NODE_FILE]: those that are not packed */
	struct fr_node **loose; /* the folders that they are in; but for those it had no room for */
	size_t loose_len, loose_size, next_loose;
	const struct fr_node *last_loose; /* only to be compared: the last one that became so */
	struct fr_packer packer;
	struct fr_hashes *hashes; /* or NULL */
	bool has_all_hashes;
	bool has_packed; /* some folder: not all trees are of that kind */
	char *path;
	size_t path_size;
};

int fr_tree_new(struct fr_tree **ret_tree)
{
	struct fr_tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -ENOMEM;
	tree->buckets_len = FR_TREE_FIRST_BUCKETS;
	tree->buckets = calloc(tree->buckets_len, sizeof(*tree->buckets));
	if (!tree->buckets) {
		free(tree);
		return -ENOMEM;
	}
	*ret_tree = tree;
	return 0;
}

/* A hash of the name, started from the parent's address: names repeat ("__init__.py"), pairs do
 * not. */
static size_t bucket_of(const struct fr_tree *tree, const struct fr_node *parent, const char *name,
			size_t name_len)
{
	uint64_t hash = fr_hash_bytes(FR_HASH_START ^ ((uintptr_t)parent >> 4), name, name_len);

	return fr_hash_place(hash, tree->buckets_len);
}

static void insert(struct fr_tree *tree, struct fr_node *node)
{
	struct fr_node **bucket =
		&tree->buckets[bucket_of(tree, node->parent, node->name, strlen(node->name))];

	node->bucket_next = *bucket;
	*bucket = node;
}

/* Doubles the table. A table that cannot grow is only slower, so a failure is not reported. */
static void grow(struct fr_tree *tree)
{
	struct fr_node **old = tree->buckets;
	size_t old_len = tree->buckets_len;
	struct fr_node **larger = calloc(old_len * 2, sizeof(*larger));

	if (!larger)
		return;
	tree->buckets = larger;
	tree->buckets_len = old_len * 2;
	for (size_t i = 0; i < old_len; i++) {
		struct fr_node *next;

		for (struct fr_node *node = old[i]; node; node = next) {
			next = node->bucket_next;
			insert(tree, node);
		}
	}
	free(old);
}

static struct fr_node *node_new(const char *name, enum fr_node_kind kind)
{
	size_t name_size = strlen(name) + 1, size = offsetof(struct fr_node, name) + name_size;
	struct fr_node *node = calloc(1, size > sizeof(*node) ? size : sizeof(*node));

	if (!node)
		return NULL;
	node->kind = (uint8_t)kind;
	if (kind != FR_NODE_FILE)
		node->watch = -1;
	memcpy(node->name, name, name_size);
	return node;
}

static void node_free(struct fr_node *node)
{
	if (node->kind != FR_NODE_FILE) {
		if (node->has_listing)
			free(node->listing);
		free(node->packed);
	}
	free(node);
}

/* ---- folders whose files have nodes ---- */

/* One that there is no room for keeps its nodes. */
static void make_loose(struct fr_tree *tree, struct fr_node *folder)
{
	tree->last_loose = folder;
	if (folder->loose_at || !tree->has_packed)
		return;
	if (tree->loose_len == tree->loose_size) {
		size_t size = tree->loose_size ? 2 * tree->loose_size : 16;
		struct fr_node **larger = realloc(tree->loose, size * sizeof(struct fr_node *));

		if (!larger)
			return;
		tree->loose = larger;
		tree->loose_size = size;
	}
	tree->loose[tree->loose_len++] = folder;
	folder->loose_at = (uint32_t)tree->loose_len;
}

static void forget_loose(struct fr_tree *tree, struct fr_node *folder)
{
	struct fr_node *last;

	if (!folder->loose_at)
		return;
	last = tree->loose[--tree->loose_len];
	tree->loose[folder->loose_at - 1] = last;
	last->loose_at = folder->loose_at;
	folder->loose_at = 0;
	if (tree->last_loose == folder)
		tree->last_loose = NULL;
}

struct fr_node *fr_tree_add_root(struct fr_tree *tree, const char *path, enum fr_node_kind kind)
{
	struct fr_node *root = node_new(path, kind);

	if (!root)
		return NULL;
	root->prev = tree->last_root;
	if (tree->last_root)
		tree->last_root->next = root;
	else
		tree->first_root = root;
	tree->last_root = root;
	tree->counts[kind]++;
	return root;
}

/* after: the child of the parent that it comes behind; NULL: it is the first. */
static struct fr_node *add(struct fr_tree *tree, struct fr_node *parent, struct fr_node *after,
			   const char *name, enum fr_node_kind kind)
{
	struct fr_node *node = node_new(name, kind);
	struct fr_node **link = after ? &after->next : &parent->first_child;

	if (!node)
		return NULL;
	node->parent = parent;
	node->source = parent->source;
	node->next = *link;
	node->prev = after;
	if (node->next)
		node->next->prev = node;
	*link = node;
	if (tree->hashed_len >= tree->buckets_len)
		grow(tree);
	insert(tree, node);
	tree->hashed_len++;
	tree->counts[kind]++;
	tree->file_nodes += kind == FR_NODE_FILE;
	return node;
}

struct fr_node *fr_tree_add(struct fr_tree *tree, struct fr_node *parent, const char *name,
			    enum fr_node_kind kind)
{
	if (kind == FR_NODE_FILE) {
		if (fr_tree_unpack(tree, parent) < 0)
			return NULL;
		make_loose(tree, parent);
	}
	return add(tree, parent, NULL, name, kind);
}

static struct fr_node *child_of(const struct fr_tree *tree, const struct fr_node *parent,
				const char *name, size_t name_len, enum fr_node_kind kind)
{
	struct fr_node *node = tree->buckets[bucket_of(tree, parent, name, name_len)];

	while (node && (node->parent != parent || node->kind != kind ||
			strncmp(node->name, name, name_len) != 0 || node->name[name_len] != '\0'))
		node = node->bucket_next;
	return node;
}

struct fr_node *fr_tree_child(struct fr_tree *tree, struct fr_node *parent, const char *name,
			      enum fr_node_kind kind)
{
	struct fr_node *child;

	if (kind == FR_NODE_FILE && fr_tree_unpack(tree, parent) < 0)
		return NULL;
	child = child_of(tree, parent, name, strlen(name), kind);
	if (child && kind == FR_NODE_FILE)
		fr_tree_resolve(tree, child);
	return child;
}

/* fr_tree_root_of for the first path_len bytes of path; *ret_rest_at is where in path the rest
 * begins. */
static struct fr_node *root_of(const struct fr_tree *tree, const char *path, size_t path_len,
			       size_t *ret_rest_at)
{
	struct fr_node *best = NULL;
	size_t best_len = 0;

	for (struct fr_node *root = tree->first_root; root; root = root->next) {
		size_t len = strlen(root->name);

		if (root->kind != FR_NODE_FOLDER || len > path_len ||
		    memcmp(path, root->name, len) != 0)
			continue;
		if (root->name[len - 1] == '/') /* only "/" itself ends in one */
			len--;
		if ((len < path_len && path[len] != '/') || (best && len <= best_len))
			continue;
		best = root;
		best_len = len;
	}
	if (best)
		*ret_rest_at = best_len + (best_len < path_len);
	return best;
}

struct fr_node *fr_tree_root_of(const struct fr_tree *tree, const char *path, const char **ret_rest)
{
	size_t rest_at;
	struct fr_node *root = root_of(tree, path, strlen(path), &rest_at);

	if (root)
		*ret_rest = path + rest_at;
	return root;
}

struct fr_node *fr_tree_folder_of(const struct fr_tree *tree, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t at, len = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
	struct fr_node *node = root_of(tree, path, len, &at);

	while (node && at < len) {
		const char *end = memchr(path + at, '/', len - at);
		size_t name_len = end ? (size_t)(end - path) - at : len - at;

		node = child_of(tree, node, path + at, name_len, FR_NODE_FOLDER);
		at += name_len + 1;
	}
	return node;
}

struct fr_node *fr_tree_file(struct fr_tree *tree, const char *path)
{
	struct fr_node *folder = fr_tree_folder_of(tree, path);

	return folder ? fr_tree_child(tree, folder, strrchr(path, '/') + 1, FR_NODE_FILE) : NULL;
}

/* Number i of a folder's packed files has the number of the first one and i more. */
static void resolve_packed(const struct fr_tree *tree, const struct fr_node *folder,
			   uint32_t number, struct fr_stamp *stamp)
{
	if (folder->hash_number && !stamp->has_hash)
		(void)fr_hashes_get(tree->hashes, folder->hash_number + number, stamp);
}

bool fr_tree_stamp_in(const struct fr_tree *tree, const struct fr_node *folder, const char *name,
		      struct fr_stamp *ret_stamp)
{
	const struct fr_node *node =
		folder->packed ? NULL : child_of(tree, folder, name, strlen(name), FR_NODE_FILE);
	struct fr_unpacker unpacker;

	if (node && ret_stamp) {
		*ret_stamp = node->stamp;
		(void)fr_hashes_get(tree->hashes, node->hash_number, ret_stamp);
	}
	if (node || !folder->packed)
		return node != NULL;
	fr_unpacker_init(&unpacker, folder->packed);
	for (uint32_t i = 0; fr_unpacker_next(&unpacker); i++) {
		if (strcmp(unpacker.name, name) != 0)
			continue;
		resolve_packed(tree, folder, i, &unpacker.stamp);
		if (ret_stamp)
			*ret_stamp = unpacker.stamp;
		return true;
	}
	return false;
}

bool fr_tree_stamp(const struct fr_tree *tree, const char *path, struct fr_stamp *ret_stamp)
{
	const struct fr_node *folder = fr_tree_folder_of(tree, path);

	return folder && fr_tree_stamp_in(tree, folder, strrchr(path, '/') + 1, ret_stamp);
}

static void unlink_from_siblings(struct fr_tree *tree, struct fr_node *node)
{
	if (node->next)
		node->next->prev = node->prev;
	else if (!node->parent)
		tree->last_root = node->prev;
	if (node->prev)
		node->prev->next = node->next;
	else if (node->parent)
		node->parent->first_child = node->next;
	else
		tree->first_root = node->next;
}

void fr_tree_remove(struct fr_tree *tree, struct fr_node *node)
{
	if (node->parent) {
		struct fr_node **link = &tree->buckets[bucket_of(tree, node->parent, node->name,
								 strlen(node->name))];

		while (*link != node)
			link = &(*link)->bucket_next;
		*link = node->bucket_next;
		tree->hashed_len--;
	}
	unlink_from_siblings(tree, node);
	tree->counts[node->kind]--;
	if (node->kind == FR_NODE_FILE)
		tree->file_nodes--;
	else
		forget_loose(tree, node);
	node_free(node);
}

struct fr_node *fr_tree_roots(const struct fr_tree *tree)
{
	return tree->first_root;
}

struct fr_node *fr_tree_next(const struct fr_node *node, const struct fr_node *top)
{
	struct fr_node *child = fr_tree_first_child(node);

	return child ? child : fr_tree_next_beside(node, top);
}

struct fr_node *fr_tree_next_beside(const struct fr_node *node, const struct fr_node *top)
{
	while (node != top && !node->next)
		node = node->parent;
	return node == top ? NULL : node->next;
}

/* The length of node's path, without a '/' at its end (0 for "/"). */
static size_t path_len(const struct fr_node *node)
{
	size_t len = 0;

	for (; node->parent; node = node->parent)
		len += strlen(node->name) + 1;
	len += strlen(node->name);
	return node->name[0] == '/' && node->name[1] == '\0' ? len - 1 : len;
}

const char *fr_tree_path_in(struct fr_tree *tree, const struct fr_node *folder, const char *name,
			    const char **ret_relative)
{
	size_t folder_len = path_len(folder), name_len = strlen(name);
	size_t need = folder_len + 1 + name_len + 1;
	char *end;

	if (need > tree->path_size) {
		char *larger = realloc(tree->path, need * 2);

		if (!larger)
			return NULL;
		tree->path = larger;
		tree->path_size = need * 2;
	}
	end = tree->path + folder_len;
	*end = '/';
	memcpy(end + 1, name, name_len + 1);
	for (; folder->parent; folder = folder->parent) {
		size_t len = strlen(folder->name);

		end -= len;
		memcpy(end, folder->name, len);
		*--end = '/';
	}
	memcpy(tree->path, folder->name, (size_t)(end - tree->path));
	if (ret_relative)
		*ret_relative = end + 1;
	return tree->path;
}

const char *fr_tree_path(struct fr_tree *tree, const struct fr_node *node,
			 const char **ret_relative)
{
	const char *path;

	if (node->parent)
		return fr_tree_path_in(tree, node->parent, node->name, ret_relative);
	path = node->name;
	if (ret_relative)
		*ret_relative = path + strlen(path);
	return path;
}

size_t fr_tree_count(const struct fr_tree *tree, enum fr_node_kind kind)
{
	return tree->counts[kind];
}

/* ---- hashes that others find out ---- */

void fr_tree_take_hashes(struct fr_tree *tree, struct fr_hashes *hashes)
{
	fr_hashes_free(tree->hashes);
	tree->hashes = hashes;
	tree->has_all_hashes = false;
}

void fr_tree_end_hashes(struct fr_tree *tree)
{
	tree->has_all_hashes = true;
}

struct fr_hashes *fr_tree_hashes(const struct fr_tree *tree)
{
	return tree->hashes;
}

void fr_tree_resolve(const struct fr_tree *tree, struct fr_node *file)
{
	if (file->hash_number &&
	    (fr_hashes_get(tree->hashes, file->hash_number, &file->stamp) || tree->has_all_hashes))
		file->hash_number = 0;
}

/* ---- packed files ---- */

/* Removes the nodes of so many of the folder's files, the first ones. */
static void remove_files(struct fr_tree *tree, struct fr_node *folder, size_t len)
{
	struct fr_node *next;

	for (struct fr_node *node = folder->first_child; node && len > 0; node = next) {
		next = node->next;
		if (node->kind != FR_NODE_FILE)
			continue;
		fr_tree_remove(tree, node);
		len--;
	}
}

int fr_tree_unpack(struct fr_tree *tree, struct fr_node *folder)
{
	struct fr_packed *packed = folder->packed;
	struct fr_node *node = NULL;
	struct fr_unpacker unpacker;
	uint32_t len = 0;

	if (!packed)
		return 0;
	fr_unpacker_init(&unpacker, packed);
	while (fr_unpacker_next(&unpacker)) {
		node = add(tree, folder, node, unpacker.name, FR_NODE_FILE);
		if (!node) {
			remove_files(tree, folder, len);
			return -ENOMEM;
		}
		node->stamp = unpacker.stamp;
		node->hash_number = folder->hash_number && !node->stamp.has_hash
					    ? folder->hash_number + len
					    : 0;
		fr_tree_resolve(tree, node);
		len++;
	}
	tree->counts[FR_NODE_FILE] -= len; /* they had been counted */
	folder->packed = NULL;
	folder->hash_number = 0;
	free(packed);
	make_loose(tree, folder);
	return 0;
}

/* Puts the folder's files into the packer. */
static int pack_into(struct fr_tree *tree, const struct fr_node *folder)
{
	int error = 0;

	for (struct fr_node *node = folder->first_child; node && !error; node = node->next) {
		if (node->kind != FR_NODE_FILE)
			continue;
		fr_tree_resolve(tree, node);
		if (node->hash_number || node->is_settling)
			error = -EBUSY;
		else if (tree->packer.count == FR_TREE_MAX_PACKED)
			error = -EFBIG;
		else
			error = fr_packer_add(&tree->packer, node->name, &node->stamp);
	}
	return error;
}

int fr_tree_pack(struct fr_tree *tree, struct fr_node *folder)
{
	struct fr_packed *packed = NULL;
	int error;

	if (folder->packed)
		return 0;
	tree->has_packed = true;
	error = pack_into(tree, folder);
	if (error)
		fr_packer_reset(&tree->packer);
	else
		error = fr_packer_end(&tree->packer, &packed);
	if (!error)
		remove_files(tree, folder, SIZE_MAX);
	if (!error || error == -EFBIG)
		forget_loose(tree, folder);
	if (packed)
		fr_tree_give(tree, folder, packed);
	return error;
}

void fr_tree_give(struct fr_tree *tree, struct fr_node *folder, struct fr_packed *packed)
{
	tree->has_packed = true;
	folder->packed = packed;
	folder->hash_number = 0;
	tree->counts[FR_NODE_FILE] += fr_packed_count(packed);
}

/* The last one stays: whoever works in a folder of ten thousand files should not wait each time
 * until all are unpacked and packed again. */
void fr_tree_settle(struct fr_tree *tree)
{
	size_t tries = tree->loose_len, floor = FR_TREE_LOOSE_FILES;

	if (tries > FR_TREE_PACKS_AT_ONCE)
		tries = FR_TREE_PACKS_AT_ONCE;
	if (tree->file_nodes > floor + FR_TREE_FILES_AT_ONCE)
		floor = tree->file_nodes - FR_TREE_FILES_AT_ONCE;
	for (; tries > 0 && tree->file_nodes > floor && tree->loose_len > 0; tries--) {
		struct fr_node *folder;

		if (tree->next_loose >= tree->loose_len)
			tree->next_loose = 0;
		folder = tree->loose[tree->next_loose];
		/* Another has its place when it is packed. */
		if (folder == tree->last_loose || fr_tree_pack(tree, folder) < 0)
			tree->next_loose++;
	}
}

/* Children before their parents, without recursion: user trees may be deep. */
void fr_tree_free(struct fr_tree *tree)
{
	struct fr_node *node;

	if (!tree)
		return;
	while ((node = tree->first_root)) {
		while (fr_tree_first_child(node))
			node = node->first_child;
		unlink_from_siblings(tree, node);
		node_free(node);
	}
	fr_packer_clear(&tree->packer);
	fr_hashes_free(tree->hashes);
	free(tree->loose);
	free(tree->buckets);
	free(tree->path);
	free(tree);
}
