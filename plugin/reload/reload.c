/*
 * reload: brings new code into service, and keeps track of it until it serves. See reload.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/loop.h"
#include "reload/output.h"
#include "reload/reload.h"
#include "reload/slots.h"
#include "reload/strategy.h"
#include "reload/wake.h"

extern struct uwsgi_server uwsgi;

/*
 * With another loop engine, a worker says that it is ready just before uWSGI marks it as accepting
 * (uwsgi_ignition: the hijack_worker hooks, then accepting = 1), and nothing wakes the master after
 * that: look again until it has surely happened.
 */
#define FR_RELOAD_READY_LOOK_MS   1
#define FR_RELOAD_READY_WITHIN_MS 100

/* Without pidfds nothing tells when a worker has ended: then look this often while a reload waits
 * for it. */
#define FR_RELOAD_DEATH_LOOK_MS 10

/* For this long after the first change, newer ones start a load again. */
#define FR_RELOAD_PATIENCE_MS 3000

static const struct fr_strategy *const strategies[FR_ACTIONS] = {
	[FR_ACTION_SWAP] = &fr_strategy_swap,       [FR_ACTION_RELOAD] = &fr_strategy_full,
	[FR_ACTION_WORKERS] = &fr_strategy_workers, [FR_ACTION_CHAIN] = &fr_strategy_chain,
	[FR_ACTION_TOUCH] = &fr_strategy_touch,     [FR_ACTION_SIGNAL] = &fr_strategy_signal,
	[FR_ACTION_MULES] = &fr_strategy_mules,     [FR_ACTION_SPOOLERS] = &fr_strategy_spoolers,
};

static struct {
	const struct fr_strategy *running; /* or NULL */
	struct fr_reload_times times;
	bool is_held;
	int64_t ready_at_ms; /* when a worker last said that it is ready */
} reload;

bool fr_strategy_always(void)
{
	return true;
}

int fr_reload_open(void)
{
	int error = fr_wake_open();

	if (!error)
		error = fr_board_open(uwsgi.numproc);
	if (!error)
		error = fr_output_open(uwsgi.numproc);
	if (!error && fr_loop_is_usable())
		fr_loop_register();
	return error;
}

int fr_reload_start(enum fr_action action, const struct fr_reload_request *request)
{
	const struct fr_strategy *strategy = strategies[action];
	int error;

	if (!strategy->progress)
		return strategy->start(request); /* the workers stay as they are */
	fr_slots_mark();
	error = strategy->start(request);
	if (error)
		return error;
	if (!reload.running) /* else the first change goes on waiting for its answer */
		reload.times.event_ms = request->event_ms;
	reload.is_held = false;
	reload.times.decided_ms = request->now_ms;
	reload.times.gone_ms = 0;
	reload.running = strategy;
	return 0;
}

void fr_reload_resume(const struct fr_reload_times *times)
{
	reload.times = *times;
	reload.running = &fr_strategy_full;
}

/* Somebody writes all the time: what is being loaded now shall be seen, however old it is by then.
 */
static bool is_impatient(int64_t now_ms)
{
	return now_ms - reload.times.event_ms > FR_RELOAD_PATIENCE_MS;
}

void fr_reload_hold(int64_t now_ms)
{
	if (!reload.running || !reload.running->hold || reload.is_held || is_impatient(now_ms))
		return;
	reload.is_held = true;
	reload.running->hold();
}

void fr_reload_release(int64_t now_ms)
{
	if (!reload.is_held)
		return;
	reload.is_held = false;
	if (reload.running)
		reload.running->release(now_ms);
}

bool fr_reload_must_wait(int64_t now_ms)
{
	return reload.running &&
	       (!reload.running->is_restartable || !reload.running->is_restartable() ||
		(!reload.is_held && is_impatient(now_ms)));
}

bool fr_reload_is_running(struct fr_reload_times *ret_times)
{
	if (reload.running && ret_times)
		*ret_times = reload.times;
	return reload.running != NULL;
}

void fr_reload_note_gone(int64_t now_ms)
{
	if (!reload.times.gone_ms)
		reload.times.gone_ms = now_ms;
}

/* Workers with our own loop say so after uWSGI has marked them; those with another just before. */
static int64_t next_look(int64_t now_ms)
{
	if (!fr_loop_is_usable() && now_ms - reload.ready_at_ms < FR_RELOAD_READY_WITHIN_MS)
		return now_ms + FR_RELOAD_READY_LOOK_MS;
	return fr_wake_sees_deaths() ? -1 : now_ms + FR_RELOAD_DEATH_LOOK_MS;
}

static void tend_all(int64_t now_ms, int64_t *ret_wake_ms)
{
	*ret_wake_ms = -1;
	for (int action = 0; action < FR_ACTIONS; action++) {
		int64_t wake_ms;

		if (!strategies[action] || !strategies[action]->tend)
			continue;
		strategies[action]->tend(now_ms, &wake_ms);
		if (wake_ms >= 0 && (*ret_wake_ms < 0 || wake_ms < *ret_wake_ms))
			*ret_wake_ms = wake_ms;
	}
}

enum fr_progress fr_reload_step(int64_t now_ms, bool worker_is_ready,
				struct fr_reload_times *ret_times, int64_t *ret_wake_ms)
{
	enum fr_progress progress;
	int64_t look_ms;

	tend_all(now_ms, ret_wake_ms);
	if (worker_is_ready)
		reload.ready_at_ms = now_ms;
	if (!reload.running)
		return FR_PROGRESS_RUNNING;
	/*
	 * The guard against fork bombs compares the time of the last respawn with this one and, if
	 * workers come too quickly, sleeps for two seconds in the master (core/master.c). These
	 * respawns are wanted.
	 */
	uwsgi.respawn_delta = 0;
	if (fr_slots_are_vacated())
		fr_reload_note_gone(now_ms);
	progress = reload.running->progress();
	if (progress == FR_PROGRESS_RUNNING) {
		look_ms = next_look(now_ms);
		if (look_ms >= 0 && (*ret_wake_ms < 0 || look_ms < *ret_wake_ms))
			*ret_wake_ms = look_ms;
		return progress;
	}
	reload.times.is_swap = reload.running == &fr_strategy_swap;
	reload.running = NULL;
	reload.times.done_ms = now_ms;
	*ret_times = reload.times;
	return progress;
}
