/*
 * lookout: the folders that are watched for an Emperor. See lookout.h.
 *
 * One table of the kind that the watcher has: a folder is a child of the one root, with its whole
 * path as its name. An entry that matters is a file in it, and a pattern is, for want of a kind of
 * its own, a folder in it that is never watched.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>

#include "emperor/lookout.h"
#include "watch/tree.h"

struct fr_lookout {
	const struct fr_source_ops *ops;
	struct fr_source *source;
	struct fr_tree *tree;
	struct fr_node *root;
	uint32_t round; /* of begin() and end() */
	int error;      /* the first of this round */
	fr_lookout_heard *heard;
	void *heard_ctx;
};

int fr_lookout_new(const struct fr_source_ops *ops, struct fr_lookout **ret_lookout)
{
	struct fr_lookout *lookout = calloc(1, sizeof(*lookout));
	int error = -ENOMEM;

	if (!lookout || fr_tree_new(&lookout->tree) < 0)
		goto failed;
	lookout->root = fr_tree_add_root(lookout->tree, "", FR_NODE_FOLDER);
	if (!lookout->root)
		goto failed;
	lookout->ops = ops;
	error = ops->open(&lookout->source);
	if (error)
		goto failed;
	*ret_lookout = lookout;
	return 0;
failed:
	fr_lookout_free(lookout);
	return error;
}

void fr_lookout_free(struct fr_lookout *lookout)
{
	if (!lookout)
		return;
	if (lookout->ops)
		lookout->ops->close(lookout->source);
	fr_tree_free(lookout->tree);
	free(lookout);
}

int fr_lookout_fd(const struct fr_lookout *lookout)
{
	return lookout->ops->fd(lookout->source);
}

void fr_lookout_begin(struct fr_lookout *lookout)
{
	lookout->round++;
	lookout->error = 0;
}

static struct fr_node *child_for(struct fr_lookout *lookout, struct fr_node *parent,
				 const char *name, enum fr_node_kind kind)
{
	struct fr_node *node = fr_tree_child(lookout->tree, parent, name, kind);

	if (!node)
		node = fr_tree_add(lookout->tree, parent, name, kind);
	if (!node && !lookout->error)
		lookout->error = -ENOMEM;
	return node;
}

void fr_lookout_post(struct fr_lookout *lookout, const char *folder, const char *name,
		     bool is_pattern)
{
	enum fr_node_kind kind = is_pattern ? FR_NODE_FOLDER : FR_NODE_FILE;
	struct fr_node *node = child_for(lookout, lookout->root, folder, FR_NODE_FOLDER);
	struct fr_node *entry = node ? child_for(lookout, node, name, kind) : NULL;
	int error;

	if (!entry)
		return;
	entry->seen = lookout->round;
	if (node->seen == lookout->round)
		return;
	node->seen = lookout->round;
	/* Each time: the path may lead to another folder by now, without a word from the source. */
	error = lookout->ops->add(lookout->source, node, folder);
	if (error && error != -ENOENT && error != -ENOTDIR && !lookout->error)
		lookout->error = error;
}

/* Removes the children of node that were not given in this round. Returns how many stay. */
static unsigned long sweep(struct fr_lookout *lookout, struct fr_node *node)
{
	struct fr_node *next;
	unsigned long len = 0;

	for (struct fr_node *child = node->first_child; child; child = next) {
		next = child->next;
		if (child->seen == lookout->round) {
			len++;
			continue;
		}
		lookout->ops->remove(lookout->source, child);
		while (child->first_child)
			fr_tree_remove(lookout->tree, child->first_child);
		fr_tree_remove(lookout->tree, child);
	}
	return len;
}

int fr_lookout_end(struct fr_lookout *lookout, unsigned long *ret_wanted)
{
	*ret_wanted = sweep(lookout, lookout->root);
	for (struct fr_node *node = lookout->root->first_child; node; node = node->next)
		(void)sweep(lookout, node);
	return lookout->error;
}

static bool is_wanted(const struct fr_lookout *lookout, const struct fr_node *folder,
		      const char *name)
{
	if (fr_tree_stamp_in(lookout->tree, folder, name, NULL))
		return true;
	for (const struct fr_node *entry = folder->first_child; entry; entry = entry->next) {
		if (entry->kind == FR_NODE_FOLDER && fnmatch(entry->name, name, FNM_PERIOD) == 0)
			return true;
	}
	return false;
}

static void take_hint(void *ctx, struct fr_node *folder, const char *name, enum fr_hint hint)
{
	struct fr_lookout *lookout = ctx;

	if (!folder || !name)
		lookout->heard(lookout->heard_ctx, NULL, NULL, hint);
	else if (is_wanted(lookout, folder, name))
		lookout->heard(lookout->heard_ctx, folder->name, name, hint);
}

int fr_lookout_step(struct fr_lookout *lookout, fr_lookout_heard *heard, void *ctx)
{
	lookout->heard = heard;
	lookout->heard_ctx = ctx;
	return lookout->ops->step(lookout->source, take_hint, lookout);
}
