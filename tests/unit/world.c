/*
 * world: a watched folder on a real disk. See world.h.
 */
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "decide/batch.h"
#include "decide/rules.h"
#include "disk.h"
#include "watch/baseline.h"
#include "watch/tree.h"
#include "watch/ignorefiles.h"
#include "watchman_daemon.h"
#include "watch/poll.h"
#include "world.h"

static void take_note(void *ctx, const char *path, enum fr_hint hint)
{
	static const enum fr_batch_hint translated[] = {
		[FR_HINT_WRITING] = FR_BATCH_WRITING,
		[FR_HINT_WRITTEN] = FR_BATCH_WRITTEN,
		[FR_HINT_ATTRIB] = FR_BATCH_ATTRIB,
		[FR_HINT_GONE] = FR_BATCH_GONE,
	};
	struct fr_world *world = ctx;

	if (hint > FR_HINT_GONE) /* Check's own assertions need memory, and a test may have taken
				    that away */
		abort();
	world->notes++;
	fr_batch_note(world->batch, path, translated[hint], 0);
}

static void take_trouble(void *ctx, const char *path, int error)
{
	struct fr_world *world = ctx;

	world->troubles++;
	world->last_trouble = error;
}

static void take_loss(void *ctx, const struct fr_source_ops *ops)
{
	struct fr_world *world = ctx;

	world->losses++;
}

static void take_failure(void *ctx, const struct fr_source_ops *ops, int error)
{
	struct fr_world *world = ctx;

	world->failure = error;
}

static void take_return(void *ctx, const struct fr_source_ops *ops)
{
	struct fr_world *world = ctx;

	world->failure = 0;
}

static void take_saying(void *ctx, const char *path, const char *text)
{
	struct fr_world *world = ctx;

	snprintf(world->said, sizeof(world->said), "%s %s", path, text);
}

static const struct fr_watcher_hooks hooks = {
	.note = take_note,
	.trouble = take_trouble,
	.lost = take_loss,
	.failed = take_failure,
	.back = take_return,
	.say = take_saying,
};

/* The source that was opened last, to ask how far it has come. */
static struct fr_source *polling;

static int open_poll(struct fr_source **ret_source)
{
	int error = fr_poll_ops.open(ret_source);

	if (!error)
		polling = *ret_source;
	return error;
}

static const struct fr_source_ops *watched_poll(void)
{
	static struct fr_source_ops ops; /* outlives all watchers */

	ops = fr_poll_ops;
	ops.open = open_poll;
	fr_poll_set_pace(1, 500);
	return &ops;
}

void fr_world_init(struct fr_world *world, const struct fr_source_ops *ops)
{
	const struct fr_batch_times times = {0};

	*world = (struct fr_world){.ops = ops, .top = fr_disk_new()};
	if (strcmp(ops->name, "watchman") == 0)
		world->catch_up = fr_watchman_daemon_catch_up;
	world->is_polled = ops == &fr_poll_ops;
	if (world->is_polled)
		world->ops = ops = watched_poll();
	snprintf(world->root, sizeof(world->root), "%s", fr_disk_at(world->top, "above/root"));
	snprintf(world->outside, sizeof(world->outside), "%s", fr_disk_at(world->top, "outside"));
	fr_disk_mkdir(world->root);
	fr_disk_mkdir(world->outside);
	ck_assert_int_eq(fr_rules_new(&world->rules), 0);
	ck_assert_int_eq(fr_batch_new(&times, &world->batch), 0);
	ck_assert_int_eq(fr_watcher_new(world->rules, &hooks, world, &world->watcher), 0);
	ck_assert_int_eq(fr_ignorefiles_new(true, NULL, NULL, &world->files), 0);
	fr_watcher_use_ignorefiles(world->watcher, world->files);
	ck_assert_int_eq(fr_watcher_add_root(world->watcher, world->root, ops), 0);
}

bool fr_world_has(const struct fr_source_ops *ops)
{
	static const struct fr_source_ops *asked; /* the last one, and what came of it */
	static bool has;
	char *folder, text[512];
	struct fr_rules *rules;
	struct fr_watcher *watcher;
	struct fr_world world = {0};
	int error;

	if (asked == ops)
		return has;
	folder = fr_disk_new();
	ck_assert_int_eq(fr_rules_new(&rules), 0);
	ck_assert_int_eq(fr_watcher_new(rules, &hooks, &world, &watcher), 0);
	error = fr_watcher_add_root(watcher, folder, ops);
	if (!error)
		error = fr_watcher_arm(watcher);
	if (error) {
		fr_watcher_explain(NULL, ops, error, text, sizeof(text));
		fprintf(stderr, "skipped: %s\n", text);
	}
	fr_watcher_free(watcher);
	fr_rules_free(rules);
	fr_disk_free(folder);
	asked = ops;
	return has = !error;
}

static void forget_changes(struct fr_world *world)
{
	for (size_t i = 0; i < world->changes_len; i++)
		free(world->changes[i].path);
	free(world->changes);
	world->changes = NULL;
	world->changes_len = 0;
}

void fr_world_clear(struct fr_world *world)
{
	forget_changes(world);
	fr_watcher_free(world->watcher);
	fr_batch_free(world->batch);
	fr_rules_free(world->rules);
	fr_ignorefiles_free(world->files);
	fr_disk_free(world->top);
	*world = (struct fr_world){0};
}

static void read_baseline(struct fr_world *world)
{
	struct fr_tree *tree = fr_watcher_tree(world->watcher);
	struct fr_baseline *baseline;
	int status;

	ck_assert_int_eq(fr_baseline_start(tree, NULL, &baseline), 0);
	if (!baseline)
		return;
	ck_assert_int_eq(waitpid(fr_baseline_pid(baseline), &status, 0), fr_baseline_pid(baseline));
	ck_assert_int_eq(status, 0);
	(void)fr_baseline_child_ended(baseline, tree);
	fr_baseline_free(baseline);
}

int fr_world_arm(struct fr_world *world, bool with_baseline)
{
	int error = fr_watcher_arm(world->watcher);

	if (with_baseline)
		read_baseline(world);
	if (world->is_polled)
		fr_world_settle(world); /* or it would come too late for what comes next */
	return error;
}

/* What is there now is found by a look that begins now, which is not the one under way. */
static void await_passes(struct fr_world *world)
{
	struct pollfd waiting = {.fd = fr_watcher_fd(world->watcher), .events = POLLIN};
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 30;
	fr_poll_mark(polling);
	while (fr_poll_passes(polling) < 2) {
		(void)fr_watcher_step(world->watcher);
		(void)poll(&waiting, 1, 1);
		clock_gettime(CLOCK_MONOTONIC, &now);
		ck_assert_msg(now.tv_sec < end.tv_sec, "the outpost does not come to an end");
	}
}

/* Few files keep their nodes for long if they are left to fr_tree_settle. */
static void pack_all(struct fr_tree *tree)
{
	for (struct fr_node *root = fr_tree_roots(tree); root; root = root->next) {
		for (struct fr_node *node = root; node; node = fr_tree_next(node, root)) {
			if (node->kind == FR_NODE_FOLDER)
				(void)fr_tree_pack(tree, node);
		}
	}
}

void fr_world_settle(struct fr_world *world)
{
	struct pollfd waiting = {.fd = fr_watcher_fd(world->watcher), .events = POLLIN};

	if (world->catch_up)
		world->catch_up(world);
	if (world->is_polled)
		await_passes(world);
	do {
		while (fr_watcher_step(world->watcher))
			continue;
	} while (poll(&waiting, 1, 0) > 0);
	pack_all(fr_watcher_tree(world->watcher));
}

static void add_change(struct fr_world *world, const char *path, enum fr_change_kind kind)
{
	size_t len = world->changes_len;

	world->changes = realloc(world->changes, (len + 1) * sizeof(*world->changes));
	ck_assert_ptr_nonnull(world->changes);
	world->changes[len] = (struct fr_world_change){strdup(path), kind};
	world->changes_len = len + 1;
}

void fr_world_look(struct fr_world *world)
{
	bool has_overflowed;

	forget_changes(world);
	fr_world_settle(world);
	while (fr_batch_deadline_ms(world->batch) >= 0) {
		struct fr_batch_item *items;
		size_t len = fr_batch_take(world->batch, &items, &has_overflowed);

		for (size_t i = 0; i < len; i++) {
			enum fr_change_kind kind = fr_watcher_verify(world->watcher, items[i].path,
								     items[i].was_written, true);

			if (kind != FR_CHANGE_NONE)
				add_change(world, items[i].path, kind);
		}
		fr_batch_items_free(items, len);
		if (has_overflowed)
			fr_watcher_rescan(world->watcher);
		fr_world_settle(world);
	}
}

enum fr_change_kind fr_world_change_of(const struct fr_world *world, const char *path)
{
	for (size_t i = 0; i < world->changes_len; i++) {
		if (strcmp(world->changes[i].path, path) == 0)
			return world->changes[i].kind;
	}
	return FR_CHANGE_NONE;
}
