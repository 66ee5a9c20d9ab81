/*
 * candidates: new workers are started and followed. See candidates.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/candidates.h"
#include "reload/first.h"
#include "reload/nursery.h"
#include "reload/output.h"
#include "reload/pending.h"
#include "reload/returning.h"
#include "reload/roster.h"
#include "reload/spare.h"

extern struct uwsgi_server uwsgi;

/* A candidate that somebody else kills (the kernel, short of memory; a person) says nothing about
 * the code: try again this often. */
#define FR_CANDIDATES_RETRIES 3

static struct {
	bool has_nursery; /* it loads; else each worker does */
	bool must_start;  /* candidates are wanted, and wait for slots to become free */
	bool was_loaded;  /* all candidates were, in the last turn */
	int retries;
	int output_wid; /* the slot with the output of all, if one loader loads; 0: each has its own
			 */
	int failed_wid; /* whose output explains the failure; 0: none */
	char failure[128];
} candidates;

/* ---- starting them ---- */

/* uwsgi_respawn_worker has returned in the child. */
__attribute__((noreturn)) static void become_worker(int wid)
{
	fr_output_redirect(wid);
	uwsgi_run();
	_exit(1);
}

/* Nothing else serves while the first ones load: they have all the time that they need. */
static int64_t deadline(int64_t now_ms)
{
	return fr_first_is_awaited() ? INT64_MAX : now_ms + fr_roster.timeout_ms;
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
	fr_roster.slots[wid] =
		(struct fr_roster_slot){.state = FR_ROSTER_LOADING, .until_ms = deadline(now_ms)};
}

static struct fr_nursery_order make_order(const int *wids)
{
	size_t changed_len;
	const char *const *changed = fr_pending_paths(&changed_len);

	return (struct fr_nursery_order){
		.wids = wids,
		.wids_len = fr_roster.wanted,
		.apps = fr_roster.apps,
		.wanted = changed && changed_len > 0 ? changed[0] : NULL,
		.changed = changed,
		.changed_len = changed_len,
	};
}

/* One loader for all of them. */
static bool let_nursery_load(const int *wids, int64_t now_ms)
{
	const struct fr_nursery_order order = make_order(wids);

	for (int i = 0; i < fr_roster.wanted; i++) {
		int wid = wids[i];

		fr_board_clear(wid);
		uwsgi.workers[wid].apps_cnt = 0;
		uwsgi.workers[wid].pid = 0;
		fr_roster.slots[wid] = (struct fr_roster_slot){.state = FR_ROSTER_LOADING,
							       .until_ms = deadline(now_ms),
							       .is_unborn = true};
	}
	fr_output_begin(wids[0]);
	if (fr_first_is_awaited())
		fr_output_show(wids[0]); /* nobody waits for a verdict on it */
	if (fr_nursery_start(&order) == 0) {
		candidates.output_wid = wids[0];
		return true;
	}
	for (int i = 0; i < fr_roster.wanted; i++)
		fr_roster.slots[wids[i]].state = FR_ROSTER_FREE;
	return false;
}

static void spawn_candidates(int64_t now_ms)
{
	int wids[FR_ROSTER_MAX_WORKERS] = {0}, len = 0;

	if (fr_roster_count(FR_ROSTER_FREE) < fr_roster.wanted ||
	    (fr_first_is_awaited() && !fr_first_has_slots()) ||
	    (candidates.has_nursery && fr_nursery_is_busy()))
		return;
	candidates.must_start = false;
	candidates.was_loaded = false;
	candidates.output_wid = 0;
	for (int wid = 1; len < fr_roster.wanted && wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state != FR_ROSTER_FREE)
			continue;
		if (candidates.has_nursery)
			wids[len++] = wid;
		else if (len++ < fr_roster.wanted)
			spawn(wid, now_ms);
	}
	if (!candidates.has_nursery || let_nursery_load(wids, now_ms))
		return;
	for (int i = 0; i < len; i++)
		spawn(wids[i], now_ms);
}

/* Shows what the one has printed that explains why; what the others have printed is the same. */
static void doom_candidates(int shown_wid)
{
	/* If none is loading, the nursery may still have to fork some that serve. */
	if (candidates.has_nursery && fr_roster_count(FR_ROSTER_LOADING) > 0)
		fr_nursery_stop();
	if (shown_wid)
		fr_output_show(shown_wid);
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state != FR_ROSTER_LOADING)
			continue;
		if (wid != shown_wid)
			fr_output_forget(wid);
		fr_roster_doom(wid);
	}
}

void fr_candidates_start(int64_t now_ms)
{
	candidates.must_start = true;
	spawn_candidates(now_ms);
}

void fr_candidates_stop(void)
{
	doom_candidates(0);
	candidates.must_start = false;
}

void fr_candidates_wind_up(void)
{
	if (candidates.has_nursery) {
		fr_nursery_stop();
		fr_nursery_forget();
		fr_nursery_forget_good();
	}
	candidates.must_start = false;
}

bool fr_candidates_have_nursery(void)
{
	return candidates.has_nursery;
}

void fr_candidates_use_nursery(const struct fr_nursery_limits *limits,
			       const struct fr_uses_hooks *hooks, void *ctx, struct fr_tree *tree)
{
	candidates.has_nursery = true;
	fr_nursery_open(uwsgi.numproc, limits, fr_spare_was_lazy(), hooks, ctx, tree);
}

void fr_candidates_enter_loop(void)
{
	if (candidates.has_nursery)
		fr_nursery_enter_loop();
}

size_t fr_candidates_resumed_at(void)
{
	return candidates.has_nursery ? fr_nursery_resumed_at() : 0;
}

/* ---- failures ---- */

void fr_candidates_forget_failure(void)
{
	candidates.retries = 0;
	candidates.failed_wid = 0;
	candidates.failure[0] = '\0';
}

const char *fr_candidates_failure(void)
{
	return candidates.failure;
}

const char *fr_candidates_failure_output(void)
{
	return candidates.failed_wid ? fr_output_text(candidates.failed_wid) : "";
}

static void describe_death(int status)
{
	if (status < 0)
		snprintf(candidates.failure, sizeof(candidates.failure),
			 "a new worker died while it loaded");
	else if (WIFSIGNALED(status))
		snprintf(candidates.failure, sizeof(candidates.failure),
			 "a new worker was killed by signal %d (%s) while it loaded",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(candidates.failure, sizeof(candidates.failure),
			 "a new worker exited with code %d while it loaded", WEXITSTATUS(status));
}

/* The candidate in the slot has failed, whatever it printed. */
static void note_failed(int wid)
{
	candidates.failed_wid = candidates.output_wid ? candidates.output_wid : wid;
}

/* A candidate has died. Returns whether that is the code's fault, and the end of the attempt. */
static bool fail(int64_t now_ms, int died_wid, int status)
{
	note_failed(died_wid);
	doom_candidates(candidates.failed_wid);
	if ((status < 0 || (WIFSIGNALED(status) &&
			    (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM))) &&
	    candidates.retries++ < FR_CANDIDATES_RETRIES) {
		if (candidates.has_nursery)
			fr_nursery_forget(); /* if it is the code, a load from the beginning shows
						it */
		fr_candidates_start(now_ms);
		return false;
	}
	return true;
}

static bool fail_by_nursery(int64_t now_ms, bool has_no_app, int status)
{
	if (!has_no_app) {
		describe_death(status);
		return fail(now_ms, candidates.output_wid, status);
	}
	snprintf(candidates.failure, sizeof(candidates.failure), "the application did not load");
	note_failed(candidates.output_wid);
	doom_candidates(candidates.failed_wid);
	return true;
}

/* ---- following them ---- */

/* The loader has ended without a worker: none will ever be in these slots, and nobody asks the
 * nursery again. */
static void free_unborn(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state != FR_ROSTER_LOADING)
			continue;
		fr_output_forget(wid);
		fr_roster.slots[wid] = (struct fr_roster_slot){.state = FR_ROSTER_FREE};
	}
}

/* Not in one process for all, then each for itself, from now on. */
static void do_without_nursery(int64_t now_ms)
{
	uwsgi_log_verbose("[fastreload] each worker loads the application itself from now on: %s\n",
			  fr_nursery_reason());
	free_unborn();
	fr_nursery_forget();
	candidates.has_nursery = false;
	fr_candidates_start(now_ms);
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
		if (fr_roster_count(FR_ROSTER_LOADING) == 0) {
			fr_returning_lose_unborn(now_ms);
			break;
		}
		return fail_by_nursery(now_ms, state == FR_NURSERY_NO_APP, status);
	case FR_NURSERY_UNSUITABLE:
		do_without_nursery(now_ms);
		break;
	case FR_NURSERY_BORN:
		for (int wid = 1; wid <= uwsgi.numproc; wid++)
			fr_roster.slots[wid].is_unborn = false;
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

		if (fr_roster.slots[wid].state != FR_ROSTER_LOADING)
			continue;
		if (fr_board_get(&slot->is_loaded) && fr_board_get(&slot->apps) < fr_roster.apps) {
			note_failed(wid);
			snprintf(candidates.failure, sizeof(candidates.failure),
				 "the application did not load");
			return true;
		}
		if (now_ms >= fr_roster.slots[wid].until_ms) {
			note_failed(wid);
			snprintf(candidates.failure, sizeof(candidates.failure),
				 "the application had not loaded after %lld s "
				 "(--fastreload-timeout)",
				 (long long)fr_roster.timeout_ms / 1000);
			if (candidates.has_nursery)
				fr_nursery_give_up();
			return true;
		}
	}
	return false;
}

/* What a nursery has loaded is there for all as soon as it is for one: the others follow within a
 * moment. */
static bool are_enough_loaded(void)
{
	bool is_by_nursery = candidates.output_wid > 0;
	int loaded = 0;

	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		const struct fr_board_slot *slot = fr_board_slot(wid);

		if (fr_roster.slots[wid].state != FR_ROSTER_LOADING)
			continue;
		loaded += fr_board_get(&slot->is_loaded) != 0;
	}
	return loaded >= (is_by_nursery ? 1 : fr_roster.wanted);
}

enum fr_candidates_state fr_candidates_step(int64_t now_ms, int died_wid, int status)
{
	if (candidates.has_nursery && follow_nursery(now_ms))
		return FR_CANDIDATES_FAILED;
	if (candidates.must_start)
		spawn_candidates(now_ms);
	if (died_wid) {
		describe_death(status);
		if (fail(now_ms, died_wid, status))
			return FR_CANDIDATES_FAILED;
	}
	if (fr_roster_count(FR_ROSTER_LOADING) == 0)
		return candidates.must_start ? FR_CANDIDATES_LOADING : FR_CANDIDATES_NONE;
	if (has_failed(now_ms)) {
		doom_candidates(candidates.failed_wid);
		return FR_CANDIDATES_FAILED;
	}
	if (!are_enough_loaded())
		return FR_CANDIDATES_LOADING;
	/* A save between the moments at which two of them read the file has been noted by the next
	 * turn, and held this load. */
	if (!candidates.has_nursery && !candidates.was_loaded) {
		candidates.was_loaded = true;
		return FR_CANDIDATES_LOADING;
	}
	return FR_CANDIDATES_READY;
}

bool fr_candidates_must_look_again(void)
{
	return candidates.was_loaded && fr_roster_count(FR_ROSTER_LOADING) > 0;
}
