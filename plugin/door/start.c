/*
 * start: what is set up once. See start.h.
 */
#include <uwsgi.h>

#include "decide/config.h"
#include "decide/loop_guard.h"
#include "decide/rules.h"
#include "door/cycle.h"
#include "door/door.h"
#include "door/learn.h"
#include "door/publish.h"
#include "door/settings.h"
#include "door/start.h"
#include "door/tell.h"
#include "reload/candidates.h"
#include "reload/eligible.h"
#include "reload/generation.h"
#include "reload/nursery.h"
#include "reload/reload.h"
#include "report/sentence.h"
#include "watch/backend.h"
#include "watch/baseline.h"
#include "watch/bytecode.h"
#include "watch/explain.h"
#include "watch/opens.h"
#include "watch/uses.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

/* ---- what the watcher says ---- */

static void take_note(void *ctx, const char *path, enum fr_hint hint)
{
	(void)ctx;
	fr_cycle_note(path, hint);
}

static void take_trouble(void *ctx, const char *path, int error)
{
	static int last_trouble; /* the last error said, so as not to say it a thousand times */
	char text[1024], reason[512];

	(void)ctx;
	if (fr_backends_trouble(fr_door.backends, path, error))
		return; /* and that says how it goes on */
	if (error != -EACCES && (error == last_trouble || !fr_door.is_in_loop))
		return; /* a limit: one line is enough, and at the start arm() says it */
	last_trouble = error;
	fr_watcher_explain(fr_door.watcher, &fr_inotify_ops, error, reason, sizeof(reason));
	fr_log("\"%s\" is not watched: %s\n", fr_sentence_path(path, text, sizeof(text)), reason);
}

static void take_loss(void *ctx, const struct fr_source_ops *ops)
{
	(void)ctx;
	fr_tell_lost();
	fr_log("%s%s: comparing all folders with what was there\n",
	       ops == &fr_inotify_ops ? "the kernel" : ops->name,
	       ops == &fr_inotify_ops ? " dropped events (fs.inotify.max_queued_events)"
				      : " cannot tell what happened");
}

static void take_return(void *ctx, const struct fr_source_ops *ops)
{
	(void)ctx;
	fr_log("%s sees again\n", ops->name);
	fr_backends_back(fr_door.backends, ops);
}

static void take_failure(void *ctx, const struct fr_source_ops *ops, int error)
{
	char reason[512];

	(void)ctx;
	ops->explain(error, 0, reason, sizeof(reason));
	fr_log("%s sees nothing any more: %s\n", ops->name, reason);
	fr_backends_failed(fr_door.backends, ops, error);
}

/* Somebody edits a file and waits for a reload that does not come: that is worth one line. */
static void take_ignored(void *ctx, const char *path, const struct fr_verdict *verdict)
{
	static bool is_said;
	char text[1024], origin[1024];

	(void)ctx;
	if (is_said && !fr_settings.is_verbose)
		return;
	fr_log("%s does not count: \"%s\" (%s:%u)%s\n",
	       fr_sentence_path(fr_watcher_relative(fr_door.watcher, path), text, sizeof(text)),
	       verdict->pattern, fr_sentence_path(verdict->origin, origin, sizeof(origin)),
	       verdict->line,
	       is_said ? "" : "; \"fastreload-include\" with its name makes it count");
	is_said = true;
}

static void take_skipped(void *ctx, const char *path, const struct fr_verdict *verdict)
{
	(void)ctx;
	fr_tell_skipped(path, verdict);
}

static void say(void *ctx, const char *path, const char *text)
{
	char shown[1024];

	(void)ctx;
	fr_log("\"%s\" %s\n", fr_sentence_path(path, shown, sizeof(shown)), text);
}

/* What is as it always is need not be said at each reload. */
static void say_choice(void *ctx, const char *path, const char *text, bool is_usual)
{
	if (!is_usual || !uwsgi.is_a_reload)
		say(ctx, path, text);
}

static void take_missed(void *ctx, const char *path)
{
	(void)ctx;
	fr_tell_missed(path);
}

static const struct fr_backend_hooks backend_hooks = {.say = say_choice, .missed = take_missed};

static const struct fr_watcher_hooks watcher_hooks = {
	.note = take_note,
	.trouble = take_trouble,
	.lost = take_loss,
	.failed = take_failure,
	.ignored = take_ignored,
	.back = take_return,
	.say = say,
	.skipped = take_skipped,
};

/* ---- the watch ---- */

/* A lock file without a leading "/" is one of each watched folder. */
static void add_holds(const char *folder)
{
	struct uwsgi_string_list *usl;
	char path[PATH_MAX];

	uwsgi_foreach(usl, fr_settings.holds)
	{
		bool is_absolute = usl->value[0] == '/';

		if ((size_t)snprintf(path, sizeof(path), "%s%s%s", is_absolute ? "" : folder,
				     is_absolute ? "" : "/", usl->value) >= sizeof(path))
			fr_settings_refuse("fastreload-hold", usl->value, "is too long");
		if (fr_cycle_hold_for(path) < 0)
			fr_door_out_of_memory();
	}
}

/* All of them before the first is added, so that one that is refused is all that is said. */
static void resolve_folders(void)
{
	struct uwsgi_string_list *usl;
	char reason[256];
	char *path;

	uwsgi_foreach(usl, fr_settings.dirs)
	{
		if (fr_config_resolve_folder(usl->value, &path, reason, sizeof(reason)) < 0) {
			if (!uwsgi.is_a_reload)
				fr_settings_refuse("fastreload-dir", usl->value, reason);
			/* It was there when uWSGI started; to be without it is no reason to end
			 * what runs. */
			path = uwsgi_malloc(PATH_MAX);
			fr_explain_absolute(usl->value, path, PATH_MAX);
			fr_log("\"%s\" %s; it is awaited\n", usl->value, reason);
		}
		usl->value = path;
	}
}

static int add_folders(void)
{
	struct uwsgi_string_list *usl;
	int error = 0;

	resolve_folders();
	uwsgi_foreach(usl, fr_settings.dirs)
	{
		if (!error)
			error = fr_backends_add(fr_door.backends, usl->value, usl->custom_ptr);
		add_holds(usl->value);
	}
	return error;
}

/* A folder that meets a limit of its source goes on by another one; one without permission was
 * named, and the rest is watched. */
static void arm(void)
{
	char reason[512];
	int error = fr_watcher_new(fr_settings.rules, &watcher_hooks, NULL, &fr_door.watcher);

	if (!error)
		error = fr_backends_new(fr_door.watcher, &backend_hooks, NULL, &fr_door.backends);
	if (!error) {
		fr_watcher_use_ignorefiles(fr_door.watcher, fr_settings.ignorefiles);
		fr_watcher_restore(fr_door.watcher, fr_door.handover.sources);
		error = add_folders();
	}
	if (!error)
		error = fr_watcher_arm(fr_door.watcher);
	if (fr_door.backends)
		fr_backends_step(fr_door.backends, fr_door_now_ms(), false);
	if (!error || error == -EACCES || error == -ENOSPC || error == -EMFILE || error == -ENFILE)
		return;
	fr_watcher_explain(fr_door.watcher, &fr_inotify_ops, error, reason, sizeof(reason));
	uwsgi_log("[fastreload] --fastreload-dir: %s cannot be watched: %s\n",
		  fr_door.watcher ? "some folders" : "the folders", reason);
	if (!uwsgi.is_a_reload)
		exit(1);
	if (fr_door.backends)
		return;
	fr_watcher_free(fr_door.watcher);
	fr_door.watcher = NULL;
}

/* The files as they are now are what the application is about to load. */
static void note_files(int handover_fd)
{
	struct fr_tree *tree = fr_watcher_tree(fr_door.watcher);

	fr_bytecode_drop_recent(tree);
	if (handover_fd >= 0 && fr_publish_take(handover_fd) == 0)
		(void)fr_baseline_load(tree, handover_fd);
	if (!fr_door.handover.what[0]) /* else this is still the load that began before the exec */
		fr_loop_guard_begin(&fr_door.handover.loop_guard, fr_door_now_ms());
}

void fr_start_watching(void)
{
	int fds[FR_WATCHER_MAX_FDS], handover_fd = -1;

	if (fr_handover_take(&fr_door.handover, &handover_fd) > 0 && fr_door.handover.what[0])
		fr_reload_resume(&fr_door.handover.times);
	arm();
	if (!fr_door.watcher) {
		if (handover_fd >= 0)
			close(handover_fd);
		return; /* a limit was reached since uWSGI started: it goes on without us */
	}
	/* After a reload uWSGI closes what it does not know, a little later (core/setup_utils.c,
	 * uwsgi_setup_inherited_sockets). */
	for (size_t i = 0, len = fr_watcher_fds(fr_door.watcher, fds); i < len; i++)
		uwsgi_add_safe_fd(fds[i]);
	for (size_t i = 0, len = fr_backends_fds(fr_door.backends, fds); i < len; i++)
		uwsgi_add_safe_fd(fds[i]);
	note_files(handover_fd);
	if (handover_fd >= 0)
		close(handover_fd);
}

/* ---- generations ---- */

/* What a loader asks of the rules. */
static bool is_in_watched_folder(void *ctx, const char *path)
{
	(void)ctx;
	return fr_watcher_relative(fr_door.watcher, path) != path;
}

/* What some rule leaves out comes and goes without meaning; what no rule knows may be the
 * application's data. */
static bool is_noise(void *ctx, const char *path)
{
	const char *relative = fr_watcher_relative(fr_door.watcher, path);
	struct fr_verdict verdict;

	(void)ctx;
	fr_rules_judge_file(fr_settings.rules, relative, NULL, &verdict);
	return !verdict.counts && verdict.pattern;
}

static const struct fr_uses_hooks uses_hooks = {
	.is_watched = is_in_watched_folder,
	.is_noise = is_noise,
};

/* Somebody has asked for it in particular; but what runs already is not to end for it. */
static void refuse_swap(const char *reason)
{
	const char *option = fr_settings.strategy_text              ? "strategy"
			     : fr_settings.action == FR_ACTION_SWAP ? "action"
								    : "on";

	uwsgi_log("[fastreload] --fastreload-%s: \"%s\" is not possible here: %s; use \"auto\"\n",
		  option, fr_settings.strategy_text ? fr_pin_name(fr_settings.pin) : "swap",
		  reason);
	if (!uwsgi.is_a_reload)
		exit(1);
}

static void say_no_preload(const char *reason)
{
	if (fr_settings.preload)
		fr_log("--fastreload-preload does nothing here: %s\n", reason);
}

void fr_start_generations(void)
{
	const struct fr_nursery_limits limits = {
		.before_edited = fr_settings.pin == FR_PIN_WARM ? 0 : fr_settings.snapshots,
		.on_the_way = fr_settings.snapshots > 0,
		.memory_kib = fr_settings.memory_kib,
		.preload = fr_settings.snapshots > 0 ? fr_settings.preload : NULL,
	};
	const char *refusal;

	fr_door.is_workers_safe = !fr_eligible_master_has_modules();
	fr_door.no_swap =
		fr_door.handover.no_swap[0] ? fr_door.handover.no_swap : fr_eligible_refusal();
	if (!fr_settings_have_action(FR_ACTION_AUTO) && !fr_settings_have_action(FR_ACTION_SWAP))
		fr_door.no_swap = "as --fastreload-action says";
	if (fr_settings_have_action(FR_ACTION_SWAP) && fr_door.no_swap &&
	    !fr_door.handover.no_swap[0])
		refuse_swap(fr_door.no_swap);
	if (fr_door.no_swap) {
		say_no_preload(fr_door.no_swap);
		return;
	}
	if (fr_generation_prepare(fr_settings.mercy_ms, fr_settings.timeout_ms) < 0)
		fr_door_out_of_memory();
	refusal = fr_settings.pin == FR_PIN_SWAP ? "as --fastreload-strategy says"
						 : fr_nursery_refusal();
	if (refusal && fr_settings.pin > FR_PIN_SWAP)
		refuse_swap(refusal);
	if (refusal) {
		fr_verbose("each worker loads the application itself: %s\n", refusal);
		say_no_preload(refusal);
	} else {
		fr_generation_use_nursery(&limits, &uses_hooks, NULL,
					  fr_watcher_tree(fr_door.watcher));
		fr_learn_open();
		if (!limits.preload)
			say_no_preload("there are no snapshots");
	}
}

/*
 * A loader hears of each data file that is opened, and not by whom: what the plugin itself reads
 * meanwhile would count as read by the application, and the first edit of a template would load
 * everything again. So data files wait until it is over (cycle.c). One that is saved before they
 * are read is compared by its times.
 */
void fr_start_reading(void)
{
	if (fr_baseline_start(fr_watcher_tree(fr_door.watcher),
			      fr_candidates_have_nursery() ? fr_opens_is_source : NULL,
			      &fr_door.baseline) < 0)
		fr_log("contents cannot be compared: a save that changes nothing will reload\n");
}
