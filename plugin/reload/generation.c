/*
 * generation: new workers beside the old ones. See generation.h.
 */
#include <uwsgi.h>

#include <sys/resource.h>

#include "reload/board.h"
#include "reload/generation.h"
#include "reload/loop.h"
#include "reload/nursery.h"
#include "reload/output.h"
#include "reload/strategy.h"
#include "reload/wake.h"

extern struct uwsgi_server uwsgi;

/* One generation serves, one loads, and the others may still be leaving, each with its slow
 * request. */
#define FR_GENERATIONS 4

/* What an order for the nursery has room for, with a few left. */
#define FR_GENERATION_MAX_WORKERS 60

/* With more changed files than this, it does not matter any more which they are: everything is
 * loaded from the beginning. */
#define FR_GENERATION_NAMED 100

/* A candidate that somebody else kills (the kernel, short of memory; a person) says nothing about
 * the code: try again this often. */
#define FR_GENERATION_RETRIES 3

/* Longest that a process which is already forked may wait for its first moment on a processor,
 * where that matters. */
#define FR_GENERATION_UNBORN_MS 50

/* While the old workers are asked to accept no more: they answer within microseconds, and wake us;
 * this is for the one that is being scheduled away. */
#define FR_GENERATION_SWITCH_LOOK_MS 1

/* An application that takes longer to load, in a processor's time, is loaded once more after the
 * start, when there has been nothing to do for a moment: see fr_nursery_rehearse. */
#define FR_GENERATION_REHEARSE_MS       100
#define FR_GENERATION_REHEARSE_AFTER_MS 500

/* Before a worker that was to take the place of another, and has died itself, is tried again. */
#define FR_GENERATION_LOST_MS 1000

enum slot_state {
	SLOT_FREE,
	SLOT_LOADING,
	SLOT_RETURNING, /* takes the place of one that has died, with the code that serves */
	SLOT_SERVING,
	SLOT_LEAVING,
	SLOT_DOOMED,
	SLOT_RESERVED,
};

struct slot {
	enum slot_state state;
	int64_t until_ms; /* LEAVING: then it is killed; LOADING, RETURNING: then it has failed */
	bool is_unborn;   /* the nursery has still to fork it */
};

static struct {
	int wanted; /* how many workers the user asked for; 0: no generations here */
	void (*first_preinit)(void); /* the first language plugin's own preinit_apps */
	bool was_lazy;               /* lazy-apps is what the user asked for */
	int64_t mercy_ms, timeout_ms;
	struct slot *slots; /* 1 to uwsgi.numproc */
	uint32_t apps;      /* how many applications the serving generation has loaded */
	bool has_nursery;   /* it loads; else each worker does */
	char *changed;      /* for the next start: paths behind each other, each with its NUL; NULL:
			       anything may have */
	const char **changed_paths; /* they point into it */
	size_t changed_len;
	int64_t rehearse_at_ms; /* 0: not known yet; -1: no more */
	int lost;           /* so many that were to take the place of others have died themselves */
	int64_t lost_at_ms; /* the last of them */
	bool is_broken;     /* what is on the disk did not load */
	bool awaits_first;  /* the first generation was loading when something changed, and loads
			       again */
	bool must_start;    /* candidates are wanted, and wait for slots to become free */
	bool was_loaded;    /* all candidates were, in the last turn */
	bool is_switching;  /* the old ones have been told to accept no more; the new ones wait for
			       that */
	int retries;
	int failed_wid; /* whose output explains the failure; 0: none */
	char failure[128];
} gen;

/* With one more, the last, for the nursery to load in. */
static int all_slots(int wanted)
{
	return wanted * FR_GENERATIONS + 1;
}

/* ---- is it possible here? ---- */

static bool has_option(const char *const *names)
{
	for (int i = 0; i < uwsgi.exported_opts_cnt; i++) {
		for (const char *const *name = names; *name; name++) {
			if (strcmp(uwsgi.exported_opts[i]->key, *name) == 0)
				return true;
		}
	}
	return false;
}

/* What the master would otherwise have loaded, for processes that are forked from it and do not
 * load the application themselves. */
static const char *refusal_without_lazy_apps(void)
{
	static const char *const shared[] = {"shared-import", "shared-pyimport", "shared-py-import",
					     "shared-python-import", NULL};

	if (uwsgi.mules_cnt > 0 || uwsgi.farms_cnt > 0)
		return "mules run the application that the master has loaded";
	if (uwsgi.spoolers)
		return "spoolers run the application that the master has loaded";
	if (uwsgi.hook_pre_app || uwsgi.hook_post_app || uwsgi.exec_pre_app ||
	    uwsgi.exec_post_app || uwsgi.call_pre_app || uwsgi.call_post_app)
		return "hooks before and after the application would run once for each worker";
	return has_option(shared) ? "shared-import loads modules in the master" : NULL;
}

/* uWSGI opens two for each slot, and we one; the rest is for what there is anyway, and the
 * application. */
static bool has_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
	       limit.rlim_cur > (rlim_t)all_slots(uwsgi.numproc) * 3 + 128;
}

const char *fr_generation_refusal(void)
{
	if (!uwsgi.sockets || uwsgi.numproc < 1 || uwsgi.command_mode)
		return "there are no workers";
	if (uwsgi.lazy)
		return "lazy is not lazy-apps: the master itself is replaced by it";
	if (uwsgi.cheaper_count || uwsgi.cheaper || uwsgi.requested_cheaper_algo)
		return "cheaper changes the number of workers by itself";
	if (uwsgi.status.is_cheap || uwsgi.idle)
		return "cheap and idle stop and start all workers";
	if (!fr_loop_is_usable())
		return "the workers run another loop than uWSGI's simple one";
	for (struct uwsgi_socket *sock = uwsgi.sockets; sock; sock = sock->next) {
		if (sock->proto_name && strcmp(sock->proto_name, "http11") == 0)
			return "http11-socket keeps connections open in its workers";
	}
	if (uwsgi.numproc > FR_GENERATION_MAX_WORKERS)
		return "there are more than 60 workers";
	if (!has_descriptors())
		return "the limit of open files is too low for more workers";
	if (uwsgi.map_socket)
		return "map-socket ties sockets to the numbers of workers";
	return uwsgi.lazy_apps ? NULL : refusal_without_lazy_apps();
}

/* ---- the slots ---- */

/* The tables of RPC functions are made before any plugin can say how many workers there will be
 * (core/rpc.c, uwsgi_rpc_init): make larger ones, with what is registered. */
static int enlarge_rpc_tables(int old_len, int new_len)
{
	size_t row = sizeof(struct uwsgi_rpc) * uwsgi.rpc_max;
	struct uwsgi_rpc *table = uwsgi_calloc_shared(row * ((size_t)new_len + 1));
	uint64_t *counts = uwsgi_calloc_shared(sizeof(*counts) * ((size_t)new_len + 1));

	memcpy(table, uwsgi.rpc_table, row * ((size_t)old_len + 1));
	memcpy(counts, uwsgi.shared->rpc_count, sizeof(*counts) * ((size_t)old_len + 1));
	uwsgi.rpc_table = table;
	uwsgi.shared->rpc_count = counts;
	return 0;
}

/*
 * The language plugins note the number of workers in preinit_apps ("uwsgi.numproc",
 * "uwsgi.workers()"), after uWSGI has made its tables, and should see the one that the user wrote.
 * No hook of ours runs in between, so we stand in for the first of theirs; ours comes after the
 * last of them.
 */
static void preinit_with_wanted(void)
{
	uwsgi.numproc = gen.wanted;
	gen.first_preinit();
}

static void stand_in_for_preinit(void)
{
	for (int i = 0; i < 256; i++) {
		if (!uwsgi.p[i]->preinit_apps)
			continue;
		gen.first_preinit = uwsgi.p[i]->preinit_apps;
		uwsgi.p[i]->preinit_apps = preinit_with_wanted;
		return;
	}
}

void fr_generation_end_preinit(void)
{
	if (gen.wanted)
		uwsgi.numproc = all_slots(gen.wanted);
}

/* uWSGI starts as many workers as "cheaper" allows and marks the other slots as cheaped
 * (core/uwsgi.c, end of uwsgi_start). */
int fr_generation_prepare(int64_t mercy_ms, int64_t timeout_ms)
{
	int wanted = uwsgi.numproc;

	gen.slots = calloc((size_t)all_slots(wanted) + 1, sizeof(*gen.slots));
	if (!gen.slots)
		return -ENOMEM;
	enlarge_rpc_tables(wanted, all_slots(wanted));
	gen.wanted = wanted;
	gen.mercy_ms = mercy_ms;
	gen.timeout_ms = timeout_ms;
	stand_in_for_preinit();
	uwsgi.numproc = all_slots(wanted);
	uwsgi.cheaper = 1;
	uwsgi.cheaper_count = uwsgi.cheaper_initial = wanted;
	gen.was_lazy = uwsgi.lazy_apps;
	uwsgi.lazy_apps = 1;
	for (int wid = 1; wid <= wanted; wid++)
		gen.slots[wid].state = SLOT_SERVING;
	gen.slots[uwsgi.numproc].state = SLOT_RESERVED;
	return 0;
}

bool fr_generation_is_in_use(void)
{
	return gen.wanted > 0;
}

void fr_generation_enter_loop(void)
{
	if (gen.wanted)
		uwsgi.cheaper = 0;
	if (gen.has_nursery)
		fr_nursery_enter_loop();
}

void fr_generation_enter_worker(void)
{
	if (!gen.wanted)
		return;
	uwsgi.cheaper = 0;
	uwsgi.numproc = gen.wanted;
}

static int list_len(struct uwsgi_string_list *list)
{
	struct uwsgi_string_list *usl;
	int len = 0;

	uwsgi_foreach(usl, list) len++;
	return len;
}

/* Signal handlers are noted for each worker, as it should be; but where the master sends a signal
 * is looked up in its own row, which stays empty here. */
static bool has_targeted_signals(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		const struct uwsgi_signal_entry *row = &ushared->signal_table[wid * 256];

		for (int sig = 0; gen.slots[wid].state == SLOT_SERVING && sig < 256; sig++) {
			if (row[sig].handler && row[sig].receiver[0] &&
			    strcmp(row[sig].receiver, "worker") != 0)
				return true;
		}
	}
	return false;
}

/* Timers, cron jobs and monitors are added to tables that hold 64 and are emptied by an exec only;
 * each load would add them again. */
const char *fr_generation_side_effect(void)
{
	if (ushared->timers_cnt > list_len(uwsgi.signal_timers) ||
	    ushared->rb_timers_cnt > list_len(uwsgi.rb_signal_timers))
		return "the application registers timers";
	if (ushared->cron_cnt > 0)
		return "the application registers cron jobs";
	if (ushared->files_monitored_cnt > 0)
		return "the application registers file monitors";
	return gen.was_lazy || !has_targeted_signals()
		       ? NULL
		       : "the application registers signals that go to certain processes";
}

bool fr_generation_was_lazy(void)
{
	return gen.was_lazy;
}

/* ---- candidates ---- */

/* uwsgi_respawn_worker has returned in the child. */
__attribute__((noreturn)) static void become_worker(int wid)
{
	fr_output_redirect(wid);
	uwsgi_run();
	_exit(1);
}

static void spawn(int wid, int64_t now_ms)
{
	fr_board_clear(wid);
	fr_output_begin(wid);
	uwsgi.workers[wid].apps_cnt = 0;
	if (uwsgi_respawn_worker(wid))
		become_worker(wid);
	fr_output_forked(wid);
	uwsgi.workers[wid].cheaped = 1; /* if it dies now, nobody respawns it */
	gen.slots[wid] = (struct slot){.state = SLOT_LOADING, .until_ms = now_ms + gen.timeout_ms};
}

/* It serves nobody, or has had its time. cursed: uWSGI's log then says what it is. */
static void doom(int wid)
{
	uwsgi.workers[wid].manage_next_request = 0;
	if (uwsgi.workers[wid].pid > 0)
		uwsgi_curse(wid, SIGKILL);
	gen.slots[wid].state = SLOT_DOOMED;
	gen.slots[wid].until_ms = 0;
}

/* Shows what the one has printed that explains why; what the others have printed is the same. */
static void doom_candidates(int shown_wid)
{
	if (gen.has_nursery)
		fr_nursery_stop();
	if (shown_wid)
		fr_output_show(shown_wid);
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state != SLOT_LOADING)
			continue;
		if (wid != shown_wid)
			fr_output_forget(wid);
		doom(wid);
	}
}

static int count(enum slot_state state)
{
	int len = 0;

	for (int wid = 1; wid <= uwsgi.numproc; wid++)
		len += gen.slots[wid].state == state;
	return len;
}

static void forget_text(char *text, const char **paths)
{
	free(gen.changed);
	free(gen.changed_paths);
	gen.changed = text;
	gen.changed_paths = paths;
}

/* One loader for all of them. */
static bool let_nursery_load(const int *wids, int64_t now_ms)
{
	const struct fr_nursery_order order = {
		.wids = wids,
		.wids_len = gen.wanted,
		.apps = gen.apps,
		.wanted = gen.changed_paths && gen.changed_len > 0 ? gen.changed_paths[0] : NULL,
		.changed = gen.changed_paths,
		.changed_len = gen.changed_len,
	};

	for (int i = 0; i < gen.wanted; i++) {
		int wid = wids[i];

		fr_board_clear(wid);
		uwsgi.workers[wid].apps_cnt = 0;
		uwsgi.workers[wid].pid = 0;
		gen.slots[wid] = (struct slot){.state = SLOT_LOADING,
					       .until_ms = now_ms + gen.timeout_ms,
					       .is_unborn = true};
	}
	fr_output_begin(wids[0]);
	if (fr_nursery_start(&order) == 0)
		return true;
	for (int i = 0; i < gen.wanted; i++)
		gen.slots[wids[i]].state = SLOT_FREE;
	return false;
}

static void spawn_candidates(int64_t now_ms)
{
	int wids[FR_GENERATION_MAX_WORKERS], len = 0;

	if (count(SLOT_FREE) < gen.wanted || (gen.has_nursery && fr_nursery_is_busy()))
		return;
	gen.must_start = false;
	gen.was_loaded = false;
	for (int wid = 1; len < gen.wanted && wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state != SLOT_FREE)
			continue;
		if (gen.has_nursery)
			wids[len++] = wid;
		else if (len++ < gen.wanted)
			spawn(wid, now_ms);
	}
	if (!gen.has_nursery || let_nursery_load(wids, now_ms))
		return;
	for (int i = 0; i < len; i++)
		spawn(wids[i], now_ms);
}

/* A few, as people edit; a storm is not told by name (see FR_GENERATION_NAMED). */
static bool is_among(const char *path, const char **paths, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (strcmp(paths[i], path) == 0)
			return true;
	}
	return false;
}

/* The request is gone when slots become free: what it says is kept. What was not loaded yet has
 * still changed, so new paths come to the old ones. */
static void keep_changes(const struct fr_reload_request *request)
{
	bool is_first = gen.changed == NULL && gen.changed_len == 0;
	size_t size = 1, used = 0, len = 0;
	const char **paths;
	char *text = NULL;

	if (!is_first && !gen.changed) /* anything may have changed, and still may */
		return;
	for (size_t i = 0; request->changed && i < request->changed_len; i++)
		size += strlen(request->changed[i]) + 1;
	for (size_t i = 0; i < gen.changed_len; i++)
		size += strlen(gen.changed_paths[i]) + 1;
	if (request->changed && request->changed_len + gen.changed_len <= FR_GENERATION_NAMED)
		text = malloc(size);
	paths = text ? calloc(gen.changed_len + request->changed_len + 1, sizeof(*paths)) : NULL;
	for (size_t i = 0; paths && i < request->changed_len + gen.changed_len; i++) {
		const char *path = i < request->changed_len
					   ? request->changed[i]
					   : gen.changed_paths[i - request->changed_len];

		if (is_among(path, paths, len))
			continue;
		paths[len++] = strcpy(text + used, path);
		used += strlen(path) + 1;
	}
	gen.changed_len = paths ? len : 1;
	forget_text(paths ? text : NULL, paths);
	if (!paths)
		free(text);
}

void fr_generation_use_nursery(const struct fr_nursery_limits *limits,
			       const struct fr_uses_hooks *hooks, void *ctx)
{
	gen.has_nursery = true;
	fr_nursery_open(uwsgi.numproc, limits, gen.was_lazy, hooks, ctx);
}

size_t fr_generation_resumed_at(void)
{
	return gen.has_nursery ? fr_nursery_resumed_at() : 0;
}

/*
 * Workers of the serving generation that are still loading may have read the old files already, and
 * would leave their bytecode behind. They serve nothing, so they end; if others serve, until the
 * new generation takes over from those. If nobody does, they begin again in place, which is uWSGI's
 * doing and all there is to do: returns whether that is so.
 */
static bool restart_loading(void)
{
	bool is_served = false;

	for (int wid = 1; wid <= uwsgi.numproc; wid++)
		is_served |= gen.slots[wid].state == SLOT_SERVING && uwsgi.workers[wid].accepting;
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		struct uwsgi_worker *worker = &uwsgi.workers[wid];

		if (gen.slots[wid].state != SLOT_SERVING || worker->accepting || worker->pid <= 0)
			continue;
		worker->manage_next_request = 0; /* uWSGI's log then says what it is */
		uwsgi_curse(wid, SIGKILL);
		if (is_served) {
			worker->cheaped = 1;
			gen.slots[wid].state = SLOT_DOOMED;
		}
	}
	return !is_served;
}

/* Have the workers that began again in place come up? */
static bool is_first_there(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state == SLOT_SERVING &&
		    (uwsgi.workers[wid].pid <= 0 || !uwsgi.workers[wid].accepting))
			return false;
	}
	return true;
}

void fr_generation_start(const struct fr_reload_request *request)
{
	int64_t now_ms = request->now_ms;

	keep_changes(request);
	doom_candidates(0);
	gen.rehearse_at_ms = -1;
	gen.awaits_first = restart_loading();
	gen.must_start = !gen.awaits_first;
	gen.retries = 0;
	gen.failed_wid = 0;
	gen.failure[0] = '\0';
	if (gen.must_start)
		spawn_candidates(now_ms);
}

void fr_generation_hold(void)
{
	if (gen.is_switching || gen.awaits_first)
		return;
	doom_candidates(0);
	gen.must_start = false;
}

void fr_generation_release(int64_t now_ms)
{
	if (gen.is_switching || gen.awaits_first || count(SLOT_LOADING) > 0)
		return;
	gen.must_start = true;
	spawn_candidates(now_ms);
}

const char *fr_generation_failure(void)
{
	return gen.failure;
}

const char *fr_generation_failure_output(void)
{
	return gen.failed_wid ? fr_output_text(gen.failed_wid) : "";
}

/* ---- following them ---- */

static void describe_death(int status)
{
	if (status < 0)
		snprintf(gen.failure, sizeof(gen.failure), "a new worker died while it loaded");
	else if (WIFSIGNALED(status))
		snprintf(gen.failure, sizeof(gen.failure),
			 "a new worker was killed by signal %d (%s) while it loaded",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(gen.failure, sizeof(gen.failure),
			 "a new worker exited with code %d while it loaded", WEXITSTATUS(status));
}

static bool has_ended(int wid, int64_t now_ms, int *ret_status)
{
	struct uwsgi_worker *worker = &uwsgi.workers[wid];

	*ret_status = -1;
	if (gen.slots[wid].is_unborn && fr_nursery_is_busy())
		return false;
	if (gen.slots[wid].is_unborn && gen.slots[wid].state == SLOT_DOOMED) {
		/* Its loader has been killed: one that was forked at that moment has not begun to
		 * run, and ends when it does. */
		gen.slots[wid].until_ms = now_ms + FR_GENERATION_UNBORN_MS;
		gen.slots[wid].is_unborn = false;
	}
	if (gen.slots[wid].state == SLOT_DOOMED && worker->pid <= 0 &&
	    now_ms < gen.slots[wid].until_ms)
		return false;
	gen.slots[wid].is_unborn = false;
	if (gen.slots[wid].state == SLOT_DOOMED && worker->pid > 0)
		(void)kill(worker->pid, SIGKILL); /* it may have been born after it was doomed */
	if (worker->pid > 0 && waitpid(worker->pid, ret_status, WNOHANG) == worker->pid)
		worker->pid = 0;
	return worker->pid <= 0; /* or uWSGI has reaped it, in the last turn */
}

/*
 * Reaps what is not serving, before uWSGI does: it would log each planned end like an accident.
 * Returns the slot of a candidate that has died, or 0; *ret_status says of what.
 */
static int reap(int64_t now_ms, int *ret_status)
{
	int died_wid = 0;
	int status;

	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		enum slot_state state = gen.slots[wid].state;

		if (state == SLOT_FREE || state == SLOT_SERVING || state == SLOT_RESERVED ||
		    (state == SLOT_RETURNING && uwsgi.workers[wid].pid <= 0) ||
		    !has_ended(wid, now_ms, &status))
			continue;
		uwsgi.workers[wid].cursed_at = 0;
		uwsgi.workers[wid].no_mercy_at = 0;
		gen.slots[wid].state = SLOT_FREE;
		if (state == SLOT_RETURNING) {
			gen.lost++;
			gen.lost_at_ms = now_ms;
		}
		if (state == SLOT_LOADING) {
			died_wid = wid;
			*ret_status = status;
		}
	}
	return died_wid;
}

/* A candidate has died. Returns whether that is the code's fault, and the end of the attempt. */
static bool fail(int64_t now_ms, int died_wid, int status)
{
	gen.failed_wid = died_wid;
	doom_candidates(died_wid);
	if ((status < 0 || (WIFSIGNALED(status) &&
			    (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM))) &&
	    gen.retries++ < FR_GENERATION_RETRIES) {
		if (gen.has_nursery)
			fr_nursery_forget(); /* if it is the code, a load from the beginning shows
						it */
		gen.must_start = true;
		spawn_candidates(now_ms);
		return false;
	}
	return true;
}

static bool fail_by_nursery(int64_t now_ms, bool has_no_app, int status)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state == SLOT_LOADING) {
			gen.failed_wid = wid;
			break;
		}
	}
	if (has_no_app) {
		snprintf(gen.failure, sizeof(gen.failure), "the application did not load");
		doom_candidates(gen.failed_wid);
		return true;
	}
	describe_death(status);
	return fail(now_ms, gen.failed_wid, status);
}

/* Not in one process for all, then each for itself, from now on. */
static void do_without_nursery(int64_t now_ms)
{
	uwsgi_log_verbose("[fastreload] each worker loads the application itself from now on: %s\n",
			  fr_nursery_reason());
	doom_candidates(0);
	fr_nursery_forget();
	gen.has_nursery = false;
	gen.must_start = true;
	spawn_candidates(now_ms);
}

/* Returns whether the attempt has failed. */
static bool follow_nursery(int64_t now_ms)
{
	enum fr_nursery_state state;
	int status;

	state = fr_nursery_step(&status);
	switch (state) {
	case FR_NURSERY_NO_APP:
	case FR_NURSERY_FAILED:
		return fail_by_nursery(now_ms, state == FR_NURSERY_NO_APP, status);
	case FR_NURSERY_UNSUITABLE:
		do_without_nursery(now_ms);
		break;
	case FR_NURSERY_BORN:
		for (int wid = 1; wid <= uwsgi.numproc; wid++)
			gen.slots[wid].is_unborn = false;
		break;
	case FR_NURSERY_IDLE:
	case FR_NURSERY_LOADING:
		break;
	}
	return false;
}

/* Is there one that has loaded fewer applications than are being served, or that takes too long? */
static bool has_failed(int64_t now_ms)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		const struct fr_board_slot *slot = fr_board_slot(wid);

		if (gen.slots[wid].state != SLOT_LOADING)
			continue;
		if (fr_board_get(&slot->is_loaded) && fr_board_get(&slot->apps) < gen.apps) {
			gen.failed_wid = wid;
			snprintf(gen.failure, sizeof(gen.failure), "the application did not load");
			return true;
		}
		if (now_ms >= gen.slots[wid].until_ms) {
			gen.failed_wid = wid;
			snprintf(gen.failure, sizeof(gen.failure),
				 "the application had not loaded after %lld s "
				 "(--fastreload-timeout)",
				 (long long)gen.timeout_ms / 1000);
			return true;
		}
	}
	return false;
}

static bool are_all_loaded(void)
{
	int loaded = 0;

	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state == SLOT_LOADING)
			loaded += fr_board_get(&fr_board_slot(wid)->is_loaded) != 0;
	}
	return loaded == gen.wanted;
}

/* ---- the switch ---- */

/* First half: the old ones accept no more, and from here on uWSGI sees the new ones as the workers,
 * and respawns those. */
static void begin_switch(int64_t now_ms)
{
	bool is_shown = false; /* what it printed while it loaded, once */

	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		struct uwsgi_worker *worker = &uwsgi.workers[wid];

		if (gen.slots[wid].state == SLOT_SERVING) {
			worker->cheaped = 1;
			gen.slots[wid] = (struct slot){.state = SLOT_LEAVING,
						       .until_ms = now_ms + gen.mercy_ms};
			if (worker->pid > 0 && worker->accepting)
				fr_board_leave(wid);
			else if (worker->pid > 0)
				doom(wid); /* just respawned, and not there yet: it serves nothing
					    */
		} else if (gen.slots[wid].state == SLOT_LOADING) {
			worker->cheaped = 0;
			gen.slots[wid].state = SLOT_SERVING;
			if (!is_shown)
				fr_output_show(wid);
			else
				fr_output_forget(wid);
			is_shown = true;
			gen.apps = fr_board_get(&fr_board_slot(wid)->apps);
		} else if (gen.slots[wid].state == SLOT_RETURNING) {
			doom(wid);
		}
	}
	if (gen.has_nursery)
		fr_nursery_keep_good();
	gen.lost = 0;
	gen.is_switching = true;
}

/* Whoever leaves has no thread that could still take up a connection: from now on, nobody hears the
 * old code who asks anew. */
static bool have_old_let_go(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state == SLOT_LEAVING && uwsgi.workers[wid].pid > 0 &&
		    fr_board_get(&fr_board_slot(wid)->accepting) > 0)
			return false;
	}
	return true;
}

/* Second half: the new ones begin. Connections that came in between have waited in the socket's
 * queue. */
static void end_switch(void)
{
	gen.changed_len = 0;
	forget_text(NULL, NULL);
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state == SLOT_SERVING)
			fr_board_go(wid);
	}
	gen.is_switching = false;
	gen.is_broken = false;
}

bool fr_generation_is_switching(void)
{
	return gen.is_switching;
}

/* ---- the old ones ---- */

static void name_what_holds(int wid)
{
	const struct uwsgi_worker *worker = &uwsgi.workers[wid];

	for (int core = 0; core < uwsgi.cores; core++) {
		const struct wsgi_request *request = &worker->cores[core].req;

		if (!worker->cores[core].in_request)
			continue;
		uwsgi_log_verbose(
			"[fastreload] worker %d (pid %d) is still at %.*s %.*s after %lld s "
			"(--fastreload-mercy): it is killed\n",
			wid, (int)worker->pid, (int)request->method_len,
			request->method ? request->method : "", (int)request->uri_len,
			request->uri ? request->uri : "", (long long)gen.mercy_ms / 1000);
		return;
	}
	uwsgi_log_verbose("[fastreload] worker %d (pid %d) has not ended after %lld s "
			  "(--fastreload-mercy), though it is in no request: it is killed\n",
			  wid, (int)worker->pid, (long long)gen.mercy_ms / 1000);
}

static void end_mercy(int64_t now_ms)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state != SLOT_LEAVING || now_ms < gen.slots[wid].until_ms)
			continue;
		name_what_holds(wid);
		doom(wid);
	}
}

static bool is_of_use(int wid)
{
	const struct fr_board_slot *slot = fr_board_slot(wid);

	return gen.slots[wid].state == SLOT_SERVING && uwsgi.workers[wid].pid > 0 &&
	       !uwsgi.workers[wid].cheaped && fr_board_get(&slot->is_loaded) &&
	       fr_board_get(&slot->apps) >= gen.apps;
}

static int free_slot(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state == SLOT_FREE)
			return wid;
	}
	return 0;
}

/* Another worker, of the code that serves. Returns its slot, or 0. */
static int bring_back(int64_t now_ms)
{
	int wid = gen.has_nursery && fr_nursery_has_good() ? free_slot() : 0;

	if (wid == 0)
		return 0;
	fr_board_clear(wid);
	uwsgi.workers[wid].apps_cnt = 0;
	uwsgi.workers[wid].pid = 0;
	if (!fr_nursery_respawn(wid))
		return 0;
	gen.slots[wid] =
		(struct slot){.state = SLOT_RETURNING, .until_ms = now_ms + gen.timeout_ms};
	return wid;
}

/* Those that are there join the others. One that has died is tried again when its time is over. */
static void look_at_returning(int64_t now_ms)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state != SLOT_RETURNING)
			continue;
		if (fr_board_get(&fr_board_slot(wid)->is_loaded)) {
			uwsgi.workers[wid].cheaped = 0;
			gen.slots[wid].state = SLOT_SERVING;
			fr_output_show(wid);
			fr_board_go(wid);
		} else if (now_ms >= gen.slots[wid].until_ms) {
			doom(wid);
			gen.lost++;
			gen.lost_at_ms = now_ms;
		}
	}
}

/* Not without end and pause, if they all die. If there is no good code left to be had, uWSGI's way,
 * from the disk. */
static void replace_lost(int64_t now_ms)
{
	int wid;

	if (gen.lost == 0 || now_ms < gen.lost_at_ms + FR_GENERATION_LOST_MS)
		return;
	gen.lost_at_ms = now_ms;
	if (bring_back(now_ms)) {
		gen.lost--;
		return;
	}
	wid = free_slot();
	if (wid == 0 || (gen.has_nursery && fr_nursery_has_good()))
		return;
	gen.lost--;
	gen.slots[wid] = (struct slot){.state = SLOT_SERVING};
	uwsgi.workers[wid].cheaped = 0;
	if (uwsgi_respawn_worker(wid))
		become_worker(wid);
}

/*
 * uWSGI respawns a worker that has crashed or had its time, and that one loads what is on the disk.
 * If that is broken, another one takes its place, of the last good code. Where that is not to be
 * had it is left out: the others serve. If there are no others, it serves what it has.
 */
static void look_at_respawned(int64_t now_ms)
{
	bool is_served = false;

	for (int wid = 1; wid <= uwsgi.numproc; wid++)
		is_served |= is_of_use(wid);
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		const struct fr_board_slot *slot = fr_board_slot(wid);
		int other_wid;

		if (gen.slots[wid].state != SLOT_SERVING || uwsgi.workers[wid].pid <= 0 ||
		    !fr_board_get(&slot->is_loaded) || fr_board_get(&slot->apps) >= gen.apps ||
		    !fr_board_get(&slot->must_hold) || fr_board_get(&slot->may_go))
			continue;
		other_wid = bring_back(now_ms);
		if (!other_wid && !is_served) {
			fr_board_go(wid);
			continue;
		}
		if (other_wid)
			uwsgi_log_verbose(
				"[fastreload] worker %d was respawned, but the code on the "
				"disk does not load: worker %d takes its place, with the last "
				"good code\n",
				wid, other_wid);
		else
			uwsgi_log_verbose("[fastreload] worker %d was respawned, but the code on "
					  "the disk does "
					  "not load: it is left out until the next good save\n",
					  wid);
		uwsgi.workers[wid].cheaped = 1;
		doom(wid);
	}
}

/* The first generation is uWSGI's own doing: note what it has loaded as soon as one of its workers
 * is there. */
static void learn_apps(void)
{
	for (int wid = 1; gen.apps == 0 && wid <= uwsgi.numproc; wid++) {
		if (gen.slots[wid].state == SLOT_SERVING)
			gen.apps = fr_board_get(&fr_board_slot(wid)->apps);
	}
	fr_board_want_apps(gen.apps);
}

/* How long the slowest worker has taken to load, or -1 if not all of them serve. */
static int64_t slowest_load(void)
{
	int64_t slowest = 0;

	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		int64_t took_ms = fr_board_get(&fr_board_slot(wid)->load_ms);

		if (gen.slots[wid].state == SLOT_SERVING && !uwsgi.workers[wid].accepting)
			return -1;
		if (gen.slots[wid].state == SLOT_SERVING && took_ms > slowest)
			slowest = took_ms;
	}
	return slowest;
}

/* The first edit should not have to load everything. */
static void rehearse(int64_t now_ms)
{
	if (!gen.has_nursery || gen.rehearse_at_ms < 0)
		return;
	if (gen.rehearse_at_ms == 0) {
		int64_t took_ms = slowest_load();

		if (took_ms >= 0)
			gen.rehearse_at_ms = took_ms < FR_GENERATION_REHEARSE_MS
						     ? -1
						     : now_ms + FR_GENERATION_REHEARSE_AFTER_MS;
	} else if (now_ms >= gen.rehearse_at_ms) {
		gen.rehearse_at_ms = -1;
		if (gen.apps > 0 && !fr_generation_side_effect())
			fr_nursery_rehearse();
	}
}

static int64_t next_look(void)
{
	int64_t at_ms = gen.rehearse_at_ms > 0 ? gen.rehearse_at_ms : -1;

	if (gen.lost > 0 && (at_ms < 0 || gen.lost_at_ms + FR_GENERATION_LOST_MS < at_ms))
		at_ms = gen.lost_at_ms + FR_GENERATION_LOST_MS;

	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		const struct slot *slot = &gen.slots[wid];

		if ((slot->state == SLOT_LEAVING || slot->state == SLOT_LOADING ||
		     slot->state == SLOT_RETURNING) &&
		    (at_ms < 0 || slot->until_ms < at_ms))
			at_ms = slot->until_ms;
	}
	return at_ms;
}

/*
 * uWSGI ends or reloads the instance: it has signalled the workers that it knew at that moment,
 * once, and waits for all that it knows later (core/uwsgi.c, kill_them_all, grace_them_all).
 */
static void wind_up(void)
{
	if (gen.has_nursery) {
		fr_nursery_stop();
		fr_nursery_forget();
	}
	gen.must_start = false;
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		struct uwsgi_worker *worker = &uwsgi.workers[wid];

		if (worker->pid <= 0)
			continue;
		if (gen.slots[wid].state == SLOT_LOADING || gen.slots[wid].state == SLOT_DOOMED ||
		    gen.slots[wid].state == SLOT_RETURNING)
			doom(wid);
		else if (gen.slots[wid].state == SLOT_SERVING && !worker->cursed_at)
			uwsgi_curse(wid, uwsgi_instance_is_dying ? SIGINT : SIGHUP);
	}
}

/* The candidates' part of a turn. */
static enum fr_generation_state follow_candidates(int64_t now_ms, int died_wid, int status)
{
	if (gen.has_nursery && follow_nursery(now_ms))
		return FR_GENERATION_FAILED;
	if (gen.must_start)
		spawn_candidates(now_ms);
	if (died_wid) {
		describe_death(status);
		if (fail(now_ms, died_wid, status))
			return FR_GENERATION_FAILED;
	}
	if (count(SLOT_LOADING) == 0)
		return gen.must_start ? FR_GENERATION_LOADING : FR_GENERATION_IDLE;
	if (has_failed(now_ms)) {
		doom_candidates(gen.failed_wid);
		return FR_GENERATION_FAILED;
	}
	if (are_all_loaded()) {
		/* A save between the moments at which two of them read the file has been noted by
		 * the next turn, and held this load. */
		if (!gen.has_nursery && !gen.was_loaded)
			gen.was_loaded = true;
		else
			begin_switch(now_ms);
	}
	return FR_GENERATION_LOADING;
}

enum fr_generation_state fr_generation_step(int64_t now_ms, int64_t *ret_wake_ms)
{
	enum fr_generation_state state = FR_GENERATION_LOADING;
	int status = -1;
	int died_wid;

	*ret_wake_ms = -1;
	if (!gen.wanted)
		return FR_GENERATION_IDLE;
	learn_apps();
	/* With the last good code at hand, a worker that uWSGI respawns need not try the other. */
	fr_board_tell_not_to_load(gen.is_broken && gen.has_nursery && fr_nursery_has_good());
	look_at_respawned(now_ms);
	look_at_returning(now_ms);
	replace_lost(now_ms);
	if (gen.awaits_first && is_first_there()) {
		gen.awaits_first = false;
		gen.changed_len = 0;
		forget_text(NULL, NULL);
		return FR_GENERATION_SWAPPED;
	}
	fr_output_drain();
	died_wid = reap(now_ms, &status);
	end_mercy(now_ms);
	if (uwsgi_instance_is_dying || uwsgi_instance_is_reloading) {
		wind_up();
		gen.is_switching = false;
		return FR_GENERATION_IDLE;
	}
	rehearse(now_ms);
	if (!gen.is_switching)
		state = follow_candidates(now_ms, died_wid, status);
	if (state == FR_GENERATION_FAILED)
		gen.is_broken = true;
	if (gen.is_switching) {
		if (have_old_let_go()) {
			end_switch();
			state = FR_GENERATION_SWAPPED;
		} else {
			*ret_wake_ms = now_ms + FR_GENERATION_SWITCH_LOOK_MS;
			return FR_GENERATION_LOADING;
		}
	}
	*ret_wake_ms = gen.was_loaded && count(SLOT_LOADING) > 0 ? now_ms : next_look();
	return state;
}
