/*
 * tree: what we believe is on the disk. See tree.h.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "watch/tree.h"

#define FR_TREE_FIRST_BUCKETS 256 /* a power of two, as all later sizes are */
#define FR_TREE_KINDS         4

struct fr_tree {
	struct fr_node *first_root, *last_root;
	struct fr_node **buckets;
	size_t buckets_len;
	size_t hashed_len; /* nodes in the buckets: all but those without a parent */
	size_t counts[FR_TREE_KINDS];
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
	if (node->kind != FR_NODE_FILE)
		free(node->listing);
	free(node);
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

struct fr_node *fr_tree_add(struct fr_tree *tree, struct fr_node *parent, const char *name,
			    enum fr_node_kind kind)
{
	struct fr_node *node = node_new(name, kind);

	if (!node)
		return NULL;
	node->parent = parent;
	node->source = parent->source;
	node->next = parent->first_child;
	if (node->next)
		node->next->prev = node;
	parent->first_child = node;
	if (tree->hashed_len >= tree->buckets_len)
		grow(tree);
	insert(tree, node);
	tree->hashed_len++;
	tree->counts[kind]++;
	return node;
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

struct fr_node *fr_tree_child(const struct fr_tree *tree, const struct fr_node *parent,
			      const char *name, enum fr_node_kind kind)
{
	return child_of(tree, parent, name, strlen(name), kind);
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

struct fr_node *fr_tree_file(const struct fr_tree *tree, const char *path)
{
	struct fr_node *folder = fr_tree_folder_of(tree, path);

	return folder ? fr_tree_child(tree, folder, strrchr(path, '/') + 1, FR_NODE_FILE) : NULL;
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
	free(tree->buckets);
	free(tree->path);
	free(tree);
}
