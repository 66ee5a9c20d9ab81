/*
 * tree: what we believe is on the disk, folder by folder, and how each counted file looked when we
 * last looked.
 *
 * A table, nothing more: it never touches the disk, knows no rule, no clock and no kernel
 * interface. Names are bytes. Nodes know their parent and not their path. A name may be that of a
 * file and of a folder at the same time: one of them has taken the place of the other, and nobody
 * has verified yet what became of that one.
 *
 * Folders always have a node. The files of a folder in which nothing happens are packed (see
 * packed.h): who asks for one of them gets nodes for all. They are packed again by fr_tree_pack and
 * fr_tree_settle alone, so that a pointer to the node of a file is good until one of these is
 * called, or the file is removed.
 */
#ifndef FR_TREE_H
#define FR_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fr_hashes;
struct fr_packed;

/* Of the hash of a content. */
#define FR_STAMP_HASH_BITS 62

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
		struct fr_stamp stamp;               /* FILE */
		struct {                             /* all others */
			struct fr_node *first_child; /* but for files that are packed */
			struct fr_packed *packed;    /* the tree's: its files, or NULL */
			union {
				struct fr_node *watch_next; /* other nodes that share the source's
							       watch (one inode, two paths) */
				struct fr_listing *listing; /* has_listing: of a source that needs
							       it, owned */
			};
			struct fr_node *queue_next,
				*queue_prev; /* in the queue of folders to scan */
			int watch;           /* the source's descriptor, or -1: not watched */
			uint32_t loose_at;   /* the tree's: 1 + its place among those that have
						nodes of files, or 0 */
		};
	};
	uint32_t seen;        /* the scan that met it last */
	uint32_t hash_number; /* FILE: its number in the tree's hashes, if its own is not known, or
				 0; FOLDER: that of the first of its packed files */
	uint8_t kind;
	uint8_t source; /* which of the watcher's sources watches it; that of the folder it is in */
	bool has_listing : 1; /* FOLDER */
	bool is_queued : 1;
	bool is_pending_compare : 1; /* FOLDER in the queue: report what differs, do not just record
					it */
	bool is_pending_below : 1;   /* FOLDER in the queue: with all below it */
	bool is_left : 1;     /* FOLDER: gone, or not entered any more; kept until its files are
				 verified */
	bool is_settling : 1; /* FILE: written, and not quiet yet; of the process that polls */
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

/* The child of that name and kind, or NULL; also where memory is too short to unpack it. Constant
 * time, but for that. */
struct fr_node *fr_tree_child(struct fr_tree *tree, struct fr_node *parent, const char *name,
			      enum fr_node_kind kind);

/* The folder that the entry at an absolute path is in, below the innermost root that holds that
 * folder; or NULL. */
struct fr_node *fr_tree_folder_of(const struct fr_tree *tree, const char *path);

/* The file at an absolute path, in the folder that fr_tree_folder_of finds; or NULL, as above. */
struct fr_node *fr_tree_file(struct fr_tree *tree, const char *path);

/* How the file at an absolute path looked, or in that folder; ret_stamp may be NULL. False: there
 * is none. Unpacks nothing. */
bool fr_tree_stamp(const struct fr_tree *tree, const char *path, struct fr_stamp *ret_stamp);
bool fr_tree_stamp_in(const struct fr_tree *tree, const struct fr_node *folder, const char *name,
		      struct fr_stamp *ret_stamp);

/* The innermost root whose path is a prefix of the absolute path, or NULL; *ret_rest is what
 * follows ("" for the root itself). */
struct fr_node *fr_tree_root_of(const struct fr_tree *tree, const char *path,
				const char **ret_rest);

/* Removes a node that has no children and is no longer watched. */
void fr_tree_remove(struct fr_tree *tree, struct fr_node *node);

/* First root, gate or lookout, then node->next; the order is the order of adding. */
struct fr_node *fr_tree_roots(const struct fr_tree *tree);

/* The first of the nodes below any node, or NULL: a file has none, and packed files are none. */
static inline struct fr_node *fr_tree_first_child(const struct fr_node *node)
{
	return node->kind == FR_NODE_FILE ? NULL : node->first_child;
}

/* Is there neither a folder nor a file in the folder? */
static inline bool fr_tree_is_empty(const struct fr_node *folder)
{
	return !folder->first_child && !folder->packed;
}

/* The node after `node` in a walk of all that is below `top` (top first); NULL at the end. The node
 * may not be removed before the call. Packed files have none: watch/walk meets all. */
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

/* How many folders, files (packed or not), gates or lookouts there are. */
size_t fr_tree_count(const struct fr_tree *tree, enum fr_node_kind kind);

/* ---- packed files ---- */

/* Gives all files of the folder nodes, which come before its folders, and in the order in which
 * they were packed. 0 or -ENOMEM: it is as it was. */
int fr_tree_unpack(struct fr_tree *tree, struct fr_node *folder);

/*
 * Packs the files of the folder, whose nodes nobody may hold any more. 0; -EBUSY where a file is
 * settling, or its content is still being read; -EFBIG where there are thousands, -ENAMETOOLONG or
 * -ENOMEM: it is as it was.
 */
int fr_tree_pack(struct fr_tree *tree, struct fr_node *folder);

/* Takes the files of a folder that has none. */
void fr_tree_give(struct fr_tree *tree, struct fr_node *folder, struct fr_packed *packed);

/*
 * Packs folders, a bounded number of them, until only a few files have nodes: those in which
 * something happens now are likely to be asked for again. Nobody may hold nodes of files. Does
 * nothing where little is to be gained.
 */
void fr_tree_settle(struct fr_tree *tree);

/* ---- hashes that others find out ---- */

/* Takes the hashes in which the numbers of nodes are looked up from now on; those before are freed.
 */
void fr_tree_take_hashes(struct fr_tree *tree, struct fr_hashes *hashes);

/* They are complete: a file whose hash is not among them has none. */
void fr_tree_end_hashes(struct fr_tree *tree);

/* Borrowed, for whoever finds them out; or NULL. */
struct fr_hashes *fr_tree_hashes(const struct fr_tree *tree);

/* Completes the stamp of a file with its hash, if that has been found out since. */
void fr_tree_resolve(const struct fr_tree *tree, struct fr_node *file);

#endif
