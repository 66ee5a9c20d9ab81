/*
 * generation: new workers beside the old ones. See generation.h.
 */
#include <uwsgi.h>

#include "reload/candidates.h"
#include "reload/first.h"
#include "reload/generation.h"
#include "reload/output.h"
#include "reload/pending.h"
#include "reload/retire.h"
#include "reload/returning.h"
#include "reload/roster.h"
#include "reload/serving.h"
#include "reload/spare.h"
#include "reload/strategy.h"
#include "reload/switch.h"

extern struct uwsgi_server uwsgi;

/* While the old workers are asked to accept no more: they answer within microseconds, and wake us;
 * this is for the one that is being scheduled away. */
#define FR_GENERATION_SWITCH_LOOK_MS 1

static bool awaits_first; /* the first generation is uWSGI's doing, and loads again */

int fr_generation_prepare(int64_t mercy_ms, int64_t timeout_ms)
{
	if (fr_roster_open(uwsgi.numproc) < 0)
		return -ENOMEM;
	fr_roster.mercy_ms = mercy_ms;
	fr_roster.timeout_ms = timeout_ms;
	fr_spare_prepare(fr_roster_slots(uwsgi.numproc));
	return 0;
}

void fr_generation_use_nursery(const struct fr_nursery_limits *limits,
			       const struct fr_uses_hooks *hooks, void *ctx, struct fr_tree *tree)
{
	fr_candidates_use_nursery(limits, hooks, ctx, tree);
	fr_first_prepare();
}

void fr_generation_enter_loop(void)
{
	fr_spare_enter_loop();
	fr_candidates_enter_loop();
}

/* ---- the requests ---- */

void fr_generation_start(const struct fr_reload_request *request)
{
	fr_pending_add(request->changed, request->changed_len);
	fr_candidates_stop();
	fr_candidates_forget_failure();
	awaits_first = !fr_first_is_loading() && fr_serving_restart_loading();
	if (!awaits_first)
		fr_candidates_start(request->now_ms);
}

void fr_generation_hold(void)
{
	if (fr_switch_is_under_way() || awaits_first)
		return;
	fr_candidates_stop();
}

void fr_generation_release(int64_t now_ms)
{
	if (fr_switch_is_under_way() || awaits_first || fr_roster_count(FR_ROSTER_LOADING) > 0)
		return;
	fr_candidates_start(now_ms);
}

bool fr_generation_is_switching(void)
{
	return fr_switch_is_under_way();
}

const char *fr_generation_failure(void)
{
	return fr_candidates_failure();
}

const char *fr_generation_failure_output(void)
{
	return fr_candidates_failure_output();
}

size_t fr_generation_resumed_at(void)
{
	return fr_candidates_resumed_at();
}

/* ---- the turn ---- */

/* at_ms: somebody else wants to look then; -1: nobody. */
static int64_t next_look(int64_t now_ms, int64_t at_ms)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		const struct fr_roster_slot *slot = &fr_roster.slots[wid];

		if ((slot->state == FR_ROSTER_LEAVING || slot->state == FR_ROSTER_LOADING ||
		     slot->state == FR_ROSTER_RETURNING ||
		     (slot->state == FR_ROSTER_DOOMED && slot->until_ms > now_ms)) &&
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
	fr_candidates_wind_up();
	fr_switch_abandon();
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		struct uwsgi_worker *worker = &uwsgi.workers[wid];

		if (worker->pid <= 0)
			continue;
		if (fr_roster.slots[wid].state == FR_ROSTER_LOADING ||
		    fr_roster.slots[wid].state == FR_ROSTER_RETURNING ||
		    fr_roster.slots[wid].state == FR_ROSTER_DOOMED)
			fr_roster_doom(wid);
		else if (fr_roster.slots[wid].state == FR_ROSTER_SERVING && !worker->cursed_at)
			uwsgi_curse(wid, uwsgi_instance_is_dying ? SIGINT : SIGHUP);
	}
}

/* Nothing serves that could go on. */
static void leave_to_uwsgi(void)
{
	uwsgi_log_verbose("[fastreload] %s: uWSGI starts the workers, and each loads it itself\n",
			  fr_candidates_failure());
	fr_first_leave_to_uwsgi();
	awaits_first = true;
}

/* They wait for each other: candidates to load, the old ones to let go, the new ones to begin. */
static enum fr_generation_state go_on(int64_t now_ms, int died_wid, int status)
{
	if (!fr_switch_is_under_way()) {
		switch (fr_candidates_step(now_ms, died_wid, status)) {
		case FR_CANDIDATES_NONE:
			return FR_GENERATION_IDLE;
		case FR_CANDIDATES_LOADING:
			return FR_GENERATION_LOADING;
		case FR_CANDIDATES_FAILED:
			if (!fr_first_is_awaited())
				return FR_GENERATION_FAILED;
			leave_to_uwsgi();
			return FR_GENERATION_LOADING;
		case FR_CANDIDATES_READY:
			fr_switch_begin(now_ms);
		}
	}
	if (!fr_switch_step())
		return FR_GENERATION_LOADING;
	fr_pending_forget();
	fr_first_note_served();
	return FR_GENERATION_SWAPPED;
}

enum fr_generation_state fr_generation_step(int64_t now_ms, int64_t *ret_wake_ms)
{
	enum fr_generation_state state;
	int status = -1;
	int64_t look_ms;
	int died_wid;

	*ret_wake_ms = -1;
	if (!fr_roster.wanted)
		return FR_GENERATION_IDLE;
	fr_serving_step(now_ms);
	if (awaits_first && !fr_first_is_awaited() && fr_serving_is_there()) {
		awaits_first = false;
		fr_pending_forget();
		return FR_GENERATION_SWAPPED;
	}
	fr_output_drain();
	died_wid = fr_retire_reap(now_ms, &status);
	fr_retire_end_mercy(now_ms);
	if (uwsgi_instance_is_dying || uwsgi_instance_is_reloading) {
		wind_up();
		return FR_GENERATION_IDLE;
	}
	fr_first_step(now_ms);
	state = go_on(now_ms, died_wid, status);
	if (state == FR_GENERATION_FAILED)
		fr_returning_note(true);
	if (fr_switch_is_under_way()) { /* nobody may join before it is over */
		*ret_wake_ms = now_ms + FR_GENERATION_SWITCH_LOOK_MS;
		return state;
	}
	fr_returning_step(now_ms, &look_ms);
	*ret_wake_ms = fr_candidates_must_look_again() ? now_ms : next_look(now_ms, look_ms);
	return state;
}
