/*
 * opens: which data files somebody has opened since. See opens.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "watch/opens.h"
#include "watch/tree.h"
#include "watch/uses.h"
#include "watch/walk.h"

/* To begin to listen to a folder takes some microseconds, and that is on the way to a quick
 * reload. */
#define FR_OPENS_MAX_FOLDERS 1000

#define FR_OPENS_BUFFER_SIZE (16 * 1024)

struct folder {
	char *path;
	dev_t dev;
	ino_t ino;
};

struct fr_opens {
	struct fr_tree *tree;
	struct folder *folders; /* the one with the watch descriptor n is at n - 1: the kernel
				   counts */
	size_t len;
	int fd;
	bool is_deaf;          /* something was not heard; for ever, since copies go on from here */
	struct timespec since; /* a file that was written to later has no earlier time */
};

bool fr_opens_is_source(const char *name)
{
	size_t len = strlen(name);

	return len >= 3 && strcmp(name + len - 3, ".py") == 0;
}

static bool has_data(const struct fr_tree *tree, struct fr_node *folder)
{
	struct fr_walk walk;

	fr_walk_begin_in(&walk, tree, folder);
	while (fr_walk_next(&walk)) {
		if (!fr_opens_is_source(walk.name))
			return true;
	}
	return false;
}

static bool add_folder(struct fr_opens *opens, const struct fr_node *folder)
{
	const char *path = fr_tree_path(opens->tree, folder, NULL);

	if (!path || opens->len >= FR_OPENS_MAX_FOLDERS)
		return false;
	opens->folders[opens->len].path = strdup(path);
	return opens->folders[opens->len].path && ++opens->len;
}

static bool list_folders(struct fr_opens *opens)
{
	opens->folders = calloc(FR_OPENS_MAX_FOLDERS, sizeof(*opens->folders));
	if (!opens->folders)
		return false;
	for (struct fr_node *root = fr_tree_roots(opens->tree); root; root = root->next) {
		for (struct fr_node *node = root; node; node = fr_tree_next(node, root)) {
			if (node->kind == FR_NODE_FOLDER && has_data(opens->tree, node) &&
			    !add_folder(opens, node))
				return false;
		}
	}
	return true;
}

/* An equal number for two folders is one inode with two paths, and a folder that has gone meanwhile
 * leaves a gap: then it is not known whose number is whose. */
static bool listen_to(const struct fr_opens *opens)
{
	struct stat st;

	for (size_t i = 0; i < opens->len; i++) {
		struct folder *folder = &opens->folders[i];

		if (inotify_add_watch(opens->fd, folder->path, IN_OPEN | IN_ONLYDIR) !=
			    (int)i + 1 ||
		    stat(folder->path, &st) < 0)
			return false;
		folder->dev = st.st_dev;
		folder->ino = st.st_ino;
	}
	return true;
}

/* Nobody hears of what is opened in a folder that has taken the place of another. */
static bool are_folders_the_same(const struct fr_opens *opens)
{
	struct stat st;

	for (size_t i = 0; i < opens->len; i++) {
		const struct folder *folder = &opens->folders[i];

		if (stat(folder->path, &st) < 0 || st.st_dev != folder->dev ||
		    st.st_ino != folder->ino)
			return false;
	}
	return true;
}

static void stop_listening(struct fr_opens *opens)
{
	if (opens->fd >= 0)
		close(opens->fd);
	opens->fd = -1;
}

static void be_deaf(struct fr_opens *opens)
{
	opens->is_deaf = true;
	stop_listening(opens);
}

void fr_opens_resume(struct fr_opens *opens)
{
	if (!opens || opens->is_deaf)
		return;
	opens->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (opens->fd < 0 || !listen_to(opens))
		be_deaf(opens);
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &opens->since);
}

struct fr_opens *fr_opens_new(struct fr_tree *tree)
{
	struct fr_opens *opens = calloc(1, sizeof(*opens));

	if (!opens)
		return NULL;
	opens->tree = tree;
	opens->fd = -1;
	opens->is_deaf = !list_folders(opens);
	fr_opens_resume(opens);
	return opens;
}

void fr_opens_free(struct fr_opens *opens)
{
	if (!opens)
		return;
	stop_listening(opens);
	for (size_t i = 0; i < opens->len; i++)
		free(opens->folders[i].path);
	free(opens->folders);
	free(opens);
}

void fr_opens_pause(struct fr_opens *opens)
{
	if (opens)
		stop_listening(opens);
}

int fr_opens_fd(const struct fr_opens *opens)
{
	return opens ? opens->fd : -1;
}

/* ---- what is heard ---- */

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* What was read is what is there now, if nobody has written to it since. Returns whether all is
 * well with it. */
static bool note_file(const struct fr_opens *opens, const char *path, struct fr_uses *uses)
{
	struct stat st;

	if (!fr_tree_stamp(opens->tree, path, NULL) || fr_uses_has(uses, path))
		return true; /* a change of it means nothing, or is known */
	if (stat(path, &st) < 0 || !is_before(&st.st_ctim, &opens->since))
		return false;
	fr_uses_note_question(uses, path, false); /* who knows whether it was this process */
	return true;
}

static bool take_event(const struct fr_opens *opens, const struct inotify_event *event,
		       struct fr_uses *uses)
{
	char path[PATH_MAX];

	if (event->mask & IN_Q_OVERFLOW)
		return false;
	if (!(event->mask & IN_OPEN) || event->mask & IN_ISDIR || event->len == 0 ||
	    fr_opens_is_source(event->name))
		return true;
	return (size_t)snprintf(path, sizeof(path), "%s/%s", opens->folders[event->wd - 1].path,
				event->name) < sizeof(path) &&
	       note_file(opens, path, uses);
}

static bool take(const struct fr_opens *opens, struct fr_uses *uses)
{
	union {
		struct inotify_event event; /* for its alignment */
		char bytes[FR_OPENS_BUFFER_SIZE];
	} buffer;
	ssize_t len;

	while ((len = read(opens->fd, buffer.bytes, sizeof(buffer.bytes))) > 0) {
		const struct inotify_event *event;

		for (ssize_t at = 0; at < len; at += (ssize_t)(sizeof(*event) + event->len)) {
			event = (const struct inotify_event *)(buffer.bytes + at);
			if (!take_event(opens, event, uses))
				return false;
		}
	}
	return len < 0 && errno == EAGAIN;
}

void fr_opens_note(struct fr_opens *opens, struct fr_uses *uses)
{
	if (opens && opens->fd >= 0 && !(take(opens, uses) && are_folders_the_same(opens)))
		be_deaf(opens);
}

bool fr_opens_tells(const struct fr_opens *opens, const char *path)
{
	struct stat st;

	return opens && !opens->is_deaf && fr_tree_stamp(opens->tree, path, NULL) &&
	       lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}
