/*
 * inotify: the source for what this kernel does itself, inotify(7).
 *
 * Turns kernel records into hints. It must not know rules or look at the disk. One inode is one
 * descriptor however many paths lead to it, so a descriptor has a list of nodes, and all use one
 * mask.
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
#include "watch/watches.h"

/*
 * MODIFY tells a save from a `touch`, which sets times and closes a descriptor that it never wrote
 * to. ACCESS and OPEN are not asked for: every import of the application would wake us.
 */
#define FR_INOTIFY_MASK                                                                            \
	(IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |        \
	 IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

#define FR_INOTIFY_BUFFER_SIZE    (64 * 1024)
#define FR_INOTIFY_READS_PER_STEP 4 /* bounds one step to some thousand records */
#define FR_INOTIFY_LARGEST_RECORD ((ssize_t)sizeof(struct inotify_event) + NAME_MAX + 1)

struct fr_source {
	int fd;
	pid_t owner;
	struct fr_watches watches; /* by watch descriptor */
};

static int inotify_open(struct fr_source **ret_source)
{
	struct fr_source *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return -ENOMEM;
	error = fr_watches_init(&source->watches);
	if (error) {
		free(source);
		return error;
	}
	source->owner = getpid();
	source->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (source->fd < 0) {
		error = -errno;
		fr_watches_clear(&source->watches);
		free(source);
		return error;
	}
	*ret_source = source;
	return 0;
}

/* EINVAL: the kernel had dropped it already, and IN_IGNORED is in the queue. */
static void inotify_remove(struct fr_source *source, struct fr_node *folder)
{
	int wd = folder->watch;

	if (wd >= 0 && fr_watches_detach(&source->watches, folder) && source->owner == getpid())
		(void)inotify_rm_watch(source->fd, wd);
}

static int inotify_add(struct fr_source *source, struct fr_node *folder, const char *path)
{
	int wd;

	if (fr_watches_reserve(&source->watches) < 0)
		return -ENOMEM;
	wd = inotify_add_watch(source->fd, path, FR_INOTIFY_MASK);
	if (wd < 0) {
		int error = -errno;

		inotify_remove(source, folder);
		return error;
	}
	if (wd != folder->watch) {
		inotify_remove(source, folder);
		fr_watches_attach(&source->watches, folder, wd);
	}
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

	while ((node = fr_watches_first(&source->watches, wd))) {
		(void)fr_watches_detach(&source->watches, node);
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
	fr_watches_tell(&source->watches, event->wd,
			hint == FR_HINT_SELF_CHANGED ? NULL : event->name, (enum fr_hint)hint,
			report, ctx);
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
	fr_watches_clear(&source->watches);
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
