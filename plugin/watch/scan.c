/*
 * scan: lists folders and compares them with the tree. See scan.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decide/ignores.h"
#include "decide/judge.h"
#include "decide/rules.h"
#include "watch/content.h"
#include "watch/ignorefiles.h"
#include "watch/scan.h"
#include "watch/tree.h"

struct fr_scan {
	struct fr_tree *tree;
	struct fr_judge judge;
	struct fr_ignorefiles *files; /* borrowed, or NULL */
	const struct fr_scan_hooks *hooks;
	void *ctx;
	struct fr_node *queue_first, *queue_last;
	struct fr_node *folder; /* being listed, with dir; or NULL */
	DIR *dir;
	struct fr_node *next_known; /* to be looked at in `folder`, which is not listed then */
	bool is_compare, is_below;  /* how `folder` is being listed */
	bool is_known;              /* it is not listed: its names are known */
	bool is_judging;            /* an ignore file has changed: no folder is taken for known */
	bool has_settled; /* all was listed once: from then on nobody else reads what is recorded */
	uint32_t generation;
};

int fr_scan_new(struct fr_tree *tree, const struct fr_rules *rules,
		const struct fr_scan_hooks *hooks, void *ctx, struct fr_scan **ret_scan)
{
	struct fr_scan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return -ENOMEM;
	*scan = (struct fr_scan){
		.tree = tree, .judge = {.rules = rules}, .hooks = hooks, .ctx = ctx};
	*ret_scan = scan;
	return 0;
}

void fr_scan_free(struct fr_scan *scan)
{
	if (!scan)
		return;
	if (scan->dir)
		closedir(scan->dir);
	free(scan);
}

void fr_scan_use_ignorefiles(struct fr_scan *scan, struct fr_ignorefiles *files)
{
	scan->files = files;
	scan->judge.ignores = fr_ignorefiles_ignores(files);
}

const struct fr_judge *fr_scan_judge(const struct fr_scan *scan)
{
	return &scan->judge;
}

static void push(struct fr_scan *scan, struct fr_node *folder, bool is_compare, bool is_below)
{
	folder->is_pending_compare |= is_compare;
	folder->is_pending_below |= is_below;
	folder->is_left = false;
	if (folder->is_queued)
		return;
	folder->is_queued = true;
	folder->queue_prev = scan->queue_last;
	if (scan->queue_last)
		scan->queue_last->queue_next = folder;
	else
		scan->queue_first = folder;
	scan->queue_last = folder;
}

void fr_scan_push(struct fr_scan *scan, struct fr_node *folder, bool is_compare)
{
	push(scan, folder, is_compare, true);
}

void fr_scan_push_alone(struct fr_scan *scan, struct fr_node *folder)
{
	push(scan, folder, true, false);
}

static void take_off_queue(struct fr_scan *scan, struct fr_node *folder)
{
	if (folder->queue_prev)
		folder->queue_prev->queue_next = folder->queue_next;
	else
		scan->queue_first = folder->queue_next;
	if (folder->queue_next)
		folder->queue_next->queue_prev = folder->queue_prev;
	else
		scan->queue_last = folder->queue_prev;
	folder->queue_next = folder->queue_prev = NULL;
	folder->is_queued = false;
}

bool fr_scan_is_busy(const struct fr_scan *scan)
{
	return scan->dir || scan->queue_first;
}

static void stop_listing(struct fr_scan *scan)
{
	closedir(scan->dir);
	scan->dir = NULL;
	scan->folder = NULL;
	scan->next_known = NULL;
}

void fr_scan_forget(struct fr_scan *scan, struct fr_node *node)
{
	if (scan->folder == node)
		stop_listing(scan);
	if (scan->next_known == node)
		scan->next_known = node->next;
	if (node->is_queued)
		take_off_queue(scan, node);
	node->is_pending_compare = node->is_pending_below = false;
}

static bool means_gone(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ELOOP;
}

/* ---- ignore files ---- */

/* Who is told of the folders above a root. */
struct visit {
	struct fr_scan *scan;
	struct fr_node *root;
};

static void visit_above(void *ctx, const char *path)
{
	struct visit *visit = ctx;
	struct fr_scan *scan = visit->scan;
	char info[PATH_MAX];

	if (!scan->hooks->beyond)
		return;
	scan->hooks->beyond(scan->ctx, visit->root, path);
	if (fr_ignorefiles_info(scan->files, path, info, sizeof(info)))
		scan->hooks->beyond(scan->ctx, visit->root, info);
}

/* Returns whether something is not as it was. */
static bool read_ignorefiles(struct fr_scan *scan, struct fr_node *folder, bool keeps_before)
{
	const char *path = scan->files ? fr_tree_path(scan->tree, folder, NULL) : NULL;
	struct visit visit = {.scan = scan, .root = folder};
	char info[PATH_MAX];
	bool is_changed;

	if (!path)
		return false;
	is_changed = fr_ignorefiles_read(scan->files, path, keeps_before);
	if (fr_ignorefiles_info(scan->files, path, info, sizeof(info)) && scan->hooks->beyond)
		scan->hooks->beyond(scan->ctx, folder, info);
	if (!folder->parent)
		is_changed |= fr_ignorefiles_read_above(scan->files, folder->name, keeps_before,
							visit_above, &visit);
	return is_changed;
}

void fr_scan_read_ignorefiles(struct fr_scan *scan, struct fr_node *folder)
{
	if (read_ignorefiles(scan, folder, true))
		fr_scan_push(scan, folder, true);
}

/* ---- listing ---- */

/* Watches the folder, then opens it for listing. Leaves scan->dir NULL if there is nothing to list.
 */
static void begin(struct fr_scan *scan, struct fr_node *folder)
{
	bool is_compare = folder->is_pending_compare, is_below = folder->is_pending_below;
	bool was_watched = folder->watch >= 0;
	const char *path = fr_tree_path(scan->tree, folder, NULL);
	int error;

	folder->is_pending_compare = folder->is_pending_below = false;
	if (!path) {
		scan->hooks->trouble(scan->ctx, folder->name, -ENOMEM);
		return;
	}
	error = scan->hooks->enter(scan->ctx, folder, path);
	if (!means_gone(error)) {
		/* What was before is of interest only where the folder has been listed before. */
		scan->is_judging |= read_ignorefiles(scan, folder, was_watched);
		path = fr_tree_path(scan->tree, folder, NULL);
		scan->dir = opendir(path);
		if (!scan->dir && (error >= 0 || means_gone(-errno)))
			error = -errno;
	}
	if (means_gone(error))
		scan->hooks->left(scan->ctx, folder);
	else if (error < 0)
		scan->hooks->trouble(scan->ctx, path, error);
	if (!scan->dir)
		return;
	scan->folder = folder;
	scan->is_compare = is_compare;
	scan->is_below = is_below;
	scan->is_known = error == FR_SCAN_KNOWN && is_compare && !scan->is_judging;
	scan->next_known = scan->is_known ? folder->first_child : NULL;
	scan->generation++;
}

static bool holds(int dirfd, const char *folder, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return false;
	return faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void fr_scan_facts(int dirfd, const char *name, struct fr_folder_facts *ret_facts)
{
	*ret_facts = (struct fr_folder_facts){
		.has_pyvenv_cfg = holds(dirfd, name, "pyvenv.cfg"),
		.has_init_py = holds(dirfd, name, "__init__.py"),
	};
}

static bool is_root(const struct fr_scan *scan, const char *path)
{
	const char *rest;

	return fr_tree_root_of(scan->tree, path, &rest) && *rest == '\0';
}

bool fr_scan_enters(const struct fr_scan *scan, const char *path, const char *relative)
{
	struct fr_folder_facts facts;
	struct fr_verdict verdict;

	fr_scan_facts(AT_FDCWD, path, &facts);
	fr_judge_folder(&scan->judge, path, relative, false, &facts, &verdict);
	return verdict.counts && !is_root(scan, path);
}

static void meet_folder(struct fr_scan *scan, const char *name)
{
	struct fr_node *child = fr_tree_child(scan->tree, scan->folder, name, FR_NODE_FOLDER);
	struct fr_folder_facts facts;
	struct fr_verdict verdict;
	bool is_compare = scan->is_compare;
	const char *relative;
	const char *path = fr_tree_path_in(scan->tree, scan->folder, name, &relative);
	bool is_new = !child;

	if (!path || is_root(scan, path))
		return;
	fr_scan_facts(dirfd(scan->dir), name, &facts);
	fr_judge_folder(&scan->judge, path, relative, false, &facts, &verdict);
	if (!verdict.counts) {
		if (child)
			scan->hooks->left(scan->ctx, child);
		return;
	}
	if (!child && is_compare) {
		/* One that an ignore file left out until now is no news. */
		fr_judge_folder(&scan->judge, path, relative, true, &facts, &verdict);
		is_compare = verdict.counts;
	}
	if (!child)
		child = fr_tree_add(scan->tree, scan->folder, name, FR_NODE_FOLDER);
	if (!child)
		return;
	child->seen = scan->generation;
	if (is_new || scan->is_below)
		push(scan, child, is_compare, true);
}

/* Did the folder that is being listed become a virtual environment after it was judged, but before
 * it was watched? */
static bool is_left_out_by_now(const struct fr_scan *scan)
{
	const char *relative;
	const char *path = fr_tree_path(scan->tree, scan->folder, &relative);

	return scan->folder->parent && path && !fr_scan_enters(scan, path, relative);
}

static bool is_as_it_was(const struct fr_node *file, const struct fr_stamp *now)
{
	return !file->stamp.is_fresh && fr_content_same_stamp(&file->stamp, now);
}

/* Is the file, one that counts, news to the tree? One that an ignore file left out until now is
 * not. */
static bool is_news(const struct fr_scan *scan, const char *path, const char *relative)
{
	struct fr_verdict verdict;

	if (!scan->is_compare)
		return false;
	fr_judge_file(&scan->judge, path, relative, true, &verdict);
	return verdict.counts;
}

/* Takes the file into the tree as it is. A stamp that proves nothing would make it a change the
 * next time that all is compared. */
static void record(struct fr_scan *scan, struct fr_node *child, const char *name,
		   struct fr_stamp *stamp)
{
	if (!child)
		child = fr_tree_add(scan->tree, scan->folder, name, FR_NODE_FILE);
	if (!child)
		return;
	if (stamp->is_fresh && scan->has_settled)
		(void)fr_content_stamp(dirfd(scan->dir), name, true, stamp);
	child->stamp = *stamp;
	child->seen = scan->generation;
}

static void meet_file(struct fr_scan *scan, const char *name)
{
	struct fr_node *child = fr_tree_child(scan->tree, scan->folder, name, FR_NODE_FILE);
	struct fr_verdict verdict;
	struct fr_stamp stamp;
	const char *relative;
	const char *path = fr_tree_path_in(scan->tree, scan->folder, name, &relative);

	if (!path)
		return;
	fr_judge_file(&scan->judge, path, relative, false, &verdict);
	if (!verdict.counts && child) { /* an ignore file leaves it out now */
		if (scan->hooks->dropped)
			scan->hooks->dropped(scan->ctx, path);
		fr_tree_remove(scan->tree, child);
	}
	if (!verdict.counts || fr_content_stamp(dirfd(scan->dir), name, false, &stamp) < 0)
		return;
	if (child)
		child->seen = scan->generation;
	if (!scan->is_compare || (!child && !is_news(scan, path, relative))) {
		record(scan, child, name, &stamp);
		if (scan->hooks->recorded)
			scan->hooks->recorded(scan->ctx, path, &stamp);
	} else if (!child || !is_as_it_was(child, &stamp)) {
		scan->hooks->differs(scan->ctx, path, false);
	}
}

static void meet(struct fr_scan *scan, const struct dirent *entry)
{
	unsigned char type = entry->d_type;
	struct stat st;

	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return;
	if (type == DT_UNKNOWN) { /* some file systems do not tell, readdir(3) */
		if (fstatat(dirfd(scan->dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return;
		type = S_ISDIR(st.st_mode)   ? DT_DIR
		       : S_ISREG(st.st_mode) ? DT_REG
		       : S_ISLNK(st.st_mode) ? DT_LNK
					     : DT_SOCK;
	}
	if (type == DT_DIR)
		meet_folder(scan, entry->d_name);
	else if (strcmp(entry->d_name, "pyvenv.cfg") == 0 && is_left_out_by_now(scan))
		scan->hooks->left(scan->ctx, scan->folder);
	else if (type == DT_REG || type == DT_LNK)
		meet_file(scan, entry->d_name);
}

/* The listing ends early: what it did not show is not known to be missing. */
static void report_cut(struct fr_scan *scan, int error)
{
	const char *path = fr_tree_path(scan->tree, scan->folder, NULL);

	scan->hooks->trouble(scan->ctx, path ? path : scan->folder->name, error);
}

/* What the tree has and the listing has not. */
static void report_missing(struct fr_scan *scan)
{
	struct fr_node *next;

	for (struct fr_node *child = scan->folder->first_child; child; child = next) {
		const char *path;

		next = child->next;
		if (child->seen == scan->generation)
			continue;
		if (child->kind == FR_NODE_FOLDER) {
			/* One in the queue may have come since that listing began; its own turn
			 * will show whether it is there. */
			if (!child->is_queued)
				scan->hooks->left(scan->ctx, child);
			continue;
		}
		path = fr_tree_path(scan->tree, child, NULL);
		if (path)
			scan->hooks->differs(scan->ctx, path, true);
	}
}

/* Looks at the next of what is known to be in the folder; the hook may remove it. */
static void look_at_known(struct fr_scan *scan)
{
	struct fr_node *node = scan->next_known;
	struct fr_stamp now;
	int error;

	scan->next_known = node->next;
	if (node->kind == FR_NODE_FOLDER) {
		if (scan->is_below)
			fr_scan_push(scan, node, true);
		return;
	}
	error = fr_content_stamp(dirfd(scan->dir), node->name, false, &now);
	if (error == -ENOENT || (!error && !is_as_it_was(node, &now))) {
		const char *path = fr_tree_path(scan->tree, node, NULL);

		if (path)
			scan->hooks->differs(scan->ctx, path, error != 0);
	}
}

bool fr_scan_step(struct fr_scan *scan, unsigned max_entries)
{
	while (max_entries > 0) {
		struct dirent *entry;

		if (!scan->dir) {
			struct fr_node *folder = scan->queue_first;

			if (!folder) {
				/* All that has changed is judged by now. */
				scan->has_settled = true;
				scan->is_judging = false;
				if (scan->judge.ignores)
					fr_ignores_settle(scan->judge.ignores);
				return false;
			}
			take_off_queue(scan, folder);
			begin(scan, folder);
			max_entries--;
			continue;
		}
		if (scan->is_known) {
			if (scan->next_known)
				look_at_known(scan);
			else
				stop_listing(scan);
			max_entries--;
			continue;
		}
		errno = 0;
		entry = readdir(scan->dir);
		if (entry) {
			meet(scan, entry);
			max_entries--;
			continue;
		}
		if (errno)
			report_cut(scan, -errno);
		else if (scan->is_compare)
			report_missing(scan);
		stop_listing(scan);
	}
	return fr_scan_is_busy(scan);
}
