/*
 * watcher: the watched folders as a whole. See watcher.h.
 *
 * Hints from the source are never acted upon by adding watches right away: folders are queued for
 * the scan, which watches first and lists after, so there is one place where a folder comes under
 * watch, and no race in it.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decide/ignores.h"
#include "decide/judge.h"
#include "decide/loaded.h"
#include "decide/rules.h"
#include "path.h"
#include "watch/content.h"
#include "watch/ignorefiles.h"
#include "watch/packed.h"
#include "watch/scan.h"
#include "watch/tree.h"
#include "watch/watcher.h"

#define FR_WATCHER_ENTRIES_PER_STEP 2000 /* a few milliseconds of listing */

/* An open source, and what its reports are about. */
struct eye {
	struct fr_watcher *watcher;
	const struct fr_source_ops *ops;
	struct fr_source *source;
};

struct fr_watcher {
	const struct fr_rules *rules;
	const struct fr_watcher_hooks *hooks;
	void *ctx;
	int fd;                                  /* epoll of what the sources wait for */
	struct eye eyes[FR_WATCHER_MAX_SOURCES]; /* node->source is an index */
	size_t eyes_len;
	struct fr_tree *tree;
	struct fr_scan *scan;
	struct fr_ignorefiles *files; /* borrowed, or NULL */
	const char *saved;            /* by the image before; borrowed, or NULL */
	int first_error;              /* of the arming */
	bool is_armed;
};

static void look_for_roots(struct fr_watcher *watcher);

/* ---- sources ---- */

static const struct eye *eye_of(const struct fr_watcher *watcher, const struct fr_node *node)
{
	return &watcher->eyes[node->source];
}

static int start_watching(struct fr_watcher *watcher, struct fr_node *node, const char *path)
{
	const struct eye *eye = eye_of(watcher, node);

	return eye->ops->add(eye->source, node, path);
}

static void stop_watching(struct fr_watcher *watcher, struct fr_node *node)
{
	const struct eye *eye = eye_of(watcher, node);

	eye->ops->remove(eye->source, node);
}

/* Is the folder below one whose source looks at the disk in our place? */
static bool is_looked_at_for_us(const struct fr_watcher *watcher, const struct fr_node *node)
{
	return eye_of(watcher, node)->ops->stamp != NULL;
}

/* Gives a source the line that one of its kind has left: "name line\n". */
static void restore_eye(const struct fr_watcher *watcher, const struct eye *eye)
{
	size_t name_len = strlen(eye->ops->name), len;

	for (const char *line = watcher->saved; line && *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (eye->ops->restore && len > name_len && line[name_len] == ' ' &&
		    strncmp(line, eye->ops->name, name_len) == 0)
			eye->ops->restore(eye->source, line + name_len + 1, len - name_len - 1);
	}
}

/* The source of that kind, opened if it is the first folder of its kind. Its index, or a negative
 * errno. */
static int open_eye(struct fr_watcher *watcher, const struct fr_source_ops *ops)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct eye *eye = &watcher->eyes[watcher->eyes_len];
	int error, fd;

	for (size_t i = 0; i < watcher->eyes_len; i++) {
		if (watcher->eyes[i].ops == ops)
			return (int)i;
	}
	if (watcher->eyes_len == FR_WATCHER_MAX_SOURCES)
		return -EINVAL;
	*eye = (struct eye){.watcher = watcher, .ops = ops};
	error = ops->open(&eye->source);
	if (error)
		return error;
	fd = ops->fd(eye->source);
	if (fd >= 0 && epoll_ctl(watcher->fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		error = -errno;
		ops->close(eye->source);
		return error;
	}
	restore_eye(watcher, eye);
	if (ops->bind)
		ops->bind(eye->source, watcher->tree, watcher->rules, watcher->files,
			  (unsigned)watcher->eyes_len);
	return (int)watcher->eyes_len++;
}

/* ---- folders come and go ---- */

static int watch_folder(void *ctx, struct fr_node *folder, const char *path)
{
	return start_watching(ctx, folder, path);
}

static void note_differs(void *ctx, const char *path, bool is_gone)
{
	struct fr_watcher *watcher = ctx;

	if (!is_gone)
		watcher->hooks->note(watcher->ctx, path, FR_HINT_WRITING);
	watcher->hooks->note(watcher->ctx, path, is_gone ? FR_HINT_GONE : FR_HINT_WRITTEN);
}

static struct fr_node *first_leaf(struct fr_node *node)
{
	while (fr_tree_first_child(node))
		node = node->first_child;
	return node;
}

static bool is_kept_for_its_files(const struct fr_watcher *watcher, const struct fr_node *folder)
{
	return folder->is_left || is_looked_at_for_us(watcher, folder);
}

/* Removes the folders below top (and top), which was left, that hold no file. Children first. */
static void prune(struct fr_watcher *watcher, struct fr_node *top)
{
	struct fr_node *node = first_leaf(top), *next;
	bool is_last;

	do {
		is_last = node == top;
		next = is_last ? NULL : node->next ? first_leaf(node->next) : node->parent;
		if (node->kind == FR_NODE_FOLDER && node->parent && fr_tree_is_empty(node) &&
		    is_kept_for_its_files(watcher, node))
			fr_tree_remove(watcher->tree, node);
		node = next;
	} while (!is_last);
}

static void note_packed_gone(struct fr_watcher *watcher, const struct fr_node *folder)
{
	struct fr_unpacker unpacker;

	fr_unpacker_init(&unpacker, folder->packed);
	while (fr_unpacker_next(&unpacker)) {
		const char *path = fr_tree_path_in(watcher->tree, folder, unpacker.name, NULL);

		if (path)
			watcher->hooks->note(watcher->ctx, path, FR_HINT_GONE);
	}
}

/*
 * A folder is gone, or no longer entered. Its files stay in the tree until fr_watcher_verify has
 * told which: it may be back by then.
 */
static void leave_folder(struct fr_watcher *watcher, struct fr_node *top)
{
	struct fr_node *node = top;

	while (node) {
		const char *path;

		if (node->kind == FR_NODE_FILE) {
			path = fr_tree_path(watcher->tree, node, NULL);
			if (path)
				watcher->hooks->note(watcher->ctx, path, FR_HINT_GONE);
		} else if (node->is_left && node != top) {
			/* So is all below it. A tree is removed from its leaves up, and would be
			 * walked once for each of its folders. */
			node = fr_tree_next_beside(node, top);
			continue;
		} else {
			fr_scan_forget(watcher->scan, node);
			stop_watching(watcher, node);
			/* One that is looked at for us is back when that is said of its files. */
			node->is_left = !is_looked_at_for_us(watcher, node);
			path = watcher->files ? fr_tree_path(watcher->tree, node, NULL) : NULL;
			if (path)
				fr_ignorefiles_forget(watcher->files, path);
			note_packed_gone(watcher, node);
		}
		node = fr_tree_next(node, top);
	}
	prune(watcher, top);
}

/* The scan found no folder there, or none to enter. */
static void folder_left(void *ctx, struct fr_node *folder)
{
	struct fr_watcher *watcher = ctx;
	bool is_root = !folder->parent;

	leave_folder(watcher, folder);
	if (is_root)
		look_for_roots(watcher);
}

static void report_trouble(void *ctx, const char *path, int error)
{
	struct fr_watcher *watcher = ctx;

	if (!watcher->first_error)
		watcher->first_error = error;
	watcher->hooks->trouble(watcher->ctx, path, error);
}

/* ---- ignore files that lie in folders which are not watched ---- */

/* Each takes a watch, and a little time of every look-up of a root. */
#define FR_WATCHER_MAX_LOOKOUTS 32

/* Without one a change of the file is noticed when its folder is looked at for another reason. */
static void look_beyond(void *ctx, struct fr_node *folder, const char *path)
{
	struct fr_watcher *watcher = ctx;
	struct fr_node *node = fr_tree_roots(watcher->tree);

	if (is_looked_at_for_us(watcher, folder))
		return;
	while (node && (node->kind != FR_NODE_LOOKOUT || strcmp(node->name, path) != 0))
		node = node->next;
	if (!node && fr_tree_count(watcher->tree, FR_NODE_LOOKOUT) < FR_WATCHER_MAX_LOOKOUTS) {
		node = fr_tree_add_root(watcher->tree, path, FR_NODE_LOOKOUT);
		if (node)
			node->source = folder->source;
	}
	if (node && node->watch < 0)
		(void)start_watching(watcher, node, path);
}

/* Everything is judged again: such files are changed rarely. */
static void lookout_event(struct fr_watcher *watcher, const char *name, enum fr_hint hint)
{
	if (hint != FR_HINT_WRITING && name &&
	    (strcmp(name, "exclude") == 0 || fr_ignorefiles_is_name(name)))
		fr_watcher_rescan(watcher);
}

static const struct fr_scan_hooks scan_hooks = {
	.enter = watch_folder,
	.differs = note_differs,
	.left = folder_left,
	.trouble = report_trouble,
	.beyond = look_beyond,
};

/* ---- roots that are missing ---- */

static void drop_gate(struct fr_watcher *watcher, struct fr_node *gate)
{
	stop_watching(watcher, gate);
	fr_tree_remove(watcher->tree, gate);
}

static void drop_gates(struct fr_watcher *watcher)
{
	struct fr_node *next;

	for (struct fr_node *node = fr_tree_roots(watcher->tree); node; node = next) {
		next = node->next;
		if (node->kind == FR_NODE_GATE)
			drop_gate(watcher, node);
	}
}

/*
 * Watches the deepest folder above a root that exists. From the top down, and each one before the
 * next is looked for, so that whatever comes or goes meanwhile makes an event.
 */
static void add_gate(struct fr_watcher *watcher, const struct fr_node *root)
{
	char *above = strdup(root->name);
	struct fr_node *gate = NULL;
	int error = 0;

	for (char *slash = above; slash && error != -ENOENT && error != -ENOTDIR;
	     slash = strchr(slash + 1, '/')) {
		char *end = slash == above ? slash + 1 : slash; /* "/" is the first */
		char kept = *end;
		struct fr_node *deeper;

		*end = '\0';
		deeper = fr_tree_add_root(watcher->tree, above, FR_NODE_GATE);
		if (deeper)
			deeper->source = root->source;
		error = deeper ? start_watching(watcher, deeper, above) : -ENOMEM;
		if (error && deeper)
			fr_tree_remove(watcher->tree, deeper);
		if (!error && gate)
			drop_gate(watcher, gate);
		if (!error)
			gate = deeper;
		*end = kept;
	}
	free(above);
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Sets gates for the roots that are missing, and scans those that are back. */
static void look_for_roots(struct fr_watcher *watcher)
{
	drop_gates(watcher);
	for (struct fr_node *root = fr_tree_roots(watcher->tree); root; root = root->next) {
		if (root->kind != FR_NODE_FOLDER || root->watch >= 0 || root->is_queued)
			continue;
		if (is_looked_at_for_us(watcher, root))
			continue;
		if (!is_folder(root->name))
			add_gate(watcher, root);
		if (is_folder(root->name)) /* now, or since the gate was set */
			fr_scan_push(watcher->scan, root, true);
	}
}

/* Something happened in a folder above a missing root. Is it on the way there? */
static void gate_event(struct fr_watcher *watcher, const struct fr_node *gate, const char *name)
{
	size_t gate_len = strlen(gate->name);

	if (gate->name[gate_len - 1] == '/')
		gate_len--;
	for (struct fr_node *root = fr_tree_roots(watcher->tree); root; root = root->next) {
		const char *rest = root->name + gate_len;
		size_t len = name ? strlen(name) : 0;

		if (root->kind != FR_NODE_FOLDER || root->watch >= 0 ||
		    strncmp(root->name, gate->name, gate_len) != 0 || *rest != '/')
			continue;
		if (!name || (strncmp(rest + 1, name, len) == 0 &&
			      (rest[1 + len] == '/' || rest[1 + len] == '\0'))) {
			look_for_roots(watcher);
			return; /* the gate may be gone */
		}
	}
}

/* ---- hints of the source ---- */

static void folder_came(struct fr_watcher *watcher, struct fr_node *folder, const char *name)
{
	struct fr_node *child = fr_tree_child(watcher->tree, folder, name, FR_NODE_FOLDER);
	const char *relative, *path;

	if (fr_ignorefiles_is_name(name)) /* a repository */
		fr_scan_read_ignorefiles(watcher->scan, folder);
	path = fr_tree_path_in(watcher->tree, folder, name, &relative);
	if (!path)
		return;
	if (!fr_scan_enters(watcher->scan, path, relative)) {
		if (child) /* it has taken the place of one that was entered */
			leave_folder(watcher, child);
		return;
	}
	if (!child)
		child = fr_tree_add(watcher->tree, folder, name, FR_NODE_FOLDER);
	if (child)
		fr_scan_push(watcher->scan, child, true);
}

/* A folder went; watched folders of their own that were below it hear nothing of that. */
static void leave_roots_below(struct fr_watcher *watcher, const char *path)
{
	size_t len = strlen(path);
	bool has_left = false;

	for (struct fr_node *root = fr_tree_roots(watcher->tree); root; root = root->next) {
		if (root->kind != FR_NODE_FOLDER || root->watch < 0 ||
		    strncmp(root->name, path, len) != 0 || root->name[len] != '/' ||
		    is_looked_at_for_us(watcher, root) || is_folder(root->name))
			continue;
		leave_folder(watcher, root);
		has_left = true;
	}
	if (has_left)
		look_for_roots(watcher);
}

static void folder_gone(struct fr_watcher *watcher, struct fr_node *folder, const char *name)
{
	struct fr_node *child = fr_tree_child(watcher->tree, folder, name, FR_NODE_FOLDER);
	char *copy;
	const char *path;
	struct stat st;

	if (child)
		leave_folder(watcher, child);
	if (fr_ignorefiles_is_name(name))
		fr_scan_read_ignorefiles(watcher->scan, folder);
	path = fr_tree_path_in(watcher->tree, folder, name, NULL);
	copy = path ? strdup(path) : NULL;
	if (copy)
		leave_roots_below(watcher, copy);
	free(copy);
	/* Two names that are exchanged, renameat2(2), are said to come before they are said to go.
	 */
	path = fr_tree_path_in(watcher->tree, folder, name, NULL);
	if (path && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		folder_came(watcher, folder, name);
}

/* One that could not be read may be readable now. */
static void folder_attrib(struct fr_watcher *watcher, struct fr_node *folder, const char *name)
{
	struct fr_node *child = fr_tree_child(watcher->tree, folder, name, FR_NODE_FOLDER);

	if (child && child->watch < 0)
		folder_came(watcher, folder, name);
}

static void self_changed(struct fr_watcher *watcher, struct fr_node *folder)
{
	if (folder->kind == FR_NODE_GATE) {
		gate_event(watcher, folder, NULL);
	} else if (folder->parent) {
		if (folder->watch <
		    0) /* dropped: deleted, or unmounted: let the scan see what is there now */
			fr_scan_push(watcher->scan, folder, true);
	} else if (is_folder(folder->name)) {
		fr_scan_push(watcher->scan, folder,
			     true); /* another folder, perhaps: the scan watches that */
	} else {
		leave_folder(watcher, folder);
		look_for_roots(watcher);
	}
}

/* Links have no writer that would close them, and a second name of a complete file has none either.
 */
static bool is_complete_at_birth(const char *path, bool is_known)
{
	struct stat st;

	return lstat(path, &st) == 0 &&
	       (S_ISLNK(st.st_mode) || (!is_known && S_ISREG(st.st_mode) && st.st_nlink > 1));
}

/* A folder that was entered turns out to be a virtual environment: pyvenv.cfg is not the first
 * thing that is made in one. */
static bool becomes_virtualenv(struct fr_watcher *watcher, struct fr_node *folder)
{
	const char *relative;
	const char *path = fr_tree_path(watcher->tree, folder, &relative);

	if (!folder->parent || !path || fr_scan_enters(watcher->scan, path, relative))
		return false;
	leave_folder(watcher, folder);
	return true;
}

/* Something has become of a file that does not count: perhaps it would, were it not for a line of
 * an ignore file. */
static void report_ignored(struct fr_watcher *watcher, const char *path, const char *relative,
			   enum fr_hint hint, const struct fr_verdict *verdict)
{
	struct fr_verdict without;

	if (hint == FR_HINT_WRITING)
		return;
	if (watcher->hooks->skipped)
		watcher->hooks->skipped(watcher->ctx, path, verdict);
	if (!watcher->hooks->ignored || verdict->line == 0)
		return;
	fr_rules_judge_file(watcher->rules, relative, NULL, &without);
	if (without.counts)
		watcher->hooks->ignored(watcher->ctx, path, verdict);
}

/* Does the application write the file itself, which an ignore file names? Whoever has begun before
 * that was known, and the tree, may have it for one that counts. */
static bool is_own_data(const struct fr_watcher *watcher, const char *path)
{
	const struct fr_judge *judge = fr_scan_judge(watcher->scan);
	struct fr_verdict verdict;
	const char *relative;

	if (!judge->ignores || !fr_loaded_is_written(fr_ignores_loaded(judge->ignores), path) ||
	    !fr_tree_root_of(watcher->tree, path, &relative))
		return false;
	fr_judge_file(judge, path, relative, false, &verdict);
	return !verdict.counts;
}

static void forget_own_data(struct fr_watcher *watcher, struct fr_node *folder, const char *name)
{
	struct fr_node *known = fr_tree_child(watcher->tree, folder, name, FR_NODE_FILE);

	if (known)
		fr_tree_remove(watcher->tree, known);
}

/* Returns whether the folder is still there: it may turn out to be one that is not entered. */
static bool file_event(struct fr_watcher *watcher, struct fr_node *folder, const char *name,
		       enum fr_hint hint)
{
	bool is_known = fr_tree_stamp_in(watcher->tree, folder, name, NULL);
	struct fr_verdict verdict;
	const char *relative, *path;

	if (strcmp(name, "pyvenv.cfg") == 0 && becomes_virtualenv(watcher, folder))
		return false;
	path = fr_tree_path_in(watcher->tree, folder, name, &relative);
	if (path && fr_ignorefiles_is_name(name) &&
	    (hint != FR_HINT_WRITING || is_complete_at_birth(path, false))) {
		fr_scan_read_ignorefiles(watcher->scan, folder);
		path = fr_tree_path_in(watcher->tree, folder, name, &relative);
	}
	if (!path)
		return true;
	fr_judge_file(fr_scan_judge(watcher->scan), path, relative, false, &verdict);
	if (!verdict.counts) {
		report_ignored(watcher, path, relative, hint, &verdict);
		if (is_known && is_own_data(watcher, path))
			forget_own_data(watcher, folder, name);
		return true;
	}
	/* A file that is moved here is new even if nobody writes to it: "writing" tells that from a
	 * touch. */
	watcher->hooks->note(watcher->ctx, path,
			     hint == FR_HINT_MOVED_HERE ? FR_HINT_WRITING : hint);
	if (hint == FR_HINT_MOVED_HERE ||
	    (hint == FR_HINT_WRITING && is_complete_at_birth(path, is_known)))
		watcher->hooks->note(watcher->ctx, path, FR_HINT_WRITTEN);
	return true;
}

/*
 * Does the file look as it did? Then it is not read: to read one is an event for whoever watches
 * it, and if that is who told us, it would go on for ever. Of a file that was not there and is not
 * there nothing is to be found out either, and a sender can name as many of those as it likes.
 * What ignore files say is not in the tree.
 */
static bool is_as_known(struct fr_watcher *watcher, struct fr_node *folder, const char *name,
			bool is_there)
{
	const char *path = fr_tree_path_in(watcher->tree, folder, name, NULL);
	struct fr_stamp known, now;
	bool is_known = fr_tree_stamp_in(watcher->tree, folder, name, &known);

	if (!is_known || !is_there)
		return !is_known && !is_there && !fr_ignorefiles_is_name(name);
	return !known.is_fresh && path && fr_content_stamp(-1, path, false, &now) == 0 &&
	       fr_content_same_stamp(&known, &now);
}

/* Looks at the entry `name` of the folder, of which nothing else is known. */
static void look_at(struct fr_watcher *watcher, struct fr_node *folder, const char *name,
		    bool is_last)
{
	struct fr_node *child = fr_tree_child(watcher->tree, folder, name, FR_NODE_FOLDER);
	const char *path = fr_tree_path_in(watcher->tree, folder, name, NULL);
	struct stat st;
	bool is_there = path && lstat(path, &st) == 0;

	if (is_there && S_ISDIR(st.st_mode)) {
		/* It may have taken the place of a file. */
		if (!fr_tree_stamp_in(watcher->tree, folder, name, NULL) ||
		    file_event(watcher, folder, name, FR_HINT_GONE))
			folder_came(watcher, folder, name);
		return;
	}
	if (child)
		folder_gone(watcher, folder, name);
	if (!is_last || is_as_known(watcher, folder, name, is_there))
		return;
	if (!is_there)
		(void)file_event(watcher, folder, name, FR_HINT_GONE);
	/* A save in place begins with an empty file. Who looks then has to wait for the rest, as
	 * for any writer that has not closed its file; after a while an empty file is what it is.
	 */
	else if (file_event(watcher, folder, name, FR_HINT_WRITING) && st.st_size > 0)
		(void)file_event(watcher, folder, name, FR_HINT_WRITTEN);
}

/* Goes down to the first name that is not a watched folder, or to the end. rest: the part of a path
 * that is below the root. */
static void look_below(struct fr_watcher *watcher, struct fr_node *root, const char *rest)
{
	struct fr_node *folder = root, *child;
	char name[NAME_MAX + 1];

	while (*rest) {
		size_t len = strcspn(rest, "/");

		if (len >= sizeof(name))
			return; /* there is no such file */
		memcpy(name, rest, len);
		name[len] = '\0';
		rest += len + (rest[len] == '/');
		child = fr_tree_child(watcher->tree, folder, name, FR_NODE_FOLDER);
		if (!child || child->is_left || *rest == '\0') {
			look_at(watcher, folder, name, *rest == '\0');
			return;
		}
		folder = child;
	}
	fr_scan_push(watcher->scan, root, true);
}

bool fr_watcher_look(struct fr_watcher *watcher, const char *path)
{
	const char *rest;
	struct fr_node *root;
	const struct eye *eye;

	if (!fr_path_is_plain(path))
		return false;
	root = fr_tree_root_of(watcher->tree, path, &rest);
	if (!root || root->kind != FR_NODE_FOLDER)
		return false;
	eye = eye_of(watcher, root);
	if (eye->ops->look)
		eye->ops->look(eye->source, path);
	else if (root->watch < 0)
		look_for_roots(watcher);
	else
		look_below(watcher, root, rest);
	return true;
}

static void rescan_roots_of(struct fr_watcher *watcher, const struct eye *eye)
{
	for (struct fr_node *root = fr_tree_roots(watcher->tree); root; root = root->next) {
		if (root->kind != FR_NODE_FOLDER || eye_of(watcher, root) != eye)
			continue;
		if (eye->ops->look)
			eye->ops->look(eye->source, root->name);
		else
			fr_scan_push(watcher->scan, root, true);
	}
}

static void take_hint(void *ctx, struct fr_node *folder, const char *name, enum fr_hint hint)
{
	struct eye *eye = ctx;
	struct fr_watcher *watcher = eye->watcher;

	if (hint == FR_HINT_LOST) {
		watcher->hooks->lost(watcher->ctx, eye->ops);
		rescan_roots_of(watcher, eye);
	} else if (hint == FR_HINT_BACK) {
		watcher->hooks->back(watcher->ctx, eye->ops);
	} else if (hint == FR_HINT_KNOWN) {
		(void)fr_watcher_verify(watcher, name, true, false);
	} else if (hint == FR_HINT_SAY) {
		watcher->hooks->say(watcher->ctx, folder->name, name);
	} else if (hint == FR_HINT_LOOK) {
		(void)fr_watcher_look(watcher, name);
	} else if (!folder) {
		if (!is_own_data(watcher, name))
			watcher->hooks->note(watcher->ctx, name, hint);
		else if (hint != FR_HINT_WRITING)
			(void)fr_watcher_verify(watcher, name, true, false);
	} else if (folder->kind == FR_NODE_LOOKOUT) {
		lookout_event(watcher, name, hint);
	} else if (hint == FR_HINT_SELF_CHANGED || hint == FR_HINT_WATCH_DROPPED) {
		self_changed(watcher, folder);
	} else if (folder->kind == FR_NODE_GATE) {
		gate_event(watcher, folder, name);
	} else if (hint == FR_HINT_FOLDER_CAME) {
		folder_came(watcher, folder, name);
	} else if (hint == FR_HINT_FOLDER_GONE) {
		folder_gone(watcher, folder, name);
	} else if (hint == FR_HINT_FOLDER_ATTRIB) {
		folder_attrib(watcher, folder, name);
	} else {
		(void)file_event(watcher, folder, name, hint);
	}
}

/* ---- what others call ---- */

int fr_watcher_new(const struct fr_rules *rules, const struct fr_watcher_hooks *hooks, void *ctx,
		   struct fr_watcher **ret_watcher)
{
	struct fr_watcher *watcher = calloc(1, sizeof(*watcher));
	int error;

	if (!watcher)
		return -ENOMEM;
	*watcher = (struct fr_watcher){.rules = rules, .hooks = hooks, .ctx = ctx};
	watcher->fd = epoll_create1(EPOLL_CLOEXEC);
	error = watcher->fd < 0 ? -errno : fr_tree_new(&watcher->tree);
	if (!error)
		error = fr_scan_new(watcher->tree, rules, &scan_hooks, watcher, &watcher->scan);
	if (error) {
		fr_watcher_free(watcher);
		return error;
	}
	*ret_watcher = watcher;
	return 0;
}

void fr_watcher_free(struct fr_watcher *watcher)
{
	if (!watcher)
		return;
	for (size_t i = 0; i < watcher->eyes_len; i++)
		watcher->eyes[i].ops->close(watcher->eyes[i].source);
	if (watcher->fd >= 0)
		close(watcher->fd);
	fr_scan_free(watcher->scan);
	fr_tree_free(watcher->tree);
	free(watcher);
}

static struct fr_node *find_root(const struct fr_watcher *watcher, const char *path)
{
	struct fr_node *root = fr_tree_roots(watcher->tree);

	while (root && (root->kind != FR_NODE_FOLDER || strcmp(root->name, path) != 0))
		root = root->next;
	return root;
}

int fr_watcher_add_root(struct fr_watcher *watcher, const char *path,
			const struct fr_source_ops *ops)
{
	struct fr_node *root;
	int eye;

	if (find_root(watcher, path))
		return 0;
	eye = open_eye(watcher, ops);
	if (eye < 0)
		return eye;
	root = fr_tree_add_root(watcher->tree, path, FR_NODE_FOLDER);
	if (!root)
		return -ENOMEM;
	root->source = (uint8_t)eye;
	if (!watcher->is_armed || !ops->look)
		fr_scan_push(watcher->scan, root, watcher->is_armed);
	else
		ops->look(watcher->eyes[eye].source, path);
	return 0;
}

int fr_watcher_move_root(struct fr_watcher *watcher, const char *path,
			 const struct fr_source_ops *ops)
{
	struct fr_node *root = find_root(watcher, path);
	int eye;

	if (!root)
		return -ENOENT;
	eye = open_eye(watcher, ops);
	if (eye < 0)
		return eye;
	for (struct fr_node *node = root; node; node = fr_tree_next(node, root)) {
		if (node->kind == FR_NODE_FOLDER) {
			fr_scan_forget(watcher->scan, node);
			stop_watching(watcher, node);
		}
		node->source = (uint8_t)eye;
		node->is_left = false; /* what is missing will be found to be */
	}
	look_for_roots(watcher);
	if (ops->look)
		ops->look(watcher->eyes[eye].source, path);
	else
		fr_scan_push(watcher->scan, root, true);
	return 0;
}

const struct fr_source_ops *fr_watcher_ops_of(const struct fr_watcher *watcher, const char *path)
{
	const struct fr_node *root = find_root(watcher, path);

	return root ? eye_of(watcher, root)->ops : NULL;
}

int fr_watcher_arm(struct fr_watcher *watcher)
{
	watcher->first_error = 0;
	watcher->is_armed = true;
	while (fr_scan_step(watcher->scan, FR_WATCHER_ENTRIES_PER_STEP))
		continue;
	return watcher->first_error;
}

void fr_watcher_save(const struct fr_watcher *watcher, char text[FR_WATCHER_SAVED_SIZE])
{
	size_t len = 0;

	for (size_t i = 0; i < watcher->eyes_len; i++) {
		const struct eye *eye = &watcher->eyes[i];
		size_t name_len = strlen(eye->ops->name), line_len;

		/* Room for the name, a space, a newline and the end. */
		if (!eye->ops->save || FR_WATCHER_SAVED_SIZE - len < name_len + 3)
			continue;
		line_len = eye->ops->save(eye->source, text + len + name_len + 1,
					  FR_WATCHER_SAVED_SIZE - len - name_len - 3);
		if (line_len == 0)
			continue;
		memcpy(text + len, eye->ops->name, name_len);
		text[len + name_len] = ' ';
		len += name_len + 1 + line_len;
		text[len++] = '\n';
	}
	text[len] = '\0';
}

void fr_watcher_restore(struct fr_watcher *watcher, const char *text)
{
	watcher->saved = text;
}

int fr_watcher_fd(const struct fr_watcher *watcher)
{
	return watcher->fd;
}

size_t fr_watcher_fds(const struct fr_watcher *watcher, int fds[FR_WATCHER_MAX_FDS])
{
	size_t len = 0;

	fds[len++] = watcher->fd;
	for (size_t i = 0; i < watcher->eyes_len && len < FR_WATCHER_MAX_FDS; i++) {
		const struct eye *eye = &watcher->eyes[i];

		if (eye->ops->fds)
			len += eye->ops->fds(eye->source, fds + len, FR_WATCHER_MAX_FDS - len);
		else if (eye->ops->fd(eye->source) >= 0)
			fds[len++] = eye->ops->fd(eye->source);
	}
	return len;
}

void fr_watcher_own(struct fr_watcher *watcher)
{
	for (size_t i = 0; i < watcher->eyes_len; i++)
		watcher->eyes[i].ops->own(watcher->eyes[i].source);
}

bool fr_watcher_step(struct fr_watcher *watcher)
{
	bool has_more = false;

	for (size_t i = 0; i < watcher->eyes_len; i++) {
		struct eye *eye = &watcher->eyes[i];
		int result = eye->ops->step(eye->source, take_hint, eye);

		if (result < 0)
			watcher->hooks->failed(watcher->ctx, eye->ops, result);
		has_more |= result > 0;
	}
	has_more |= fr_scan_step(watcher->scan, FR_WATCHER_ENTRIES_PER_STEP);
	if (!fr_scan_is_busy(watcher->scan))
		fr_tree_settle(watcher->tree);
	return has_more;
}

void fr_watcher_rescan(struct fr_watcher *watcher)
{
	for (size_t i = 0; i < watcher->eyes_len; i++)
		rescan_roots_of(watcher, &watcher->eyes[i]);
}

/* Removes a file from the tree, and with it the folders that were kept for its sake. Of those that
 * are looked at for us nobody else says that they are gone. */
static void forget_file(struct fr_watcher *watcher, struct fr_node *node)
{
	struct fr_node *folder = node->parent;

	fr_tree_remove(watcher->tree, node);
	while (is_kept_for_its_files(watcher, folder) && folder->parent &&
	       fr_tree_is_empty(folder)) {
		struct fr_node *above = folder->parent;

		stop_watching(watcher, folder);
		fr_tree_remove(watcher->tree, folder);
		folder = above;
	}
}

/* The folder that the file at path is in. One that is looked at for us comes with its files. */
static struct fr_node *folder_for(struct fr_watcher *watcher, const char *path)
{
	struct fr_node *folder = fr_tree_folder_of(watcher->tree, path), *root, *child;
	char name[NAME_MAX + 1];
	const char *rest;
	size_t len;

	root = fr_tree_root_of(watcher->tree, path, &rest);
	if (folder || !root || !is_looked_at_for_us(watcher, root))
		return folder;
	for (folder = root; folder && rest[len = strcspn(rest, "/")] == '/'; rest += len + 1) {
		if (len >= sizeof(name))
			return NULL;
		memcpy(name, rest, len);
		name[len] = '\0';
		child = fr_tree_child(watcher->tree, folder, name, FR_NODE_FOLDER);
		folder = child ? child : fr_tree_add(watcher->tree, folder, name, FR_NODE_FOLDER);
	}
	return folder;
}

/* An ignore file may have left the file out since it was noted. */
static bool is_counted(const struct fr_watcher *watcher, const char *path)
{
	struct fr_verdict verdict;
	const char *relative;

	if (!watcher->files || !fr_watcher_looks_itself(watcher, path) ||
	    !fr_tree_root_of(watcher->tree, path, &relative))
		return true;
	fr_judge_file(fr_scan_judge(watcher->scan), path, relative, false, &verdict);
	return verdict.counts;
}

static enum fr_change_kind verify_new(struct fr_watcher *watcher, const char *path,
				      const struct fr_stamp *stamp)
{
	struct fr_node *folder = folder_for(watcher, path);
	struct fr_node *node;

	if (!folder || folder->is_left || !is_counted(watcher, path))
		return FR_CHANGE_NONE;
	node = fr_tree_add(watcher->tree, folder, strrchr(path, '/') + 1, FR_NODE_FILE);
	if (node)
		node->stamp = *stamp;
	return FR_CHANGE_ADDED;
}

static enum fr_change_kind compare(const struct fr_stamp *old, const struct fr_stamp *now,
				   bool was_written)
{
	if (fr_content_same_hash(old, now))
		return !was_written && old->mtime_ns != now->mtime_ns ? FR_CHANGE_TOUCHED
								      : FR_CHANGE_NONE;
	if (old->has_hash && now->has_hash)
		return FR_CHANGE_MODIFIED;
	/* Without both hashes: only times can tell, and setting the mode or owner moves none but
	 * ctime. */
	if (old->size == now->size && old->ino == now->ino && old->mtime_ns == now->mtime_ns &&
	    !(was_written && old->is_fresh))
		return FR_CHANGE_NONE;
	return FR_CHANGE_MODIFIED;
}

/* How the file looks: on the disk, or as the source that looks there for us has it. As
 * fr_content_stamp; -EAGAIN: as it did; -ESTALE: it is in no folder that is entered. */
static int stamp_of(struct fr_watcher *watcher, const char *path, bool with_hash,
		    struct fr_stamp *ret_stamp)
{
	const char *rest;
	const struct fr_node *root = fr_tree_root_of(watcher->tree, path, &rest);
	int error;

	if (root && is_looked_at_for_us(watcher, root))
		return eye_of(watcher, root)
			->ops->stamp(eye_of(watcher, root)->source, path, ret_stamp);
	error = fr_content_stamp(-1, path, with_hash, ret_stamp);
	return error == -ESTALE ? -EIO : error;
}

enum fr_change_kind fr_watcher_verify(struct fr_watcher *watcher, const char *path,
				      bool was_written, bool with_hash)
{
	struct fr_node *node = fr_tree_file(watcher->tree, path);
	struct fr_stamp now;
	enum fr_change_kind kind;
	int error = stamp_of(watcher, path, with_hash, &now);

	if (!error && node && node->parent->is_left)
		error = -ESTALE;
	if (error == -ENOENT || error == -ESTALE) {
		if (node)
			forget_file(watcher, node);
		/* One that is there in a folder that is not entered any more is neither changed nor
		 * removed. */
		return node && error == -ENOENT ? FR_CHANGE_REMOVED : FR_CHANGE_NONE;
	}
	if (error)
		return FR_CHANGE_NONE; /* not to be looked at: what cannot be read cannot be loaded
					*/
	if (!node)
		return verify_new(watcher, path, &now);
	kind = compare(&node->stamp, &now, was_written);
	if (kind == FR_CHANGE_NONE && !now.has_hash && fr_content_same_stamp(&node->stamp, &now))
		return kind; /* nothing newer is known */
	node->stamp = now;
	node->hash_number = 0;
	return kind;
}

bool fr_watcher_learn(struct fr_watcher *watcher, const char *path, const struct fr_stamp *stamp)
{
	struct fr_node *folder =
		fr_tree_file(watcher->tree, path) ? NULL : folder_for(watcher, path);
	struct fr_node *node;
	struct fr_stamp now;

	if (!folder || folder->is_left)
		return false;
	if (!stamp &&
	    (is_looked_at_for_us(watcher, folder) || fr_content_stamp(-1, path, true, &now) < 0))
		return false;
	node = fr_tree_add(watcher->tree, folder, strrchr(path, '/') + 1, FR_NODE_FILE);
	if (!node)
		return false;
	node->stamp = stamp ? *stamp : now;
	return fr_watcher_look(watcher, path);
}

bool fr_watcher_looks_itself(const struct fr_watcher *watcher, const char *path)
{
	const char *rest;
	const struct fr_node *root = fr_tree_root_of(watcher->tree, path, &rest);

	return !root || !is_looked_at_for_us(watcher, root);
}

const char *fr_watcher_relative(const struct fr_watcher *watcher, const char *path)
{
	const char *rest;

	return fr_tree_root_of(watcher->tree, path, &rest) ? rest : path;
}

size_t fr_watcher_folders(const struct fr_watcher *watcher)
{
	return fr_tree_count(watcher->tree, FR_NODE_FOLDER);
}

size_t fr_watcher_files(const struct fr_watcher *watcher)
{
	return fr_tree_count(watcher->tree, FR_NODE_FILE);
}

size_t fr_watcher_backends(const struct fr_watcher *watcher,
			   struct fr_watcher_backend backends[FR_WATCHER_MAX_SOURCES])
{
	struct fr_node *root = watcher->eyes_len > 1 ? fr_tree_roots(watcher->tree) : NULL;

	for (size_t i = 0; i < watcher->eyes_len; i++)
		backends[i] = (struct fr_watcher_backend){.name = watcher->eyes[i].ops->name};
	if (watcher->eyes_len == 1) {
		backends[0].folders = fr_watcher_folders(watcher);
		backends[0].files = fr_watcher_files(watcher);
	}
	for (; root; root = root->next) {
		for (struct fr_node *node = root; node; node = fr_tree_next(node, root)) {
			backends[node->source].folders += node->kind == FR_NODE_FOLDER;
			backends[node->source].files += node->kind == FR_NODE_FILE;
			if (node->kind == FR_NODE_FOLDER)
				backends[node->source].files += fr_packed_count(node->packed);
		}
	}
	return watcher->eyes_len;
}

const struct fr_judge *fr_watcher_judge(const struct fr_watcher *watcher)
{
	return fr_scan_judge(watcher->scan);
}

void fr_watcher_explain(const struct fr_watcher *watcher, const struct fr_source_ops *ops,
			int error, char *text, size_t text_size)
{
	ops->explain(error, watcher ? (unsigned long)fr_watcher_folders(watcher) : 1, text,
		     text_size);
}

void fr_watcher_use_ignorefiles(struct fr_watcher *watcher, struct fr_ignorefiles *files)
{
	watcher->files = files;
	fr_scan_use_ignorefiles(watcher->scan, files);
}

struct fr_tree *fr_watcher_tree(struct fr_watcher *watcher)
{
	return watcher->tree;
}

const struct fr_rules *fr_watcher_rules(const struct fr_watcher *watcher)
{
	return watcher->rules;
}

struct fr_ignorefiles *fr_watcher_ignorefiles(const struct fr_watcher *watcher)
{
	return watcher->files;
}
