/*
 * tree: what we believe is on the disk, folder by folder, and how each counted file looked when we
 * last looked.
 *
 * A table, nothing more: it never touches the disk, knows no rule, no clock and no kernel
 * interface. Names are bytes. Nodes know their parent and not their path. A name may be that of a
 * file and of a folder at the same time: one of them has taken the place of the other, and nobody
 * has verified yet what became of that one.
 */
#ifndef FR_TREE_H
#define FR_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How a file looked: equal stamps mean "nobody has written to it", unless it was stamped within the
 * clock's tick. */
struct fr_stamp {
	ino_t ino;
	off_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	uint64_t hash; /* of the content; meaningful if has_hash */
	uint32_t dev;  /* Linux needs no more */
	bool has_hash;
	bool is_fresh; /* stamped so soon after the write that an equal stamp proves nothing */
};

/* A folder as it was when a source that lists again and again listed it last. */
struct fr_listing {
	ino_t ino;
	dev_t dev;
	int64_t mtime_ns, ctime_ns;
	int64_t moved_ms;  /* when these were seen to move */
	int64_t listed_ms; /* when it was listed */
	uint32_t round;    /* of looks, the last one in which it was looked at */
};

enum fr_node_kind {
	FR_NODE_FOLDER,
	FR_NODE_FILE,
	FR_NODE_GATE, /* a folder above a watched one that is missing: watched only to see that one
			 come back */
	FR_NODE_LOOKOUT, /* a folder with an ignore file that has a say in watched ones: watched
			    only to see that change */
};

/* There are many, so that what only files or only folders need shares its place. */
struct fr_node {
	struct fr_node *parent; /* NULL for a root, a gate and a lookout, whose name is their
				   absolute path */
	struct fr_node *next, *prev;
	struct fr_node *bucket_next; /* in the tree's table of (parent, name) */
	union {
		struct fr_stamp stamp; /* FILE */
		struct {               /* all others */
			struct fr_node *first_child;
			struct fr_node *watch_next; /* other nodes that share the source's watch
						       (one inode, two paths) */
			struct fr_node *queue_next,
				*queue_prev;        /* in the queue of folders to scan */
			struct fr_listing *listing; /* of a source that needs it, owned; or NULL */
			int watch; /* the source's descriptor, or -1: not watched */
		};
	};
	uint32_t seen;          /* the scan that met it last */
	uint32_t baseline_slot; /* FILE: 1 + its slot in the baseline being hashed, or 0 */
	uint8_t kind;
	uint8_t source; /* which of the watcher's sources watches it; that of the folder it is in */
	bool is_queued;
	bool is_pending_compare; /* FOLDER in the queue: report what differs, do not just record it
				  */
	bool is_pending_below;   /* FOLDER in the queue: with all below it */
	bool is_left; /* FOLDER: gone, or not entered any more; kept until its files are verified */
	bool is_settling; /* FILE: written, and not quiet yet; of the process that polls */
	char name[];
};

struct fr_tree;

/* 0 or -ENOMEM; the caller owns *ret_tree. */
int fr_tree_new(struct fr_tree **ret_tree);

/* Frees the tree with all its nodes; NULL is fine. */
void fr_tree_free(struct fr_tree *tree);

/*
 * Adds a root, a gate or a lookout with an absolute path, or a node below parent. Returns the node,
 * owned by the tree, or NULL where memory is short. Does not look whether there is one of that name
 * already.
 */
struct fr_node *fr_tree_add_root(struct fr_tree *tree, const char *path, enum fr_node_kind kind);
struct fr_node *fr_tree_add(struct fr_tree *tree, struct fr_node *parent, const char *name,
			    enum fr_node_kind kind);

/* The child of that name and kind, or NULL. Constant time. */
struct fr_node *fr_tree_child(const struct fr_tree *tree, const struct fr_node *parent,
			      const char *name, enum fr_node_kind kind);

/* The folder that the entry at an absolute path is in, below the innermost root that holds that
 * folder; or NULL. */
struct fr_node *fr_tree_folder_of(const struct fr_tree *tree, const char *path);

/* The file at an absolute path, in the folder that fr_tree_folder_of finds; or NULL. */
struct fr_node *fr_tree_file(const struct fr_tree *tree, const char *path);

/* The innermost root whose path is a prefix of the absolute path, or NULL; *ret_rest is what
 * follows ("" for the root itself). */
struct fr_node *fr_tree_root_of(const struct fr_tree *tree, const char *path,
				const char **ret_rest);

/* Removes a node that has no children and is no longer watched. */
void fr_tree_remove(struct fr_tree *tree, struct fr_node *node);

/* First root, gate or lookout, then node->next; the order is the order of adding. */
struct fr_node *fr_tree_roots(const struct fr_tree *tree);

/* The first of the nodes below any node, or NULL: a file has none. */
static inline struct fr_node *fr_tree_first_child(const struct fr_node *node)
{
	return node->kind == FR_NODE_FILE ? NULL : node->first_child;
}

/* The node after `node` in a walk of all that is below `top` (top first); NULL at the end. The node
 * may not be removed before the call. */
struct fr_node *fr_tree_next(const struct fr_node *node, const struct fr_node *top);

/* The same, without what is below `node`. */
struct fr_node *fr_tree_next_beside(const struct fr_node *node, const struct fr_node *top);

/*
 * Writes the absolute path of node into the tree's own buffer and returns it; valid until the next
 * call on this tree. NULL where memory is short. *ret_relative (may be NULL) points to the part
 * below the root.
 */
const char *fr_tree_path(struct fr_tree *tree, const struct fr_node *node,
			 const char **ret_relative);

/* As above, for the entry `name` of the folder. */
const char *fr_tree_path_in(struct fr_tree *tree, const struct fr_node *folder, const char *name,
			    const char **ret_relative);

/* How many nodes of a kind there are. */
size_t fr_tree_count(const struct fr_tree *tree, enum fr_node_kind kind);

#endif
