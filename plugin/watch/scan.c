/*
 * scan: lists folders and compares them with the tree. See scan.h.
 */
#include <dirent.h> /* DT_DIR */
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
#include "watch/names.h"
#include "watch/packed.h"
#include "watch/scan.h"
#include "watch/tree.h"

#define FR_PYVENV_CFG "pyvenv.cfg"
#define FR_INIT_PY    "__init__.py"

struct fr_scan {
	struct fr_tree *tree;
	struct fr_judge judge;
	struct fr_ignorefiles *files; /* borrowed, or NULL */
	const struct fr_scan_hooks *hooks;
	void *ctx;
	struct fr_node *queue_first, *queue_last;
	struct fr_node *folder; /* being listed, with names; or NULL */
	struct fr_names names;
	struct fr_node *next_known; /* to be looked at in `folder`, which is not listed then */
	struct fr_packer packer;    /* is_first: the files of `folder` that were met */
	bool is_compare, is_below;  /* how `folder` is being listed */
	struct fr_unpacker known;   /* is_known_packed: its files, before next_known */
	bool is_known;              /* it is not listed: its names are known */
	bool is_known_packed;       /* and there are packed ones among them, left to be looked at */
	bool is_first;              /* it has nothing yet, and all its names are at hand */
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
	fr_names_init(&scan->names);
	*ret_scan = scan;
	return 0;
}

void fr_scan_free(struct fr_scan *scan)
{
	if (!scan)
		return;
	fr_names_clear(&scan->names);
	fr_packer_clear(&scan->packer);
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
	return scan->folder || scan->queue_first;
}

static void stop_listing(struct fr_scan *scan)
{
	fr_names_close(&scan->names);
	fr_packer_reset(&scan->packer);
	scan->folder = NULL;
	scan->next_known = NULL;
	scan->is_first = scan->is_known_packed = false;
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

/* names: those in the folder, if they are at hand. Returns whether something is not as it was. */
static bool read_ignorefiles(struct fr_scan *scan, struct fr_node *folder, bool keeps_before,
			     const struct fr_names *names)
{
	const char *path = scan->files ? fr_tree_path(scan->tree, folder, NULL) : NULL;
	struct visit visit = {.scan = scan, .root = folder};
	char info[PATH_MAX];
	bool is_changed;

	if (!path || (names && folder->parent && fr_ignorefiles_has_none(scan->files, path, names)))
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
	if (read_ignorefiles(scan, folder, true, NULL))
		fr_scan_push(scan, folder, true);
}

/* ---- listing ---- */

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
		.has_pyvenv_cfg = holds(dirfd, name, FR_PYVENV_CFG),
		.has_init_py = holds(dirfd, name, FR_INIT_PY),
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

/*
 * As fr_judge_folder, for one that is met in a listing. Asks the disk only for what the verdict
 * hangs on: no folder is refused because it is a package, and none is entered because it is a
 * virtual environment. Whether it is one of these is left to its own listing, where nobody is told
 * of what was met before that was known.
 */
static void judge_met(struct fr_scan *scan, const char *name, const char *path,
		      const char *relative, struct fr_folder_facts *facts,
		      struct fr_verdict *ret_verdict)
{
	*facts = (struct fr_folder_facts){0};
	fr_judge_folder(&scan->judge, path, relative, false, facts, ret_verdict);
	if (!ret_verdict->counts) {
		facts->has_init_py = holds(scan->names.fd, name, FR_INIT_PY);
		if (facts->has_init_py)
			fr_judge_folder(&scan->judge, path, relative, false, facts, ret_verdict);
	}
	if (ret_verdict->counts && scan->is_compare) {
		facts->has_pyvenv_cfg = holds(scan->names.fd, name, FR_PYVENV_CFG);
		if (facts->has_pyvenv_cfg)
			fr_judge_folder(&scan->judge, path, relative, false, facts, ret_verdict);
	}
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
	judge_met(scan, name, path, relative, &facts, &verdict);
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

/* Is the folder, of which more is known than when it was judged, a virtual environment, or has it
 * become one before it was watched? */
static bool is_left_out_by_now(const struct fr_scan *scan, const struct fr_node *folder)
{
	const char *relative;
	const char *path = fr_tree_path(scan->tree, folder, &relative);

	return folder->parent && path && !fr_scan_enters(scan, path, relative);
}

/* Watches the folder, then opens it for listing. Leaves scan->folder NULL if there is nothing to
 * list. */
static void begin(struct fr_scan *scan, struct fr_node *folder)
{
	bool is_compare = folder->is_pending_compare, is_below = folder->is_pending_below;
	bool was_watched = folder->watch >= 0, is_open = false;
	const char *path = fr_tree_path(scan->tree, folder, NULL);
	int error;

	folder->is_pending_compare = folder->is_pending_below = false;
	if (!path) {
		scan->hooks->trouble(scan->ctx, folder->name, -ENOMEM);
		return;
	}
	error = scan->hooks->enter(scan->ctx, folder, path);
	if (!means_gone(error)) {
		int open_error = fr_names_open(&scan->names, path);

		is_open = open_error == 0;
		if (is_open && !is_compare && fr_names_may_have(&scan->names, FR_PYVENV_CFG) &&
		    is_left_out_by_now(scan, folder)) {
			fr_names_close(&scan->names);
			scan->hooks->left(scan->ctx, folder);
			return;
		}
		if (!is_open && (error >= 0 || means_gone(open_error)))
			error = open_error;
		/* What was before is of interest only where the folder has been listed before. */
		scan->is_judging |=
			read_ignorefiles(scan, folder, was_watched, is_open ? &scan->names : NULL);
		path = fr_tree_path(scan->tree, folder, NULL);
	}
	if (means_gone(error))
		scan->hooks->left(scan->ctx, folder);
	else if (error < 0)
		scan->hooks->trouble(scan->ctx, path, error);
	if (!is_open)
		return;
	scan->folder = folder;
	scan->is_compare = is_compare;
	scan->is_below = is_below;
	scan->is_known = error == FR_SCAN_KNOWN && is_compare && !scan->is_judging;
	scan->is_known_packed = scan->is_known && folder->packed;
	scan->next_known = scan->is_known ? folder->first_child : NULL;
	fr_unpacker_init(&scan->known, folder->packed);
	scan->is_first = !is_compare && scan->names.is_whole && fr_tree_is_empty(folder);
	scan->generation++;
}

static bool is_as_it_was(const struct fr_stamp *before, const struct fr_stamp *now)
{
	return !before->is_fresh && fr_content_same_stamp(before, now);
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
	if (stamp->is_fresh && scan->has_settled)
		(void)fr_content_stamp(scan->names.fd, name, true, stamp);
	/* No name comes twice in a listing that is at hand. */
	if (scan->is_first) {
		(void)fr_packer_add(&scan->packer, name, stamp);
		return;
	}
	if (!child)
		child = fr_tree_add(scan->tree, scan->folder, name, FR_NODE_FILE);
	if (!child)
		return;
	child->stamp = *stamp;
	child->seen = scan->generation;
}

static void meet_file(struct fr_scan *scan, const char *name)
{
	struct fr_node *child =
		scan->is_first ? NULL : fr_tree_child(scan->tree, scan->folder, name, FR_NODE_FILE);
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
	if (!verdict.counts || fr_content_stamp(scan->names.fd, name, false, &stamp) < 0)
		return;
	if (child)
		child->seen = scan->generation;
	if (!scan->is_compare || (!child && !is_news(scan, path, relative))) {
		record(scan, child, name, &stamp);
		if (scan->hooks->recorded)
			scan->hooks->recorded(scan->ctx, path, &stamp);
	} else if (!child || !is_as_it_was(&child->stamp, &stamp)) {
		scan->hooks->differs(scan->ctx, path, false);
	}
}

static void meet(struct fr_scan *scan, const char *name, unsigned char type)
{
	struct stat st;

	if (type == DT_UNKNOWN) { /* some file systems do not tell, readdir(3) */
		if (fstatat(scan->names.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return;
		type = S_ISDIR(st.st_mode)   ? DT_DIR
		       : S_ISREG(st.st_mode) ? DT_REG
		       : S_ISLNK(st.st_mode) ? DT_LNK
					     : DT_SOCK;
	}
	if (type == DT_DIR)
		meet_folder(scan, name);
	else if (strcmp(name, FR_PYVENV_CFG) == 0 && is_left_out_by_now(scan, scan->folder))
		scan->hooks->left(scan->ctx, scan->folder);
	else if (type == DT_REG || type == DT_LNK)
		meet_file(scan, name);
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
	const char *path;

	if (fr_tree_unpack(scan->tree, scan->folder) < 0) {
		report_cut(scan, -ENOMEM);
		return;
	}
	for (struct fr_node *child = scan->folder->first_child; child; child = next) {
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

/* Looks at the file of the folder. Returns whether it is another one than that stamp says;
 * *ret_gone then says whether it is missing. */
static bool has_changed(const struct fr_scan *scan, const char *name, const struct fr_stamp *before,
			bool *ret_gone)
{
	struct fr_stamp now;
	int error = fr_content_stamp(scan->names.fd, name, false, &now);

	*ret_gone = error == -ENOENT;
	return *ret_gone || (!error && !is_as_it_was(before, &now));
}

static void report_known(struct fr_scan *scan, const char *name, bool is_gone)
{
	const char *path = fr_tree_path_in(scan->tree, scan->folder, name, NULL);

	if (path)
		scan->hooks->differs(scan->ctx, path, is_gone);
}

/* Looks at the next of what is known to be in the folder; the hook may remove it. */
static void look_at_known(struct fr_scan *scan)
{
	struct fr_node *node = scan->next_known;
	bool is_gone;

	scan->next_known = node->next;
	if (node->kind == FR_NODE_FOLDER) {
		if (scan->is_below)
			fr_scan_push(scan, node, true);
	} else if (has_changed(scan, node->name, &node->stamp, &is_gone)) {
		report_known(scan, node->name, is_gone);
	}
}

/* All get nodes; those after the one that was looked at last are left to be looked at. */
static void unpack_known(struct fr_scan *scan)
{
	const struct fr_node *last;

	scan->is_known_packed = false;
	if (fr_tree_unpack(scan->tree, scan->folder) < 0) { /* they wait for the next time */
		report_cut(scan, -ENOMEM);
		stop_listing(scan);
		return;
	}
	last = fr_tree_child(scan->tree, scan->folder, scan->known.name, FR_NODE_FILE);
	scan->next_known = last ? last->next : scan->folder->first_child;
}

/* The same as look_at_known for packed files, which come first. */
static void look_at_packed(struct fr_scan *scan)
{
	bool is_gone;

	if (!fr_unpacker_next(&scan->known)) {
		scan->is_known_packed = false;
	} else if (has_changed(scan, scan->known.name, &scan->known.stamp, &is_gone)) {
		unpack_known(scan);
		if (scan->folder)
			report_known(scan, scan->known.name, is_gone);
	}
}

/* All of it is in the tree: nobody holds the nodes of its files any more. */
static void end_listing(struct fr_scan *scan)
{
	struct fr_node *folder = scan->folder;
	struct fr_packed *packed = NULL;

	if (scan->is_first && fr_packer_end(&scan->packer, &packed) < 0)
		report_cut(scan, -ENOMEM);
	stop_listing(scan);
	if (packed)
		fr_tree_give(scan->tree, folder, packed);
	else
		(void)fr_tree_pack(scan->tree, folder); /* if it can be now */
}

/* Goes on in the folder that is being listed. */
static void go_on(struct fr_scan *scan)
{
	struct fr_name name;
	int result;

	if (scan->is_known_packed) {
		look_at_packed(scan);
	} else if (scan->is_known) {
		if (scan->next_known)
			look_at_known(scan);
		else
			end_listing(scan);
	} else {
		result = fr_names_next(&scan->names, &name);
		if (result > 0) {
			meet(scan, name.text, name.type);
			return;
		}
		if (result < 0)
			report_cut(scan, result);
		else if (scan->is_compare)
			report_missing(scan);
		end_listing(scan);
	}
}

/* Nothing more is queued: all that has changed is judged by now. */
static void settle(struct fr_scan *scan)
{
	scan->has_settled = true;
	scan->is_judging = false;
	if (scan->judge.ignores)
		fr_ignores_settle(scan->judge.ignores);
}

bool fr_scan_step(struct fr_scan *scan, unsigned max_entries)
{
	/* What is met in a folder for the first time is not in the tree before all of it is; that
	 * is no more than a buffer of names. */
	while (max_entries > 0 || scan->is_first) {
		max_entries -= max_entries > 0;
		if (scan->folder) {
			go_on(scan);
		} else if (scan->queue_first) {
			struct fr_node *folder = scan->queue_first;

			take_off_queue(scan, folder);
			begin(scan, folder);
		} else {
			settle(scan);
			return false;
		}
	}
	/* Others may unpack the folder before the next step. */
	if (scan->is_known_packed)
		unpack_known(scan);
	return fr_scan_is_busy(scan);
}
