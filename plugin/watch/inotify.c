/*
 * inotify: the source for what this kernel does itself, inotify(7).
 *
 * Turns kernel records into hints and keeps the table from watch descriptors to nodes. It must not
 * know rules or look at the disk. One inode is one descriptor however many paths lead to it, so a
 * descriptor has a list of nodes, and all use one mask.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "watch/source.h"
#include "watch/tree.h"

/*
 * MODIFY tells a save from a `touch`, which sets times and closes a descriptor that it never wrote
 * to. ACCESS and OPEN are not asked for: every import of the application would wake us.
 */
#define FR_INOTIFY_MASK                                                                            \
	(IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |        \
	 IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

#define FR_INOTIFY_FIRST_BUCKETS  64 /* a power of two */
#define FR_INOTIFY_BUFFER_SIZE    (64 * 1024)
#define FR_INOTIFY_READS_PER_STEP 4 /* bounds one step to some thousand records */
#define FR_INOTIFY_LARGEST_RECORD ((ssize_t)sizeof(struct inotify_event) + NAME_MAX + 1)

struct fr_wd_entry {
	int wd;
	struct fr_node
		*nodes; /* linked by watch_next; NULL marks a free entry that probes go on behind */
	bool is_used;
};

struct fr_source {
	int fd;
	pid_t owner;
	struct fr_wd_entry *entries; /* open addressing, linear probing */
	size_t entries_len;          /* a power of two */
	size_t used_len;             /* used, with those whose nodes are NULL */
	struct fr_node *next_told;   /* of the nodes that share the record at hand, or NULL */
};

static size_t first_probe(const struct fr_source *source, int wd)
{
	return ((size_t)wd * 0x9E3779B1u) & (source->entries_len - 1);
}

/* The entry of wd, or the unused one where it would go. There always is one: the table is never
 * more than half full. */
static struct fr_wd_entry *entry_of(const struct fr_source *source, int wd)
{
	size_t i = first_probe(source, wd);

	while (source->entries[i].is_used && source->entries[i].wd != wd)
		i = (i + 1) & (source->entries_len - 1);
	return &source->entries[i];
}

/* Makes a table with room for twice the watches in use, without those that are gone. */
static int rehash(struct fr_source *source)
{
	struct fr_source fresh = *source;
	size_t live = 0;

	for (size_t i = 0; i < source->entries_len; i++)
		live += source->entries[i].nodes != NULL;
	fresh.entries_len = FR_INOTIFY_FIRST_BUCKETS;
	while (fresh.entries_len < live * 4)
		fresh.entries_len *= 2;
	fresh.entries = calloc(fresh.entries_len, sizeof(*fresh.entries));
	if (!fresh.entries)
		return -ENOMEM;
	fresh.used_len = live;
	for (size_t i = 0; i < source->entries_len; i++) {
		if (source->entries[i].nodes)
			*entry_of(&fresh, source->entries[i].wd) = source->entries[i];
	}
	free(source->entries);
	*source = fresh;
	return 0;
}

static int inotify_open(struct fr_source **ret_source)
{
	struct fr_source *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return -ENOMEM;
	error = rehash(source);
	if (error) {
		free(source);
		return error;
	}
	source->owner = getpid();
	source->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (source->fd < 0) {
		error = -errno;
		free(source->entries);
		free(source);
		return error;
	}
	*ret_source = source;
	return 0;
}

/* Takes the node out of the list of its descriptor. Returns whether it was the last one there. */
static bool detach(struct fr_source *source, struct fr_node *node)
{
	struct fr_wd_entry *entry = entry_of(source, node->watch);
	struct fr_node **link = &entry->nodes;

	if (source->next_told == node)
		source->next_told = node->watch_next;
	node->watch = -1;
	while (*link && *link != node)
		link = &(*link)->watch_next;
	if (!*link)
		return false;
	*link = node->watch_next;
	node->watch_next = NULL;
	return !entry->nodes;
}

/* EINVAL: the kernel had dropped it already, and IN_IGNORED is in the queue. */
static void inotify_remove(struct fr_source *source, struct fr_node *folder)
{
	int wd = folder->watch;

	if (wd >= 0 && detach(source, folder) && source->owner == getpid())
		(void)inotify_rm_watch(source->fd, wd);
}

static int inotify_add(struct fr_source *source, struct fr_node *folder, const char *path)
{
	struct fr_wd_entry *entry;
	int wd;

	/* First, so that no watch is made that the table has no room for. */
	if (source->used_len * 2 >= source->entries_len && rehash(source) < 0)
		return -ENOMEM;
	wd = inotify_add_watch(source->fd, path, FR_INOTIFY_MASK);
	if (wd < 0) {
		int error = -errno;

		inotify_remove(source, folder);
		return error;
	}
	if (wd == folder->watch)
		return 0;
	inotify_remove(source, folder);
	entry = entry_of(source, wd);
	if (!entry->is_used) {
		*entry = (struct fr_wd_entry){.wd = wd, .is_used = true};
		source->used_len++;
	}
	folder->watch = wd;
	folder->watch_next = entry->nodes;
	entry->nodes = folder;
	return 0;
}

static int inotify_fd(const struct fr_source *source)
{
	return source->fd;
}

static void inotify_own(struct fr_source *source)
{
	source->owner = getpid();
}

/* What a record says of one entry, or of the folder itself. -1: nothing of interest. */
static int hint_of(uint32_t mask)
{
	if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
		return FR_HINT_SELF_CHANGED;
	if (mask & IN_ISDIR) {
		if (mask & (IN_CREATE | IN_MOVED_TO))
			return FR_HINT_FOLDER_CAME;
		if (mask & (IN_DELETE | IN_MOVED_FROM))
			return FR_HINT_FOLDER_GONE;
		return mask & IN_ATTRIB ? FR_HINT_FOLDER_ATTRIB : -1;
	}
	if (mask & (IN_DELETE | IN_MOVED_FROM))
		return FR_HINT_GONE;
	if (mask & IN_MOVED_TO)
		return FR_HINT_MOVED_HERE;
	if (mask & IN_CLOSE_WRITE)
		return FR_HINT_WRITTEN;
	if (mask & (IN_CREATE | IN_MODIFY))
		return FR_HINT_WRITING;
	return mask & IN_ATTRIB ? FR_HINT_ATTRIB : -1;
}

/* The kernel has dropped the watch. Descriptors are not reused while their records wait, so only
 * this one can be meant. */
static void ignored(struct fr_source *source, int wd, fr_source_report *report, void *ctx)
{
	struct fr_node *node;

	while ((node = entry_of(source, wd)->nodes)) {
		(void)detach(source, node);
		report(ctx, node, NULL, FR_HINT_WATCH_DROPPED);
	}
}

static void dispatch(struct fr_source *source, const struct inotify_event *event,
		     fr_source_report *report, void *ctx)
{
	int hint = hint_of(event->mask);

	if (event->mask & IN_Q_OVERFLOW) { /* first: its descriptor is -1 */
		report(ctx, NULL, NULL, FR_HINT_LOST);
		return;
	}
	if (event->mask & IN_IGNORED) {
		ignored(source, event->wd, report, ctx);
		return;
	}
	if (hint < 0 || (hint != FR_HINT_SELF_CHANGED && event->len == 0))
		return;
	/* A report may remove nodes, this one too, and the next: detach() moves on from that one.
	 */
	for (struct fr_node *node = entry_of(source, event->wd)->nodes; node;
	     node = source->next_told) {
		source->next_told = node->watch_next;
		report(ctx, node, hint == FR_HINT_SELF_CHANGED ? NULL : event->name,
		       (enum fr_hint)hint);
	}
}

static int inotify_step(struct fr_source *source, fr_source_report *report, void *ctx)
{
	union {
		struct inotify_event align;
		char bytes[FR_INOTIFY_BUFFER_SIZE];
	} buffer;

	if (source->owner != getpid())
		return 0;
	for (int reads = 0; reads < FR_INOTIFY_READS_PER_STEP; reads++) {
		ssize_t len = read(source->fd, buffer.bytes, sizeof(buffer.bytes));

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? 0 : -errno;
		for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= len;) {
			const struct inotify_event *event =
				(const struct inotify_event *)(buffer.bytes + at);

			dispatch(source, event, report, ctx);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
		/* Room was left, so that was all: who writes without a pause must not look like a
		 * queue that is never empty. */
		if (len + FR_INOTIFY_LARGEST_RECORD <= (ssize_t)sizeof(buffer.bytes))
			return 0;
	}
	return 1;
}

static void inotify_close(struct fr_source *source)
{
	if (!source)
		return;
	close(source->fd);
	free(source->entries);
	free(source);
}

static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

/* In a user namespace (a container) another limit may be the lower one, namespaces(7). */
static long read_limit(const char *name, const char *namespace_name)
{
	char path[96];
	long value, in_namespace;

	snprintf(path, sizeof(path), "/proc/sys/fs/inotify/%s", name);
	value = read_number(path);
	snprintf(path, sizeof(path), "/proc/sys/user/%s", namespace_name);
	in_namespace = read_number(path);
	return in_namespace >= 0 && in_namespace < value ? in_namespace : value;
}

static void inotify_explain(int error, unsigned long wanted, char *text, unsigned long text_size)
{
	if (error == -ENOSPC)
		snprintf(text, text_size,
			 "the limit of watches is reached: fs.inotify.max_user_watches is %ld for "
			 "all "
			 "programs of this user, and %lu are needed here alone; raise it with "
			 "\"sysctl fs.inotify.max_user_watches=524288\"",
			 read_limit("max_user_watches", "max_inotify_watches"), wanted);
	else if (error == -EMFILE)
		snprintf(
			text, text_size,
			"no inotify instance is left: fs.inotify.max_user_instances is %ld for all "
			"programs of this user, and one more is needed; raise it with "
			"\"sysctl fs.inotify.max_user_instances=512\" (or the limit of open files, "
			"\"ulimit -n\", is reached)",
			read_limit("max_user_instances", "max_inotify_instances"));
	else
		snprintf(text, text_size, "%s", strerror(-error));
}

const struct fr_source_ops fr_inotify_ops = {
	.name = "inotify",
	.open = inotify_open,
	.add = inotify_add,
	.remove = inotify_remove,
	.fd = inotify_fd,
	.step = inotify_step,
	.own = inotify_own,
	.close = inotify_close,
	.explain = inotify_explain,
};
