/*
 * fastreload: saved code is served at once, by uWSGI's master.
 *
 *	plugin = fastreload
 *	fastreload-dir = .
 *
 * This is the door: the options, uWSGI's hooks, and the one place where the rooms are joined:
 * watch (what happened) -> decide (does it matter, what follows) -> reload (does it) -> report
 *(says it).
 */
#include <uwsgi.h>

#include <pthread.h>

#include "decide/batch.h"
#include "decide/config.h"
#include "decide/plan.h"
#include "decide/rules.h"
#include "reload/broken.h"
#include "reload/generation.h"
#include "reload/handover.h"
#include "reload/loop.h"
#include "reload/nursery.h"
#include "reload/output.h"
#include "reload/reload.h"
#include "reload/slots.h"
#include "reload/wake.h"
#include "report/page.h"
#include "report/sentence.h"
#include "report/traceback.h"
#include "watch/baseline.h"
#include "watch/bytecode.h"
#include "watch/changes.h"
#include "watch/explain.h"
#include "watch/uses.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

#define FR_DEFAULT_SETTLE_MS 10
#define FR_DEFAULT_SNAPSHOTS "3"
#define FR_DEFAULT_MERCY_S   "5"
#define FR_DEFAULT_TIMEOUT_S "60"
#define FR_GONE_MS           100 /* vim, PyCharm and others have the old file out of the way for a moment */
#define FR_WRITING_MS        1000 /* a slow writer that has not closed its file yet */
#define FR_BOUND_MS                                                                                \
	2000 /* a storm does not hold a reload back for longer, or 4 times the quiet time */
#define FR_STORM_FILES     8
#define FR_STORM_SETTLE_MS 50
#define FR_SHOWN_CHANGES   2 /* named in the log line; the others are counted */

static struct {
	/* As the options say. */
	struct uwsgi_string_list *dirs;
	struct uwsgi_string_list *patterns; /* custom: enum fr_rule_kind */
	char *action_text, *settle_text, *mercy_text, *timeout_text, *snapshots_text, *broken_text,
		*dry_run;
	int is_verbose;
	int dry_run_fd;

	/* As they were understood. */
	enum fr_action action;
	const char *action_argument;
	int64_t settle_ms, mercy_ms, timeout_ms;
	int snapshots;
	const char *no_swap; /* why there are no generations in this instance; NULL: there are */
	const char **own_files;
	size_t own_files_len;

	struct fr_rules *rules;
	struct fr_watcher *watcher; /* NULL: there is nothing to do in this instance */
	struct fr_baseline *baseline;
	struct fr_batch *batch;
	struct fr_changes changes;
	struct fr_handover handover; /* what the image before left; then what goes to the next */
	int64_t changes_event_ms;    /* the first hint of what is in `changes` */
	bool is_child;               /* forked off the master: its descriptors are not ours */
	bool is_in_loop;             /* the master's loop has begun */
	bool is_workers_safe;        /* nothing is known of that each load registers anew */
	bool is_loaded;              /* the first workers serve */
	bool must_rescan;            /* the batch overflowed */
	int last_trouble;            /* the last error said, so as not to say it a thousand times */
} fr;

#define fr_log(...) uwsgi_log_verbose("[fastreload] " __VA_ARGS__)
#define fr_verbose(...)                                                                            \
	do {                                                                                       \
		if (fr.is_verbose)                                                                 \
			fr_log(__VA_ARGS__);                                                       \
	} while (0)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- options ---- */

static void opt_pattern(char *option, char *value, void *kind)
{
	(void)option;
	uwsgi_string_new_list(&fr.patterns, value)->custom = (uint64_t)(uintptr_t)kind;
}

/* The answer is for whoever asks; later, standard output may be a log file. */
static void opt_dry_run(char *option, char *value, void *unused)
{
	(void)option;
	(void)unused;
	fr.dry_run = value;
	fr.dry_run_fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
}

static struct uwsgi_option options[] = {
	{"fastreload-dir", required_argument, 0,
	 "reload when a source file in this folder, or in one below it, changes (repeatable)",
	 uwsgi_opt_add_string_list, &fr.dirs, 0},
	{"fastreload-include", required_argument, 0,
	 "count files that match this gitignore-style pattern, too (repeatable)", opt_pattern,
	 (void *)FR_RULE_INCLUDE, 0},
	{"fastreload-exclude", required_argument, 0,
	 "do not count files that match this gitignore-style pattern (repeatable)", opt_pattern,
	 (void *)FR_RULE_EXCLUDE, 0},
	{"fastreload-action", required_argument, 0,
	 "what a change does: auto (default), swap, reload, workers, chain or touch:FILE",
	 uwsgi_opt_set_str, &fr.action_text, 0},
	{"fastreload-settle", required_argument, 0,
	 "milliseconds of quiet before acting on a change (default 10)", uwsgi_opt_set_str,
	 &fr.settle_text, 0},
	{"fastreload-mercy", required_argument, 0,
	 "seconds that old workers have to finish their requests (default " FR_DEFAULT_MERCY_S ")",
	 uwsgi_opt_set_str, &fr.mercy_text, 0},
	{"fastreload-timeout", required_argument, 0,
	 "seconds that new workers have to load the application (default " FR_DEFAULT_TIMEOUT_S ")",
	 uwsgi_opt_set_str, &fr.timeout_text, 0},
	{"fastreload-snapshots", required_argument, 0,
	 "how many copies of the half-loaded application may wait, each just before a module that "
	 "was "
	 "edited (default " FR_DEFAULT_SNAPSHOTS ", 0: none)",
	 uwsgi_opt_set_str, &fr.snapshots_text, 0},
	{"fastreload-broken", required_argument, 0,
	 "what browsers get while the new code does not load: old (default), the last good code's "
	 "pages, or page, one that shows the traceback",
	 uwsgi_opt_set_str, &fr.broken_text, 0},
	{"fastreload-verbose", no_argument, 0, "log what was looked at and found unchanged, too",
	 uwsgi_opt_true, &fr.is_verbose, 0},
	{"fastreload-dry-run", required_argument, 0,
	 "say whether a change of this path would count, and by which rule, and exit", opt_dry_run,
	 NULL, 0},
	UWSGI_END_OF_OPTIONS};

/* Bad input ends the start with one line. Never called later. */
__attribute__((noreturn)) static void refuse(const char *option, const char *value,
					     const char *reason)
{
	char text[1024];

	uwsgi_log("[fastreload] --%s: \"%s\" %s\n", option,
		  fr_sentence_path(value, text, sizeof(text)), reason);
	exit(1);
}

__attribute__((noreturn)) static void out_of_memory(void)
{
	uwsgi_log("[fastreload] there is not enough memory to start\n");
	exit(1);
}

/*
 * uWSGI's structures differ from version to version, and this plugin was compiled with those of
 * one. The flags that uWSGI was built with name its version; its own structures are not safe to
 * look at before that is known.
 */
static void on_load(void)
{
	const char *flags = uwsgi_get_cflags();
	const char *at = strstr(flags, "-DUWSGI_VERSION=\"");
	const char *running, *end;

	if (!at)
		return;
	running = at + strcspn(at, "=") + 1;
	running += strspn(running, "\"\\");
	end = running + strcspn(running, "\"\\");
	if ((size_t)(end - running) == strlen(UWSGI_VERSION) &&
	    strncmp(running, UWSGI_VERSION, strlen(UWSGI_VERSION)) == 0)
		return;
	uwsgi_log("[fastreload] this plugin was built for uWSGI %s and cannot run in uWSGI %.*s; "
		  "build it again with \"uwsgi --build-plugin\" of the uWSGI that loads it\n",
		  UWSGI_VERSION, (int)(end - running), running);
	exit(1);
}

static void read_rules(void)
{
	struct uwsgi_string_list *usl;
	const char *reason;

	if (fr_rules_new(&fr.rules) < 0)
		out_of_memory();
	uwsgi_foreach(usl, fr.patterns)
	{
		enum fr_rule_kind kind = (enum fr_rule_kind)usl->custom;

		if (fr_rules_add(fr.rules, kind, usl->value, &reason) < 0)
			refuse(kind == FR_RULE_INCLUDE ? "fastreload-include"
						       : "fastreload-exclude",
			       usl->value, reason);
	}
}

static void read_time(const char *option, const char *value, int64_t *ret_ms)
{
	char reason[256];

	if (fr_config_parse_seconds(value, ret_ms, reason, sizeof(reason)) < 0)
		refuse(option, value, reason);
}

static void read_values(void)
{
	char reason[256];

	if (fr.action_text &&
	    fr_config_parse_action(fr.action_text, &fr.action, &fr.action_argument, reason,
				   sizeof(reason)) < 0)
		refuse("fastreload-action", fr.action_text, reason);
	if ((fr.action == FR_ACTION_WORKERS || fr.action == FR_ACTION_CHAIN) && !uwsgi.lazy_apps &&
	    !uwsgi.lazy)
		refuse("fastreload-action", fr.action_text,
		       "needs lazy-apps: without it the workers come back with the code that the "
		       "master loaded; add \"lazy-apps = true\", or use \"auto\"");
	fr.settle_ms = FR_DEFAULT_SETTLE_MS;
	if (fr.settle_text &&
	    fr_config_parse_settle(fr.settle_text, &fr.settle_ms, reason, sizeof(reason)) < 0)
		refuse("fastreload-settle", fr.settle_text, reason);
	if (fr_config_parse_snapshots(fr.snapshots_text ? fr.snapshots_text : FR_DEFAULT_SNAPSHOTS,
				      &fr.snapshots, reason, sizeof(reason)) < 0)
		refuse("fastreload-snapshots", fr.snapshots_text, reason);
	if (fr.broken_text && strcmp(fr.broken_text, "page") != 0 &&
	    strcmp(fr.broken_text, "old") != 0)
		refuse("fastreload-broken", fr.broken_text, "is unknown; there are old and page");
	read_time("fastreload-mercy", fr.mercy_text ? fr.mercy_text : FR_DEFAULT_MERCY_S,
		  &fr.mercy_ms);
	read_time("fastreload-timeout", fr.timeout_text ? fr.timeout_text : FR_DEFAULT_TIMEOUT_S,
		  &fr.timeout_ms);
}

/* The files that this instance reads its configuration from, as absolute paths. A file may be
 * written as "name:section". */
static void find_own_files(void)
{
	static const char *const kinds[] = {"ini", "yaml", "yml", "json", "xml", "config"};

	fr.own_files = calloc((size_t)uwsgi.exported_opts_cnt + 1, sizeof(*fr.own_files));
	for (int i = 0; fr.own_files && i < uwsgi.exported_opts_cnt; i++) {
		const struct uwsgi_opt *option = uwsgi.exported_opts[i];
		char path[PATH_MAX];
		char *resolved, *colon;

		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
			if (!option->value || strcmp(option->key, kinds[kind]) != 0)
				continue;
			snprintf(path, sizeof(path), "%s%s%s",
				 option->value[0] == '/' ? "" : uwsgi.cwd,
				 option->value[0] == '/' ? "" : "/", option->value);
			colon = strrchr(path, ':');
			if (colon && access(path, F_OK) < 0)
				*colon = '\0';
			resolved = realpath(path, NULL);
			if (resolved)
				fr.own_files[fr.own_files_len++] = resolved;
		}
	}
}

__attribute__((noreturn)) static void dry_run(void)
{
	struct uwsgi_string_list *usl;
	char path[PATH_MAX], reason[256];
	FILE *out = fdopen(fr.dry_run_fd, "w");
	char *root;

	if (!out)
		out_of_memory();
	fr_explain_absolute(fr.dry_run, path, sizeof(path));
	uwsgi_foreach(usl, fr.dirs)
	{
		if (fr_config_resolve_folder(usl->value, &root, reason, sizeof(reason)) < 0)
			refuse("fastreload-dir", usl->value, reason);
		if (fr_explain_path(fr.rules, root, path, out)) {
			fclose(out);
			exit(0);
		}
		free(root);
	}
	fprintf(out, "%s: does not count: it is in no --fastreload-dir\n", path);
	fclose(out);
	exit(0);
}

/* ---- what the watcher says ---- */

static void take_note(void *ctx, const char *path, enum fr_hint hint)
{
	static const enum fr_batch_hint translated[] = {
		[FR_HINT_WRITING] = FR_BATCH_WRITING,
		[FR_HINT_WRITTEN] = FR_BATCH_WRITTEN,
		[FR_HINT_ATTRIB] = FR_BATCH_ATTRIB,
		[FR_HINT_GONE] = FR_BATCH_GONE,
	};

	(void)ctx;
	fr_batch_note(fr.batch, path, translated[hint], now_ms());
	fr_reload_hold(now_ms());
}

static void take_trouble(void *ctx, const char *path, int error)
{
	char text[1024], reason[512];

	(void)ctx;
	if (error != -EACCES && (error == fr.last_trouble || !fr.is_in_loop))
		return; /* a limit: one line is enough, and at the start arm() says it */
	fr.last_trouble = error;
	fr_watcher_explain(fr.watcher, &fr_inotify_ops, error, reason, sizeof(reason));
	fr_log("\"%s\" is not watched: %s\n", fr_sentence_path(path, text, sizeof(text)), reason);
}

static void take_loss(void *ctx, const struct fr_source_ops *ops)
{
	(void)ctx;
	(void)ops;
	fr_log("the kernel dropped events (fs.inotify.max_queued_events): comparing all folders "
	       "with what was there\n");
}

static void take_failure(void *ctx, const struct fr_source_ops *ops, int error)
{
	(void)ctx;
	fr_log("%s sees nothing any more: %s\n", ops->name, strerror(-error));
}

static const struct fr_watcher_hooks watcher_hooks = {
	.note = take_note,
	.trouble = take_trouble,
	.lost = take_loss,
	.failed = take_failure,
};

/* ---- start ---- */

static int add_folders(void)
{
	struct uwsgi_string_list *usl;
	char reason[256];
	char *path;
	int error = 0;

	uwsgi_foreach(usl, fr.dirs)
	{
		if (fr_config_resolve_folder(usl->value, &path, reason, sizeof(reason)) < 0) {
			if (!uwsgi.is_a_reload)
				refuse("fastreload-dir", usl->value, reason);
			/* It was there when uWSGI started; to be without it is no reason to end
			 * what runs. */
			path = uwsgi_malloc(PATH_MAX);
			fr_explain_absolute(usl->value, path, PATH_MAX);
			fr_log("\"%s\" %s; it is awaited\n", usl->value, reason);
		}
		if (!error)
			error = fr_watcher_add_root(fr.watcher, path, &fr_inotify_ops);
		free(path);
	}
	return error;
}

/* A limit of the system leaves part of the tree unwatched, and that is no start; a folder without
 * permission was named, and the rest is watched. */
static void arm(void)
{
	char reason[512];
	int error = fr_watcher_new(fr.rules, &watcher_hooks, NULL, &fr.watcher);

	if (!error)
		error = add_folders();
	if (!error)
		error = fr_watcher_arm(fr.watcher);
	if (!error || error == -EACCES)
		return;
	fr_watcher_explain(fr.watcher, &fr_inotify_ops, error, reason, sizeof(reason));
	uwsgi_log("[fastreload] --fastreload-dir: %s cannot be watched: %s\n",
		  fr.watcher ? "some folders" : "the folders", reason);
	if (!uwsgi.is_a_reload)
		exit(1);
}

/* The files as they are now are what the application is about to load. */
static void note_baseline(void)
{
	struct fr_tree *tree = fr_watcher_tree(fr.watcher);
	int fd;

	fr_bytecode_drop_recent(tree);
	if (fr_handover_take(&fr.handover, &fd) > 0) {
		(void)fr_baseline_load(tree, fd);
		close(fd);
		if (fr.handover.what[0])
			fr_reload_resume(&fr.handover.times);
	}
	if (fr_baseline_start(tree, &fr.baseline) < 0)
		fr_log("contents cannot be compared: a save that changes nothing will reload\n");
	fr_watcher_use_baseline(fr.watcher, fr.baseline);
}

/*
 * Runs before the application is loaded (core/uwsgi.c, uwsgi_start), so the watch is armed and
 * everything stamped before the first import: there is no moment in which an edit could be lost. It
 * runs after `chdir`, too, so relative folders are relative to that.
 */
static int init(void)
{
	struct fr_batch_times times = {.gone_ms = FR_GONE_MS, .writing_ms = FR_WRITING_MS};
	int fds[FR_WATCHER_MAX_FDS];

	if (!fr.dirs) {
		if (fr.patterns || fr.action_text || fr.settle_text || fr.mercy_text ||
		    fr.timeout_text || fr.snapshots_text || fr.broken_text || fr.dry_run)
			refuse("fastreload-dir", "",
			       "is missing; name the folder to watch, as in \".\"");
		return 0;
	}
	read_rules();
	read_values();
	if (fr.dry_run)
		dry_run();
	if (!uwsgi.master_process)
		refuse("fastreload-dir", fr.dirs->value,
		       "needs the master process, which does the watching; add \"master = true\"");
	times.settle_ms = fr.settle_ms;
	times.bound_ms = times.settle_ms * 4 > FR_BOUND_MS ? times.settle_ms * 4 : FR_BOUND_MS;
	if (fr_batch_new(&times, &fr.batch) < 0)
		out_of_memory();
	find_own_files();
	arm();
	if (!fr.watcher)
		return 0; /* a limit was reached since uWSGI started: it goes on without us */
	/* After a reload uWSGI closes what it does not know, a little later (core/setup_utils.c,
	 * uwsgi_setup_inherited_sockets). */
	for (size_t i = 0, len = fr_watcher_fds(fr.watcher, fds); i < len; i++)
		uwsgi_add_safe_fd(fds[i]);
	note_baseline();
	if (uwsgi.is_a_reload)
		uwsgi.need_app = 0; /* see watch_need_app */
	return 0;
}

/* ---- what a loader asks of the rules ---- */

static bool is_in_watched_folder(void *ctx, const char *path)
{
	(void)ctx;
	return fr_watcher_relative(fr.watcher, path) != path;
}

/* What some rule leaves out comes and goes without meaning; what no rule knows may be the
 * application's data. */
static bool is_noise(void *ctx, const char *path)
{
	const char *relative = fr_watcher_relative(fr.watcher, path);
	struct fr_verdict verdict;

	(void)ctx;
	fr_rules_judge_file(fr.rules, relative, &verdict);
	return !verdict.counts && verdict.pattern;
}

static const struct fr_uses_hooks uses_hooks = {
	.is_watched = is_in_watched_folder,
	.is_noise = is_noise,
};

/*
 * Generations need more worker slots than the user asked for, before uWSGI makes its tables and
 * after the language plugins have noted how many workers there are.
 */
static void post_init(void)
{
	const char *refusal;

	if (!fr.watcher)
		return;
	fr.is_workers_safe = true;
	fr.no_swap = fr.handover.no_swap[0] ? fr.handover.no_swap : fr_generation_refusal();
	if (fr.action != FR_ACTION_AUTO && fr.action != FR_ACTION_SWAP)
		fr.no_swap = "as --fastreload-action says";
	if (fr.action == FR_ACTION_SWAP && fr.no_swap && !fr.handover.no_swap[0]) {
		uwsgi_log(
			"[fastreload] --fastreload-action: \"swap\" is not possible here: %s; use "
			"\"auto\"\n",
			fr.no_swap);
		exit(1);
	}
	if (fr.no_swap)
		return;
	if (fr_generation_prepare(fr.mercy_ms, fr.timeout_ms) < 0)
		out_of_memory();
	refusal = fr_nursery_refusal();
	if (refusal)
		fr_verbose("each worker loads the application itself: %s\n", refusal);
	else
		fr_generation_use_nursery(fr.snapshots, &uses_hooks, NULL);
}

static void preinit_apps(void)
{
	if (fr.watcher)
		fr_generation_end_preinit();
}

/* In each worker, before it loads the application. */
static void post_fork(void)
{
	if (!fr.watcher || uwsgi.mywid <= 0)
		return;
	uwsgi.need_app = 0; /* see watch_need_app */
	fr_generation_enter_worker();
	fr_loop_begin_load();
}

/* In a process that will not read them. Async-signal-safe. */
static void close_watcher(void)
{
	int fds[FR_WATCHER_MAX_FDS];

	for (size_t i = 0, len = fr_watcher_fds(fr.watcher, fds); i < len; i++)
		close(fds[i]);
}

/* Workers, mules, spoolers, gateways and daemons have no use for what is the master's, and uWSGI
 * tells plugins of our kind of workers only. */
static void leave_descriptors_to_master(void)
{
	if (fr.is_child) /* a child of a child: those numbers may be anybody's by now */
		return;
	fr.is_child = true;
	fr_wake_close_in_child();
	fr_output_close_in_child();
	fr_nursery_close_in_child();
	close_watcher();
}

static void close_in_children(void)
{
	static bool is_set;

	if (!is_set)
		pthread_atfork(NULL, NULL, leave_descriptors_to_master);
	is_set = true;
}

/* Before the first worker is forked. With daemonize2 the process that goes on as the master is
 * itself a forked child, later. */
static void postinit_apps(void)
{
	int error;

	if (!fr.watcher)
		return;
	error = fr_reload_open();
	if (!error && fr.broken_text && strcmp(fr.broken_text, "page") == 0)
		error = fr_broken_open();
	if (error) {
		uwsgi_log("[fastreload] no descriptors are left to wake the master: %s\n",
			  strerror(-error));
		exit(1);
	}
	if (!uwsgi.daemonize2)
		close_in_children();
}

/* ---- the master's loop ---- */

static struct fr_plan make_plan(void)
{
	const struct fr_plan_facts facts = {
		.wanted = fr.action,
		.has_lazy_apps = uwsgi.lazy_apps || uwsgi.lazy,
		.is_workers_safe = fr.is_workers_safe,
		.no_swap = fr.no_swap,
		.own_files = fr.own_files,
		.own_files_len = fr.own_files_len,
	};

	return fr_plan_make(&facts, fr.changes.paths, fr.changes.len);
}

static void say_hello(void)
{
	struct fr_plan plan = make_plan();

	fr_log("watching %zu folders, in which %zu files count; a change does: %s (%s)\n",
	       fr_watcher_folders(fr.watcher), fr_watcher_files(fr.watcher),
	       fr_action_name(plan.action), plan.reason);
	if (plan.action == FR_ACTION_RELOAD && uwsgi.max_fd > 1048576)
		fr_verbose("the limit of open files is very high (%lu): uWSGI would close them all "
			   "one "
			   "by one at each reload; that is cut short\n",
			   (unsigned long)uwsgi.max_fd);
}

static void enter_loop(void)
{
	int error;

	fr.is_in_loop = true;
	close_in_children();
	fr_generation_enter_loop();
	fr_watcher_own(fr.watcher);
	error = fr_wake_join(fr_watcher_fd(fr.watcher));
	if (error)
		fr_log("the master cannot be woken by changes, it looks once a second: %s\n",
		       strerror(-error));
	if (!uwsgi.is_a_reload)
		say_hello();
}

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

static void watch_baseline(void)
{
	int status;

	if (!fr.baseline || waitpid(fr_baseline_pid(fr.baseline), &status, WNOHANG) == 0)
		return;
	fr_baseline_finish(fr.baseline, fr_watcher_tree(fr.watcher));
	fr_watcher_use_baseline(fr.watcher, NULL);
	fr_baseline_free(fr.baseline);
	fr.baseline = NULL;
}

static void say_baseline(bool was_reading)
{
	static bool is_said;

	if (is_said || fr.baseline)
		return;
	is_said = true;
	fr_verbose("baseline of %zu files is known%s\n", fr_watcher_files(fr.watcher),
		   was_reading ? "" : " already");
}

/*
 * What an application registers in uWSGI's shared tables when it is loaded stays there until an
 * exec. One that does is not loaded twice: if lazy-apps was our idea, the instance starts once more
 * without it; if it was the user's, changes become full reloads.
 */
static void look_for_side_effects(void)
{
	const char *side_effect = fr.no_swap ? NULL : fr_generation_side_effect();
	int64_t now = now_ms();

	if (!side_effect)
		return;
	fr.no_swap = side_effect;
	fr.is_workers_safe = false;
	if (fr_generation_was_lazy()) {
		fr_log("%s: a change does a full reload from now on\n", side_effect);
		return;
	}
	snprintf(fr.handover.no_swap, sizeof(fr.handover.no_swap), "%s", side_effect);
	fr_log("%s: the instance starts once more, to load it in the master\n", side_effect);
	(void)fr_reload_start(FR_ACTION_RELOAD,
			      &(struct fr_reload_request){.event_ms = now, .now_ms = now});
}

static void watch_first_load(void)
{
	if (fr.is_loaded || !fr_slots_are_serving())
		return;
	fr.is_loaded = true;
	look_for_side_effects();
}

static bool is_own_file(void *ctx, const char *file, size_t file_len)
{
	char path[PATH_MAX];

	(void)ctx;
	if (file_len >= sizeof(path))
		return false;
	memcpy(path, file, file_len);
	path[file_len] = '\0';
	return fr_watcher_relative(fr.watcher, path) != path;
}

/* "pages/views.py, line 3: SyntaxError: invalid syntax", or "" */
static char *name_culprit(const char *output, char *text, size_t text_size)
{
	char file[PATH_MAX], error[512], shown_file[256], shown_error[512];
	struct fr_traceback traceback;

	text[0] = '\0';
	if (!fr_traceback_find(output, is_own_file, NULL, &traceback) || !traceback.error_len)
		return text;
	snprintf(file, sizeof(file), "%.*s", (int)traceback.file_len, traceback.file);
	snprintf(error, sizeof(error), "%.*s", (int)traceback.error_len, traceback.error);
	fr_sentence_path(error, shown_error, sizeof(shown_error));
	fr_sentence_path(fr_watcher_relative(fr.watcher, file), shown_file, sizeof(shown_file));
	if (traceback.file_len > 0)
		snprintf(text, text_size, "%s, line %ld: %s", shown_file, traceback.line,
			 shown_error);
	else
		snprintf(text, text_size, "%s", shown_error);
	return text;
}

static void show_page(const char *headline)
{
	static char html[FR_BROKEN_MAX_BYTES];

	fr_broken_show(html,
		       fr_page_write(headline, fr_generation_failure_output(), html, sizeof(html)));
}

static void say_failure(void)
{
	char culprit[1024];

	name_culprit(fr_generation_failure_output(), culprit, sizeof(culprit));
	show_page(culprit[0] ? culprit : fr_generation_failure());
	fr.handover.what[0] = '\0';
	fr_log("not reloaded: %s%s%s%s; the last good code goes on serving, and the next save is "
	       "tried\n",
	       fr_generation_failure(), culprit[0] ? " (" : "", culprit, culprit[0] ? ")" : "");
}

static void say_outcome(const struct fr_reload_times *times)
{
	const char *note = fr_slots_have_app()
				   ? ""
				   : ", but the application did not load: its traceback is "
				     "above, and the next save is awaited";

	fr_broken_hide();
	fr.handover.reloads++;
	fr.handover.what[0] = '\0';
	if (times->is_swap) {
		char resumed[64] = "from the beginning";

		if (fr_generation_resumed_at() > 0)
			snprintf(resumed, sizeof(resumed), "from behind the first %zu files",
				 fr_generation_resumed_at());
		fr_log("reloaded in %lld ms%s (%lld to settle, %lld to load, %s)\n",
		       (long long)(times->done_ms - times->event_ms), note,
		       (long long)(times->decided_ms - times->event_ms),
		       (long long)(times->done_ms - times->decided_ms), resumed);
		if (fr_nursery_reason()[0])
			fr_verbose("no short cut: %s\n", fr_nursery_reason());
		return;
	}
	fr_log("reloaded in %lld ms%s (%lld to settle, %lld for the old workers to leave, %lld to "
	       "load)\n",
	       (long long)(times->done_ms - times->event_ms), note,
	       (long long)(times->decided_ms - times->event_ms),
	       (long long)(times->gone_ms - times->decided_ms),
	       (long long)(times->done_ms - times->gone_ms));
}

/* Were files only written to? What comes or goes may change what others find, in ways that leave no
 * trace in them. */
static bool are_all_edits(void)
{
	for (size_t i = 0; i < fr.changes.len; i++) {
		if (fr.changes.kinds[i] == FR_CHANGE_ADDED ||
		    fr.changes.kinds[i] == FR_CHANGE_REMOVED)
			return false;
	}
	return !fr.must_rescan;
}

static void act(void)
{
	const char *shown[FR_SHOWN_CHANGES], *words[FR_SHOWN_CHANGES];
	struct fr_plan plan;
	size_t i;
	int error;

	look_for_side_effects();
	if (uwsgi_instance_is_reloading)
		return; /* and that takes in what has changed */
	plan = make_plan();
	uwsgi.need_app = 0; /* see watch_need_app */
	for (i = 0; i < FR_SHOWN_CHANGES && i < fr.changes.len; i++) {
		shown[i] = fr_watcher_relative(fr.watcher, fr.changes.paths[i]);
		words[i] = fr_change_word(fr.changes.kinds[i]);
	}
	fr_sentence_changes(shown, words, i, fr.changes.len, fr.handover.what,
			    sizeof(fr.handover.what));
	fr_log("%s: %s%s%s (%s)\n", fr.handover.what, fr_action_name(plan.action),
	       plan.action == FR_ACTION_TOUCH ? ":" : "",
	       plan.action == FR_ACTION_TOUCH ? fr.action_argument : "", plan.reason);
	error = fr_reload_start(plan.action,
				&(struct fr_reload_request){
					.argument = fr.action_argument,
					.changed = are_all_edits() ? fr.changes.paths : NULL,
					.changed_len = fr.changes.len,
					.event_ms = fr.changes_event_ms,
					.now_ms = now_ms(),
				});
	if (error)
		fr_log("%s failed: %s\n", fr_action_name(plan.action), strerror(-error));
}

static void say_unchanged(int64_t now)
{
	char text[1024];

	fr_reload_release(now);
	if (fr.changes.items_len == 1)
		fr_verbose(
			"%s was written to and has not changed\n",
			fr_sentence_path(fr_watcher_relative(fr.watcher, fr.changes.items[0].path),
					 text, sizeof(text)));
	else
		fr_verbose("%zu files were written to and have not changed\n",
			   fr.changes.items_len);
}

/*
 * How long to wait for more. A generation can be started at once, and once more if there is more to
 * come, so a single save is not made to wait; but of a checkout, a search and replace, only the end
 * is of interest.
 */
static int64_t settle_time(void)
{
	if (fr.no_swap || fr.settle_text)
		return fr.settle_ms;
	if (fr_batch_len(fr.batch) >= FR_STORM_FILES)
		return FR_STORM_SETTLE_MS;
	return fr_reload_is_running(NULL) ? fr.settle_ms : 0;
}

/* Takes the batch up when it is ready, goes on with the one that was taken up, and acts on what it
 * comes to. Returns whether there is more to do at once. */
static bool decide(int64_t now)
{
	struct fr_batch_item *items;
	int64_t deadline;
	size_t len;

	fr_batch_set_settle(fr.batch, settle_time());
	deadline = fr_batch_deadline_ms(fr.batch);
	if (!fr_changes_is_open(&fr.changes)) {
		if (deadline < 0 || deadline > now || fr_reload_must_wait(now))
			return false;
		fr.changes_event_ms = fr_batch_first_ms(fr.batch);
		len = fr_batch_take(fr.batch, &items, &fr.must_rescan);
		if (fr_changes_begin(&fr.changes, items, len) < 0) {
			fr_watcher_rescan(fr.watcher); /* no memory: what it was comes again */
			return false;
		}
	}
	if (fr_changes_step(&fr.changes, fr.watcher))
		return true;
	if (fr.changes.len > 0)
		act();
	else
		say_unchanged(now);
	fr_changes_clear(&fr.changes);
	if (fr.must_rescan)
		fr_watcher_rescan(fr.watcher);
	return fr.must_rescan;
}

/* When to look again, if nothing wakes us before. */
static int64_t next_wake(int64_t now, bool has_more, int64_t reload_wake_ms)
{
	bool is_ending = uwsgi_instance_is_reloading || uwsgi_instance_is_dying;
	int64_t deadline =
		is_ending || fr_reload_must_wait(now) ? -1 : fr_batch_deadline_ms(fr.batch);

	if (has_more)
		return 0;
	if (fr_changes_is_open(&fr.changes) && !is_ending)
		return 0;
	if (deadline >= 0 && deadline < now)
		deadline = now;
	if (reload_wake_ms >= 0 && (deadline < 0 || reload_wake_ms < deadline))
		return reload_wake_ms;
	return deadline;
}

/* Somebody writes faster than can be read, and there is always more: that does not hold back what
 * has been noted. */
static bool is_overdue(int64_t now)
{
	return fr_batch_len(fr.batch) > 0 && now - fr_batch_first_ms(fr.batch) > 2 * FR_BOUND_MS;
}

/* One turn of the master's loop, at least once a second. Everything in it is bounded. */
static void master_cycle(void)
{
	struct fr_reload_times times;
	enum fr_progress progress;
	int64_t now, reload_wake_ms;
	bool was_reading = fr.baseline != NULL, has_more;
	unsigned reasons;

	if (!fr.watcher)
		return;
	if (!fr.is_in_loop)
		enter_loop();
	reasons = fr_wake_collect();
	watch_baseline();
	say_baseline(was_reading);
	fr_wake_follow();
	fr_wake_follow_other(FR_WAKE_BASELINE, fr.baseline ? fr_baseline_pid(fr.baseline) : 0);
	watch_need_app();
	watch_first_load();

	has_more = fr_watcher_step(fr.watcher);
	now = now_ms();
	if ((!has_more || is_overdue(now)) && !uwsgi_instance_is_reloading &&
	    !uwsgi_instance_is_dying)
		has_more = decide(now);
	progress = fr_reload_step(now, reasons & FR_WAKE_WORKER, &times, &reload_wake_ms);
	if (progress == FR_PROGRESS_DONE) {
		say_outcome(&times);
		look_for_side_effects();
	} else if (progress == FR_PROGRESS_FAILED)
		say_failure();
	fr_wake_at(next_wake(now, has_more, reload_wake_ms));
}

/* In a worker that has loaded its application and is about to accept. */
static void hijack_worker(void)
{
	if (fr.watcher && uwsgi.mywid > 0)
		fr_loop_take_over();
}

/* The last that runs in this image: after all workers have gone, and just before the exec if there
 * is one. */
static void master_cleanup(void)
{
	int fd;

	if (!fr.watcher || !uwsgi_instance_is_reloading)
		return;
	fr_reload_note_gone(now_ms());
	if (!fr_reload_is_running(&fr.handover.times))
		fr.handover.what[0] = '\0'; /* somebody else's reload */
	fd = fr_handover_leave(&fr.handover);
	if (fd >= 0)
		(void)fr_baseline_save(fr_watcher_tree(fr.watcher), fd);
	fr_full_shorten_closing();
	close_watcher(); /* uWSGI was told to keep them, and close-on-exec may be lifted */
}

__attribute__((visibility("default"))) struct uwsgi_plugin fastreload_plugin = {
	.name = "fastreload",
	.on_load = on_load,
	.options = options,
	.init = init,
	.post_init = post_init,
	.post_fork = post_fork,
	.preinit_apps = preinit_apps,
	.postinit_apps = postinit_apps,
	.master_cycle = master_cycle,
	.hijack_worker = hijack_worker,
	.master_cleanup = master_cleanup,
};
