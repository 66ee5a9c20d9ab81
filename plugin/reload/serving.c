/*
 * serving: the generation that serves. See serving.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/returning.h"
#include "reload/roster.h"
#include "reload/serving.h"

extern struct uwsgi_server uwsgi;

static bool is_of_use(int wid)
{
	const struct fr_board_slot *slot = fr_board_slot(wid);

	return fr_roster.slots[wid].state == FR_ROSTER_SERVING && uwsgi.workers[wid].pid > 0 &&
	       !uwsgi.workers[wid].cheaped && fr_board_get(&slot->is_loaded) &&
	       fr_board_get(&slot->apps) >= fr_roster.apps;
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

		if (fr_roster.slots[wid].state != FR_ROSTER_SERVING ||
		    uwsgi.workers[wid].pid <= 0 || !fr_board_get(&slot->is_loaded) ||
		    fr_board_get(&slot->apps) >= fr_roster.apps ||
		    !fr_board_get(&slot->must_hold) || fr_board_get(&slot->may_go))
			continue;
		other_wid = fr_returning_begin(now_ms);
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
		fr_roster_doom(wid);
	}
}

/* The first generation is uWSGI's own doing: note what it has loaded as soon as one of its workers
 * is there. */
static void learn_apps(void)
{
	for (int wid = 1; fr_roster.apps == 0 && wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state == FR_ROSTER_SERVING)
			fr_roster.apps = fr_board_get(&fr_board_slot(wid)->apps);
	}
	fr_board_want_apps(fr_roster.apps);
}

void fr_serving_step(int64_t now_ms)
{
	learn_apps();
	look_at_respawned(now_ms);
}

bool fr_serving_restart_loading(void)
{
	bool is_served = false;

	learn_apps(); /* the first ones may have come up, and been asked, within this very turn */
	for (int wid = 1; wid <= uwsgi.numproc; wid++)
		is_served |= fr_roster.slots[wid].state == FR_ROSTER_SERVING &&
			     uwsgi.workers[wid].accepting;
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		struct uwsgi_worker *worker = &uwsgi.workers[wid];

		/* One that has been told to go has nothing to load any more. */
		if (fr_roster.slots[wid].state != FR_ROSTER_SERVING || worker->accepting ||
		    worker->pid <= 0 || fr_board_get(&fr_board_slot(wid)->may_go))
			continue;
		worker->manage_next_request = 0; /* uWSGI's log then says what it is */
		uwsgi_curse(wid, SIGKILL);
		if (is_served) {
			worker->cheaped = 1;
			fr_roster.slots[wid].state = FR_ROSTER_DOOMED;
		}
	}
	return !is_served;
}

bool fr_serving_is_there(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state == FR_ROSTER_SERVING &&
		    (uwsgi.workers[wid].pid <= 0 || !uwsgi.workers[wid].accepting))
			return false;
	}
	return true;
}
