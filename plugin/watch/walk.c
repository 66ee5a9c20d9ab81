/*
 * walk: all files of a tree. See walk.h.
 */
#include <stddef.h>

#include "watch/hashes.h"
#include "watch/walk.h"

static void enter(struct fr_walk *walk, struct fr_node *node)
{
	bool is_entered =
		node && node->kind == FR_NODE_FOLDER && (!walk->is_flat || node == walk->top);

	walk->node = node;
	fr_unpacker_init(&walk->unpacker, is_entered ? node->packed : NULL);
	walk->next_packed = 0;
}

static void begin(struct fr_walk *walk, const struct fr_tree *tree, struct fr_node *top)
{
	walk->hashes = fr_tree_hashes(tree);
	walk->top = top;
	enter(walk, top);
}

void fr_walk_begin(struct fr_walk *walk, const struct fr_tree *tree)
{
	walk->is_alone = walk->is_flat = false;
	begin(walk, tree, fr_tree_roots(tree));
}

void fr_walk_begin_below(struct fr_walk *walk, const struct fr_tree *tree, struct fr_node *top)
{
	walk->is_alone = true;
	walk->is_flat = false;
	begin(walk, tree, top);
}

void fr_walk_begin_in(struct fr_walk *walk, const struct fr_tree *tree, struct fr_node *folder)
{
	walk->is_alone = walk->is_flat = true;
	begin(walk, tree, folder);
}

/* The node after the one at hand, or NULL. */
static struct fr_node *next_node(struct fr_walk *walk)
{
	struct fr_node *next;

	if (walk->is_flat)
		return walk->node == walk->top ? fr_tree_first_child(walk->node) : walk->node->next;
	next = fr_tree_next(walk->node, walk->top);
	if (!next && !walk->is_alone)
		walk->top = next = walk->top->next;
	return next;
}

/* What the tree's hashes know of it. */
static bool take(struct fr_walk *walk, struct fr_node *folder, const char *name,
		 const struct fr_stamp *stamp, uint32_t hash_number)
{
	walk->folder = folder;
	walk->name = name;
	walk->stamp = *stamp;
	walk->hash_number = stamp->has_hash ? 0 : hash_number;
	if (walk->hash_number)
		(void)fr_hashes_get(walk->hashes, walk->hash_number, &walk->stamp);
	return true;
}

bool fr_walk_next(struct fr_walk *walk)
{
	while (walk->node) {
		struct fr_node *node = walk->node;

		if (fr_unpacker_next(&walk->unpacker)) {
			uint32_t number = walk->next_packed++;

			return take(walk, node, walk->unpacker.name, &walk->unpacker.stamp,
				    node->hash_number ? node->hash_number + number : 0);
		}
		node = next_node(walk);
		enter(walk, node);
		if (node && node->kind == FR_NODE_FILE)
			return take(walk, node->parent, node->name, &node->stamp,
				    node->hash_number);
	}
	return false;
}
