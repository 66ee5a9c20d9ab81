/*
 * cycle: one turn of the master's loop. See cycle.h.
 */
#include <uwsgi.h>

#include "decide/batch.h"
#include "decide/loop_guard.h"
#include "door/act.h"
#include "door/browser.h"
#include "door/control.h"
#include "door/cycle.h"
#include "door/door.h"
#include "door/learn.h"
#include "door/listen.h"
#include "door/say.h"
#include "door/settings.h"
#include "door/settings_file.h"
#include "door/tell.h"
#include "reload/command.h"
#include "reload/eligible.h"
#include "reload/reload.h"
#include "reload/slots.h"
#include "reload/spare.h"
#include "reload/wake.h"
#include "watch/backend.h"
#include "watch/baseline.h"
#include "watch/changes.h"
#include "watch/hold.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

#define FR_GONE_MS    100 /* vim, PyCharm and others have the old file out of the way for a moment */
#define FR_WRITING_MS 1000 /* a slow writer that has not closed its file yet */

/* A storm does not hold a reload back for longer, or 4 times the quiet time. */
#define FR_BOUND_MS 2000

/* While a lock is there: nothing tells when it goes. */
#define FR_HOLD_LOOK_MS 20

/* A hold that lasts longer is worth a line. */
#define FR_HOLD_SAY_MS 1000

/* Quiet that is waited for while a rebase or a merge is not finished: it may be between two steps.
 */
#define FR_HOLD_SETTLE_MS 300

#define FR_STORM_FILES     8
#define FR_STORM_SETTLE_MS 50

static struct {
	struct fr_batch *batch;
	struct fr_changes changes;
	int64_t changes_event_ms; /* the first hint of what is in `changes` */
	int64_t act_at_ms; /* what is in `changes` waits until then; 0: nobody has judged it */
	struct fr_hold *hold;
	int64_t hold_look_ms; /* the batch is held back: when to look again; -1: it is not */
	bool is_hold_said;
	bool is_paused;
	struct fr_plan plan; /* for `changes`, once it is begun */
	bool has_unloaded;   /* files came or went, and no load has followed */
	bool must_rescan;    /* the batch overflowed */
	bool is_listing;     /* the watcher was not done in the last turn */
	bool is_loaded;      /* the first workers serve */
	bool is_asked_for;   /* a reload, whatever has changed */
} cycle;

int fr_cycle_open(void)
{
	struct fr_batch_times times = {
		.settle_ms = fr_settings.settle_ms,
		.gone_ms = FR_GONE_MS,
		.writing_ms = FR_WRITING_MS,
		.bound_ms = fr_settings.settle_ms * 4 > FR_BOUND_MS ? fr_settings.settle_ms * 4
								    : FR_BOUND_MS,
	};

	cycle.hold_look_ms = -1;
	if (fr_hold_new(&cycle.hold) < 0)
		return -ENOMEM;
	return fr_batch_new(&times, &cycle.batch);
}

int fr_cycle_hold_for(const char *path)
{
	return fr_hold_add_file(cycle.hold, path);
}

void fr_cycle_pause(bool is_paused)
{
	cycle.is_paused = is_paused;
}

void fr_cycle_ask(void)
{
	cycle.is_asked_for = true;
}

size_t fr_cycle_waiting(void)
{
	return fr_batch_len(cycle.batch) + cycle.changes.items_len;
}

void fr_cycle_note(const char *path, enum fr_hint hint)
{
	static const enum fr_batch_hint translated[] = {
		[FR_HINT_WRITING] = FR_BATCH_WRITING,
		[FR_HINT_WRITTEN] = FR_BATCH_WRITTEN,
		[FR_HINT_ATTRIB] = FR_BATCH_ATTRIB,
		[FR_HINT_GONE] = FR_BATCH_GONE,
	};

	fr_tell_hint(path, hint);
	if (fr_loop_guard_holds(&fr_door.handover.loop_guard, path, fr_door_now_ms())) {
		if (hint == FR_HINT_WRITTEN) /* or an audit would think that nobody had told */
			(void)fr_watcher_verify(fr_door.watcher, path, true, true);
		return;
	}
	fr_batch_note(cycle.batch, path, translated[hint], fr_door_now_ms());
	if (!cycle.is_paused)
		fr_reload_hold(fr_door_now_ms());
}

static const char *relative(void *ctx, const char *path)
{
	(void)ctx;
	return fr_watcher_relative(fr_door.watcher, path);
}

static void plan_for(const char *const *paths, size_t paths_len, struct fr_plan *ret_plan)
{
	const struct fr_plan_facts facts = {
		.wanted = {fr_settings.action, fr_settings.action_argument},
		.reactions = fr_settings.reactions,
		.relative = relative,
		.has_browser = fr_settings.has_browser,
		.has_lazy_apps = uwsgi.lazy_apps || uwsgi.lazy,
		.is_workers_safe = fr_door.is_workers_safe,
		.no_swap = fr_door.no_swap,
		.own_files = fr_settings.own_files,
		.own_files_len = fr_settings.own_files_len,
	};

	fr_plan_make(&facts, paths, paths_len, ret_plan);
}

void fr_cycle_plan(struct fr_plan *ret_plan)
{
	plan_for(cycle.changes.paths, cycle.changes.len, ret_plan);
}

void fr_cycle_usual_plan(struct fr_plan *ret_plan)
{
	plan_for(NULL, 0, ret_plan);
}

/* ---- what goes on beside the changes ---- */

/*
 * need-app ends the instance where there is no application to load, and that is what an edit leaves
 * for a moment. It is for the first start to be strict; once there was an application, an instance
 * under development waits for the next save. A lazy worker that is strict would end the instance by
 * itself (core/uwsgi.c, uwsgi_init_all_apps, signals the master), so workers are not, and the
 * master is in their place.
 */
static void watch_need_app(void)
{
	if (!uwsgi.need_app)
		return;
	if (fr_slots_have_app()) {
		uwsgi.need_app = 0;
	} else if (fr_slots_lack_app()) {
		fr_log("need-app: the application did not load, so the instance ends\n");
		uwsgi.status.dying_for_need_app = 1;
		kill_them_all(0);
	}
}

static void end_reading(void)
{
	if (fr_baseline_child_ended(fr_door.baseline, fr_watcher_tree(fr_door.watcher)))
		return;
	fr_baseline_free(fr_door.baseline);
	fr_door.baseline = NULL;
}

static void watch_baseline(void)
{
	pid_t child = fr_baseline_pid(fr_door.baseline);
	int status;

	if (child > 0 && waitpid(child, &status, WNOHANG) != 0)
		end_reading();
}

/* When the first generation serves: see fr_start_reading. */
static void read_rest(void)
{
	if (!fr_door.baseline || fr_baseline_pid(fr_door.baseline) > 0 || !cycle.is_loaded ||
	    fr_reload_is_running(NULL))
		return;
	if (fr_baseline_read_rest(fr_door.baseline, fr_watcher_tree(fr_door.watcher)) < 0)
		end_reading();
}

/*
 * What an application registers in uWSGI's shared tables when it is loaded stays there until an
 * exec. One that does is not loaded twice: if lazy-apps was our idea, the instance starts once more
 * without it; if it was the user's, changes become full reloads.
 */
static void look_for_side_effects(void)
{
	const char *side_effect = fr_door.no_swap ? NULL : fr_eligible_side_effect();
	int64_t now = fr_door_now_ms();

	if (!side_effect)
		return;
	fr_door.no_swap = side_effect;
	fr_door.is_workers_safe = false;
	if (fr_spare_was_lazy()) {
		fr_log("%s: a change does a full reload from now on\n", side_effect);
		return;
	}
	snprintf(fr_door.handover.no_swap, sizeof(fr_door.handover.no_swap), "%s", side_effect);
	fr_log("%s: the instance starts once more, to load it in the master\n", side_effect);
	(void)fr_reload_start(FR_ACTION_RELOAD,
			      &(struct fr_reload_request){.event_ms = now, .now_ms = now});
}

static void watch_first_load(void)
{
	if (cycle.is_loaded || !fr_slots_are_serving())
		return;
	cycle.is_loaded = true;
	fr_loop_guard_end(&fr_door.handover.loop_guard, fr_door_now_ms());
	fr_browser_first_load(fr_slots_have_app());
	look_for_side_effects();
}

/* ---- changes ---- */

/* Were files only written to? What comes or goes may change what others find, in ways that leave no
 * trace in them. */
static bool are_all_edits(void)
{
	for (size_t i = 0; i < cycle.changes.len; i++) {
		if (cycle.changes.kinds[i] == FR_CHANGE_ADDED ||
		    cycle.changes.kinds[i] == FR_CHANGE_REMOVED)
			return false;
	}
	return !cycle.must_rescan;
}

/* A configuration that could not be used is no change: the old rules stay. */
static void drop_broken_config(void)
{
	const char *path = fr_settings_file_path();
	struct fr_changes *changes = &cycle.changes;
	char error[1024];
	size_t i = 0;

	while (path && i < changes->len && strcmp(changes->paths[i], path) != 0)
		i++;
	if (!path || i == changes->len || fr_settings_file_is_good(error, sizeof(error)))
		return;
	fr_say_bad_config(error);
	changes->len--;
	memmove(changes->paths + i, changes->paths + i + 1,
		(changes->len - i) * sizeof(*changes->paths));
	memmove(changes->kinds + i, changes->kinds + i + 1,
		(changes->len - i) * sizeof(*changes->kinds));
}

/* Makes the plan for the changes, and begins with it. */
static void begin(void)
{
	look_for_side_effects();
	if (uwsgi_instance_is_reloading)
		return; /* and that takes in what has changed */
	drop_broken_config();
	if (cycle.changes.len == 0) {
		fr_reload_release(fr_door_now_ms());
		return;
	}
	fr_cycle_plan(&cycle.plan);
	fr_say_changes(&cycle.changes, fr_door.handover.what, sizeof(fr_door.handover.what));
	fr_learn_say(&cycle.changes);
	fr_say_action(&cycle.plan);
	fr_tell_decision(&cycle.changes, &cycle.plan, fr_door.handover.what);
	fr_act_begin(&cycle.plan, &cycle.changes, cycle.changes_event_ms);
}

/* Brings the new code into service, if that is part of the plan. */
static void load(void)
{
	bool are_edits = are_all_edits() && !cycle.has_unloaded;
	int error;

	cycle.has_unloaded = !are_edits;
	if (cycle.plan.action == FR_ACTION_LOG) {
		fr_reload_release(fr_door_now_ms());
		return;
	}
	cycle.has_unloaded = false;
	uwsgi.need_app = 0; /* see watch_need_app */
	fr_loop_guard_begin(&fr_door.handover.loop_guard, fr_door_now_ms());
	error = fr_reload_start(cycle.plan.action,
				&(struct fr_reload_request){
					.changed = are_edits ? cycle.changes.paths : NULL,
					.changed_len = cycle.changes.len,
					.event_ms = cycle.changes_event_ms,
					.now_ms = fr_door_now_ms(),
				});
	if (!error)
		return;
	fr_loop_guard_end(&fr_door.handover.loop_guard, fr_door_now_ms());
	fr_log("%s failed: %s\n", fr_action_name(cycle.plan.action), strerror(-error));
	fr_browser_broken(strerror(-error), "");
	fr_tell_failure(strerror(-error));
}

/* Somebody wants new code, whatever has changed, and whatever a change does. */
static void load_as_asked(int64_t now)
{
	look_for_side_effects();
	if (uwsgi_instance_is_reloading)
		return;
	fr_cycle_usual_plan(&cycle.plan);
	cycle.plan.commands_len = cycle.plan.besides_len = 0;
	if (cycle.plan.action == FR_ACTION_LOG) {
		cycle.plan.action = FR_ACTION_RELOAD;
		cycle.plan.reason = "as --fastreload-action loads no code";
	}
	cycle.changes_event_ms = now;
	fr_say_changes(&cycle.changes, fr_door.handover.what, sizeof(fr_door.handover.what));
	fr_say_action(&cycle.plan);
	fr_tell_decision(&cycle.changes, &cycle.plan, fr_door.handover.what);
	load();
}

/* Begins, or goes on with what was begun. Returns whether it is done. */
static bool act(void)
{
	if (!fr_act_is_open())
		begin();
	switch (fr_act_step()) {
	case FR_ACT_WAITING:
		return false;
	case FR_ACT_DONE:
		load();
		break;
	case FR_ACT_FAILED: /* what is being loaded, and held back, is of no use any more */
		cycle.has_unloaded |= !are_all_edits();
		fr_tell_failure("a command has failed");
		break;
	case FR_ACT_IDLE:
		break;
	}
	return true;
}

/*
 * How long to wait for more. A generation can be started at once, and once more if there is more to
 * come, so a single save is not made to wait; but of a checkout, a search and replace, only the end
 * is of interest.
 */
static int64_t settle_time(void)
{
	if (fr_door.no_swap || fr_settings.settle_text)
		return fr_settings.settle_ms;
	if (fr_batch_len(cycle.batch) >= FR_STORM_FILES)
		return FR_STORM_SETTLE_MS;
	return fr_reload_is_running(NULL) ? fr_settings.settle_ms : 0;
}

/* Is the batch, which is ready, held back? Sets when to look again. */
static bool is_held(int64_t now)
{
	const char *path = fr_batch_first_path(cycle.batch), *file;
	int64_t quiet_ms = now - fr_batch_last_ms(cycle.batch);
	int64_t held_ms = now - fr_batch_first_ms(cycle.batch);
	enum fr_hold_verdict verdict;

	if (path && !fr_watcher_looks_itself(fr_door.watcher, path))
		path = NULL;
	verdict = fr_hold_look(cycle.hold, path, quiet_ms, &file);
	if (verdict == FR_HOLD_SETTLE && quiet_ms < FR_HOLD_SETTLE_MS) {
		cycle.hold_look_ms = now + FR_HOLD_SETTLE_MS - quiet_ms;
		return true;
	}
	if (verdict == FR_HOLD_WAIT) {
		fr_tell_held(file, fr_batch_len(cycle.batch));
		cycle.hold_look_ms = now + FR_HOLD_LOOK_MS;
		if (held_ms >= FR_HOLD_SAY_MS && !cycle.is_hold_said) {
			fr_say_hold(file, fr_batch_len(cycle.batch));
			cycle.is_hold_said = true;
		}
		return true;
	}
	if (verdict == FR_HOLD_STALE)
		fr_say_stale_lock(file);
	cycle.hold_look_ms = -1;
	cycle.is_hold_said = false;
	return false;
}

/* Takes the batch up if it is ready. Returns whether there is something to decide about. */
static bool take_up(int64_t now)
{
	struct fr_batch_item *items;
	int64_t deadline;
	size_t len;

	fr_batch_set_settle(cycle.batch, settle_time());
	deadline = fr_batch_deadline_ms(cycle.batch);
	if (deadline < 0)
		cycle.hold_look_ms = -1;
	if (cycle.is_paused && deadline >= 0)
		fr_tell_held("paused", fr_batch_len(cycle.batch));
	if (deadline < 0 || deadline > now || cycle.is_paused || fr_reload_must_wait(now) ||
	    is_held(now))
		return false;
	cycle.changes_event_ms = fr_batch_first_ms(cycle.batch);
	cycle.act_at_ms = 0;
	len = fr_batch_take(cycle.batch, &items, &cycle.must_rescan);
	if (fr_changes_begin(&cycle.changes, items, len) == 0)
		return true;
	fr_watcher_rescan(fr_door.watcher); /* no memory: what it was comes again */
	return false;
}

/* May a load begin for the sake of what has changed? If it is the application's own doing, later,
 * or never. */
static bool may_act(int64_t now)
{
	struct fr_loop_guard *guard = &fr_door.handover.loop_guard;

	if (cycle.act_at_ms == 0) {
		cycle.act_at_ms = fr_loop_guard_judge(guard, cycle.changes.paths, cycle.changes.len,
						      cycle.changes_event_ms, now);
		if (cycle.act_at_ms < 0) {
			fr_say_loop(&cycle.changes);
			fr_tell_loop(&cycle.changes);
		}
	}
	return cycle.act_at_ms >= 0;
}

/* Takes the batch up when it is ready, goes on with the one that was taken up, and acts on what it
 * comes to. Returns whether there is more to do at once. */
static bool decide(int64_t now)
{
	if (cycle.is_asked_for && !fr_changes_is_open(&cycle.changes) &&
	    !fr_reload_must_wait(now)) {
		cycle.is_asked_for = false;
		load_as_asked(now);
	}
	if (!fr_changes_is_open(&cycle.changes) && !take_up(now))
		return false;
	if (fr_changes_step(&cycle.changes, fr_door.watcher))
		return true;
	if (cycle.changes.len > 0 && (fr_act_is_open() || may_act(now))) {
		if (!fr_act_is_open() && cycle.act_at_ms > now) {
			if (fr_batch_len(cycle.batch) == 0)
				return false;
			fr_loop_guard_disturb(&fr_door.handover.loop_guard);
		}
		if (!act())
			return false;
	} else {
		fr_reload_release(now);
		if (cycle.changes.len == 0) {
			fr_say_unchanged(&cycle.changes);
			fr_tell_unchanged(&cycle.changes);
		}
	}
	fr_changes_clear(&cycle.changes);
	if (cycle.must_rescan)
		fr_watcher_rescan(fr_door.watcher);
	return cycle.must_rescan;
}

/* When the changes and the batch want the next turn, or -1. */
static int64_t next_decision(int64_t now)
{
	int64_t deadline = fr_batch_deadline_ms(cycle.batch);

	if (uwsgi_instance_is_reloading || uwsgi_instance_is_dying)
		return -1;
	if (fr_act_is_open())
		return -1; /* the end of its command wakes us */
	if (fr_changes_is_open(&cycle.changes))
		return cycle.act_at_ms;
	if (fr_reload_must_wait(now))
		return -1;
	if (cycle.is_asked_for)
		return now;
	if (cycle.is_paused)
		return -1;
	return deadline >= 0 && cycle.hold_look_ms > deadline ? cycle.hold_look_ms : deadline;
}

/* Of two times the one that comes first; negative: none. */
static int64_t earlier(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* When to look again, if nothing wakes us before. */
static int64_t next_wake(int64_t now, bool has_more, int64_t reload_wake_ms)
{
	int64_t deadline = next_decision(now);

	if (has_more)
		return 0;
	if (deadline >= 0 && deadline < now)
		deadline = now;
	return earlier(deadline, reload_wake_ms);
}

/* Somebody writes faster than can be read, and there is always more: that does not hold back what
 * has been noted. */
static bool is_overdue(int64_t now)
{
	return fr_batch_len(cycle.batch) > 0 &&
	       now - fr_batch_first_ms(cycle.batch) > 2 * FR_BOUND_MS;
}

/* Takes note of what has become of a reload. */
static void finish(enum fr_progress progress, const struct fr_reload_times *times)
{
	if (progress == FR_PROGRESS_RUNNING)
		return;
	fr_loop_guard_end(&fr_door.handover.loop_guard, fr_door_now_ms());
	if (progress == FR_PROGRESS_FAILED) {
		fr_say_failure();
	} else {
		fr_say_outcome(times);
		fr_tell_outcome(times, fr_slots_have_app());
		look_for_side_effects();
	}
	fr_door.handover.what[0] = '\0';
}

/* Is everything that was noted verified? */
static bool is_quiet(bool has_more)
{
	return !has_more && fr_batch_len(cycle.batch) == 0 && !fr_changes_is_open(&cycle.changes);
}

void fr_cycle_turn(void)
{
	struct fr_reload_times times;
	enum fr_progress progress;
	int64_t now, reload_wake_ms, listen_wake_ms, control_wake_ms, browser_wake_ms;
	bool was_reading = fr_door.baseline != NULL, has_more;
	unsigned reasons = fr_wake_collect();

	watch_baseline();
	fr_say_baseline(was_reading);
	fr_wake_follow();
	watch_need_app();
	watch_first_load();

	listen_wake_ms = fr_listen_step(fr_door_now_ms(), cycle.is_listing);
	has_more = cycle.is_listing = fr_watcher_step(fr_door.watcher);
	if (!has_more)
		fr_tell_compared();
	now = fr_door_now_ms();
	control_wake_ms = fr_control_turn(now);
	fr_backends_step(fr_door.backends, now, is_quiet(has_more));
	fr_wake_follow_other(FR_WAKE_AUDIT, fr_backends_pid(fr_door.backends));
	if ((!has_more || is_overdue(now)) && !uwsgi_instance_is_reloading &&
	    !uwsgi_instance_is_dying)
		has_more = decide(now);
	if (uwsgi_instance_is_reloading || uwsgi_instance_is_dying)
		fr_act_stop();
	fr_wake_follow_other(FR_WAKE_COMMAND, fr_command_pid());
	progress = fr_reload_step(now, reasons & FR_WAKE_WORKER, &times, &reload_wake_ms);
	finish(progress, &times);
	read_rest();
	fr_wake_follow_other(FR_WAKE_BASELINE, fr_baseline_pid(fr_door.baseline));
	fr_learn_turn();
	fr_tell_turn();
	browser_wake_ms = fr_browser_turn(now);
	fr_wake_follow_other(FR_WAKE_HUB, fr_browser_pid());
	fr_wake_at(earlier(next_wake(now, has_more, reload_wake_ms),
			   earlier(earlier(listen_wake_ms, control_wake_ms), browser_wake_ms)));
}
