/*
 * watcher: the watched folders as a whole. See watcher.h.
 *
 * Hints from the source are never acted upon by adding watches right away: folders are queued for
 * the scan, which watches first and lists after, so there is one place where a folder comes under
 * watch, and no race in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decide/rules.h"
#include "watch/baseline.h"
#include "watch/content.h"
#include "watch/scan.h"
#include "watch/tree.h"
#include "watch/watcher.h"

#define FR_WATCHER_ENTRIES_PER_STEP 2000 /* a few milliseconds of listing */

struct fr_watcher {
	const struct fr_rules *rules;
	const struct fr_source_ops *ops;
	const struct fr_watcher_hooks *hooks;
	void *ctx;
	struct fr_source *source;
	struct fr_tree *tree;
	struct fr_scan *scan;
	struct fr_baseline *baseline; /* borrowed, or NULL */
	int first_error;              /* of the arming */
};

static void look_for_roots(struct fr_watcher *watcher);

/* ---- folders come and go ---- */

static int watch_folder(void *ctx, struct fr_node *folder, const char *path)
{
	struct fr_watcher *watcher = ctx;

	return watcher->ops->add(watcher->source, folder, path);
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
	while (node->first_child)
		node = node->first_child;
	return node;
}

/* Removes the folders below top (and top) that were left and hold no file. Children first. */
static void prune(struct fr_watcher *watcher, struct fr_node *top)
{
	struct fr_node *node = first_leaf(top), *next;
	bool is_last;

	do {
		is_last = node == top;
		next = is_last ? NULL : node->next ? first_leaf(node->next) : node->parent;
		if (node->is_left && node->parent && !node->first_child)
			fr_tree_remove(watcher->tree, node);
		node = next;
	} while (!is_last);
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
			watcher->ops->remove(watcher->source, node);
			node->is_left = true;
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

static const struct fr_scan_hooks scan_hooks = {
	.enter = watch_folder,
	.differs = note_differs,
	.left = folder_left,
	.trouble = report_trouble,
};

/* ---- roots that are missing ---- */

static void drop_gate(struct fr_watcher *watcher, struct fr_node *gate)
{
	watcher->ops->remove(watcher->source, gate);
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
 * Watches the deepest folder above path that exists. From the top down, and each one before the
 * next is looked for, so that whatever comes or goes meanwhile makes an event.
 */
static void add_gate(struct fr_watcher *watcher, const char *path)
{
	char *above = strdup(path);
	struct fr_node *gate = NULL;
	int error = 0;

	for (char *slash = above; slash && error != -ENOENT && error != -ENOTDIR;
	     slash = strchr(slash + 1, '/')) {
		char *end = slash == above ? slash + 1 : slash; /* "/" is the first */
		char kept = *end;
		struct fr_node *deeper;

		*end = '\0';
		deeper = fr_tree_add_root(watcher->tree, above, FR_NODE_GATE);
		error = deeper ? watcher->ops->add(watcher->source, deeper, above) : -ENOMEM;
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
		if (root->kind == FR_NODE_GATE || root->watch >= 0 || root->is_queued)
			continue;
		if (!is_folder(root->name))
			add_gate(watcher, root->name);
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

		if (root->kind == FR_NODE_GATE || root->watch >= 0 ||
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
	const char *relative;
	const char *path = fr_tree_path_in(watcher->tree, folder, name, &relative);

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
		if (root->kind == FR_NODE_GATE || root->watch < 0 ||
		    strncmp(root->name, path, len) != 0 || root->name[len] != '/' ||
		    is_folder(root->name))
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
static bool is_complete_at_birth(const char *path, const struct fr_node *known)
{
	struct stat st;

	return lstat(path, &st) == 0 &&
	       (S_ISLNK(st.st_mode) || (!known && S_ISREG(st.st_mode) && st.st_nlink > 1));
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

static void file_event(struct fr_watcher *watcher, struct fr_node *folder, const char *name,
		       enum fr_hint hint)
{
	struct fr_node *known = fr_tree_child(watcher->tree, folder, name, FR_NODE_FILE);
	struct fr_verdict verdict;
	const char *relative, *path;

	if (strcmp(name, "pyvenv.cfg") == 0 && becomes_virtualenv(watcher, folder))
		return;
	path = fr_tree_path_in(watcher->tree, folder, name, &relative);
	if (!path)
		return;
	fr_rules_judge_file(watcher->rules, relative, &verdict);
	if (!verdict.counts)
		return;
	/* A file that is moved here is new even if nobody writes to it: "writing" tells that from a
	 * touch. */
	watcher->hooks->note(watcher->ctx, path,
			     hint == FR_HINT_MOVED_HERE ? FR_HINT_WRITING : hint);
	if (hint == FR_HINT_MOVED_HERE ||
	    (hint == FR_HINT_WRITING && is_complete_at_birth(path, known)))
		watcher->hooks->note(watcher->ctx, path, FR_HINT_WRITTEN);
}

static void take_hint(void *ctx, struct fr_node *folder, const char *name, enum fr_hint hint)
{
	struct fr_watcher *watcher = ctx;

	if (hint == FR_HINT_LOST) {
		watcher->hooks->lost(watcher->ctx);
		fr_watcher_rescan(watcher);
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
		file_event(watcher, folder, name, hint);
	}
}

/* ---- what others call ---- */

int fr_watcher_new(const struct fr_rules *rules, const struct fr_source_ops *ops,
		   const struct fr_watcher_hooks *hooks, void *ctx, struct fr_watcher **ret_watcher)
{
	struct fr_watcher *watcher = calloc(1, sizeof(*watcher));
	int error;

	if (!watcher)
		return -ENOMEM;
	*watcher = (struct fr_watcher){.rules = rules, .ops = ops, .hooks = hooks, .ctx = ctx};
	error = fr_tree_new(&watcher->tree);
	if (!error)
		error = fr_scan_new(watcher->tree, rules, &scan_hooks, watcher, &watcher->scan);
	if (!error)
		error = ops->open(&watcher->source);
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
	watcher->ops->close(watcher->source);
	fr_scan_free(watcher->scan);
	fr_tree_free(watcher->tree);
	free(watcher);
}

int fr_watcher_add_root(struct fr_watcher *watcher, const char *path)
{
	struct fr_node *root;

	for (root = fr_tree_roots(watcher->tree); root; root = root->next) {
		if (strcmp(root->name, path) == 0)
			return 0;
	}
	root = fr_tree_add_root(watcher->tree, path, FR_NODE_FOLDER);
	if (!root)
		return -ENOMEM;
	fr_scan_push(watcher->scan, root, false);
	return 0;
}

int fr_watcher_arm(struct fr_watcher *watcher)
{
	watcher->first_error = 0;
	while (fr_scan_step(watcher->scan, FR_WATCHER_ENTRIES_PER_STEP))
		continue;
	return watcher->first_error;
}

int fr_watcher_fd(const struct fr_watcher *watcher)
{
	return watcher->ops->fd(watcher->source);
}

void fr_watcher_own(struct fr_watcher *watcher)
{
	watcher->ops->own(watcher->source);
}

bool fr_watcher_step(struct fr_watcher *watcher)
{
	bool has_more = watcher->ops->step(watcher->source, take_hint, watcher) > 0;

	return fr_scan_step(watcher->scan, FR_WATCHER_ENTRIES_PER_STEP) || has_more;
}

void fr_watcher_rescan(struct fr_watcher *watcher)
{
	for (struct fr_node *root = fr_tree_roots(watcher->tree); root; root = root->next) {
		if (root->kind == FR_NODE_FOLDER)
			fr_scan_push(watcher->scan, root, true);
	}
}

/* Removes a file from the tree, and with it the folders that were kept for its sake. */
static void forget_file(struct fr_watcher *watcher, struct fr_node *node)
{
	struct fr_node *folder = node->parent;

	fr_tree_remove(watcher->tree, node);
	while (folder->is_left && folder->parent && !folder->first_child) {
		struct fr_node *above = folder->parent;

		fr_tree_remove(watcher->tree, folder);
		folder = above;
	}
}

static enum fr_change_kind verify_new(struct fr_watcher *watcher, const char *path,
				      const struct fr_stamp *stamp)
{
	struct fr_node *folder = fr_tree_folder_of(watcher->tree, path);
	struct fr_node *node;

	if (!folder || folder->is_left)
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

enum fr_change_kind fr_watcher_verify(struct fr_watcher *watcher, const char *path,
				      bool was_written, bool with_hash)
{
	struct fr_node *node = fr_tree_file(watcher->tree, path);
	struct fr_stamp now;
	enum fr_change_kind kind;
	int error = fr_content_stamp(-1, path, with_hash, &now);

	if (error == -ENOENT || (!error && node && node->parent->is_left)) {
		if (node)
			forget_file(watcher, node);
		/* One that is there in a folder that is not entered any more is neither changed nor
		 * removed. */
		return node && error ? FR_CHANGE_REMOVED : FR_CHANGE_NONE;
	}
	if (error)
		return FR_CHANGE_NONE; /* not to be looked at: what cannot be read cannot be loaded
					*/
	if (!node)
		return verify_new(watcher, path, &now);
	if (watcher->baseline)
		fr_baseline_resolve(watcher->baseline, node);
	kind = compare(&node->stamp, &now, was_written);
	if (kind == FR_CHANGE_NONE && !now.has_hash && fr_content_same_stamp(&node->stamp, &now))
		return kind; /* nothing newer is known */
	node->stamp = now;
	node->baseline_slot = 0;
	return kind;
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

void fr_watcher_explain(const struct fr_watcher *watcher, const struct fr_source_ops *ops,
			int error, char *text, size_t text_size)
{
	ops->explain(error, watcher ? (unsigned long)fr_watcher_folders(watcher) : 1, text,
		     text_size);
}

void fr_watcher_use_baseline(struct fr_watcher *watcher, struct fr_baseline *baseline)
{
	watcher->baseline = baseline;
}

struct fr_tree *fr_watcher_tree(struct fr_watcher *watcher)
{
	return watcher->tree;
}
