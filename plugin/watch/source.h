/*
 * source: the contract of everything that can say "something happened to that name in that folder".
 *
 * A source watches folders, one by one, as the watcher tells it to, and reports hints. It knows no
 * rule and reads no file: a hint says where to look, the disk says what is true. One backend is one
 * file.
 */
#ifndef FR_SOURCE_H
#define FR_SOURCE_H

#include <stddef.h>

struct fr_ignorefiles;
struct fr_node;
struct fr_rules;
struct fr_source;
struct fr_stamp;
struct fr_tree;

enum fr_hint {
	FR_HINT_WRITING,       /* a file is being created or written; more is to come */
	FR_HINT_WRITTEN,       /* a writer has closed a file */
	FR_HINT_ATTRIB,        /* times, mode or owner of a file were set */
	FR_HINT_GONE,          /* a file was deleted or moved away */
	FR_HINT_MOVED_HERE,    /* a complete file was moved here */
	FR_HINT_FOLDER_CAME,   /* a folder was created or moved here */
	FR_HINT_FOLDER_GONE,   /* a folder was deleted or moved away */
	FR_HINT_FOLDER_ATTRIB, /* times, mode or owner of a folder were set: it may be readable now
				*/
	FR_HINT_SELF_CHANGED,  /* the watched folder itself was moved, deleted or unmounted; no name
				*/
	FR_HINT_WATCH_DROPPED, /* the watched folder is no longer watched (node->watch is -1 now);
				  no name */
	FR_HINT_LOST,          /* events were lost: anything may have changed; no folder, no name */
	FR_HINT_KNOWN, /* nothing happened: the file at a path counts from now on, and looks as
			  stamp() has it */
	FR_HINT_SAY,   /* nothing happened: name is what there is to say of the folder, for the log:
			  "answers again" */
	FR_HINT_LOOK,  /* something happened at a path, or below it; no folder, and name is the
			  absolute path */
	FR_HINT_BACK,  /* the source, of which step() had said that it sees nothing any more, sees
			  again; no folder, no name */
};

/*
 * Takes one hint. folder is a node given to add(); name is an entry of it, borrowed for the call.
 * A source that thinks in paths gives no folder, and an absolute path for a name: LOOK, or one of
 * WRITING, WRITTEN, ATTRIB, GONE of a file. May call add() and remove() of the same source, and
 * free any node once it is removed, folder too.
 */
typedef void fr_source_report(void *ctx, struct fr_node *folder, const char *name,
			      enum fr_hint hint);

struct fr_source_ops {
	const char *name;

	/* Opens the source: 0 and *ret_source (owned by the caller), or a negative errno. The
	 * descriptor is close-on-exec. */
	int (*open)(struct fr_source **ret_source);

	/*
	 * Starts watching a folder, or makes sure that it is the folder now at `path` which is
	 * watched. Sets node->watch, to anything but -1 where the source has no number for each
	 * folder; the node is borrowed until remove(). 0 or a negative errno:
	 * -ENOENT, -ENOTDIR: gone meanwhile; -EACCES; -ENOSPC: a limit of the system.
	 */
	int (*add)(struct fr_source *source, struct fr_node *folder, const char *path);

	/* Stops watching a folder; nothing happens for one that is not watched. Sets node->watch to
	 * -1. */
	void (*remove)(struct fr_source *source, struct fr_node *folder);

	/* The descriptor that becomes readable when step() has something to do: the same one from
	 * open() to close(). A source with several has an epoll(7) of its own; one that nothing
	 * wakes gives -1. */
	int (*fd)(const struct fr_source *source);

	/* Writes the descriptors that are open now, fd() among them, to fds, and returns how many,
	 * max_fds at most. NULL: there is only fd(). Async-signal-safe. */
	size_t (*fds)(const struct fr_source *source, int *fds, size_t max_fds);

	/*
	 * Reports what is waiting, a bounded amount of it. 1: there may be more, 0: nothing is
	 * left, or a negative errno: it sees nothing any more, and says so once. Never blocks, and
	 * does nothing in a process that is not the one that last called own().
	 */
	int (*step)(struct fr_source *source, fr_source_report *report, void *ctx);

	/*
	 * For a source that needs more than names, and NULL for others: what the folders given to
	 * add() belong to, once, before the first of them. The nodes that are this source's have
	 * index for node->source. files may be NULL. All of it is borrowed until close().
	 */
	void (*bind)(struct fr_source *source, struct fr_tree *tree, const struct fr_rules *rules,
		     struct fr_ignorefiles *files, unsigned index);

	/*
	 * For a source that looks at the disk from a process of its own, because to look may take
	 * for ever; NULL for others, whose files the watcher looks at itself.
	 *
	 * look: somebody else says that something happened at the absolute path, or below it.
	 * stamp: how the file at the absolute path looked when the source last said something of
	 * it. 0, -ENOENT: it was gone, -ESTALE: it is in a folder that is not entered any more, or
	 * -EAGAIN: nothing was said since the last call, it is as the tree has it.
	 */
	void (*look)(struct fr_source *source, const char *path);
	int (*stamp)(struct fr_source *source, const char *path, struct fr_stamp *ret_stamp);

	/*
	 * What the source of the next image, after the exec of a full reload, needs to go on where
	 * this one stands; NULL for those that need nothing. save: writes one line without its
	 * newline, of at most text_size bytes, and returns its length; 0: nothing. restore: takes
	 * that line, or anything else, of which it believes nothing; to be called before the first
	 * add().
	 */
	size_t (*save)(const struct fr_source *source, char *text, size_t text_size);
	void (*restore)(struct fr_source *source, const char *text, size_t text_len);

	/* Makes the calling process the owner: the one that reads (the master may change its pid
	 * once, when it daemonizes). */
	void (*own)(struct fr_source *source);

	/* Closes the descriptor and forgets the nodes without touching them; NULL is fine. Safe in
	 * a forked child: it takes no watch from the owner. */
	void (*close)(struct fr_source *source);

	/* Writes one sentence for a failure of open() or add(): which limit, its value, what would
	 * be right. */
	void (*explain)(int error, unsigned long wanted, char *text, unsigned long text_size);
};

extern const struct fr_source_ops fr_fanotify_ops;
extern const struct fr_source_ops fr_inotify_ops;
extern const struct fr_source_ops fr_watchman_ops;
extern const struct fr_source_ops fr_poll_ops;
extern const struct fr_source_ops fr_push_ops;

#endif
