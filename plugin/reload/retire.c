/*
 * retire: workers leave. See retire.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/nursery.h"
#include "reload/retire.h"
#include "reload/returning.h"
#include "reload/roster.h"

extern struct uwsgi_server uwsgi;

/* Longest that a process which is already forked may wait for its first moment on a processor,
 * where that matters. */
#define FR_RETIRE_UNBORN_MS 50

void fr_retire_begin(int wid, int64_t now_ms)
{
	struct uwsgi_worker *worker = &uwsgi.workers[wid];

	worker->cheaped = 1;
	fr_roster.slots[wid] = (struct fr_roster_slot){.state = FR_ROSTER_LEAVING,
						       .until_ms = now_ms + fr_roster.mercy_ms};
	fr_board_note_replaced(wid);
	if (worker->pid > 0 && worker->accepting)
		fr_board_leave(wid);
	else if (worker->pid > 0)
		fr_roster_doom(wid); /* just respawned, and not there yet: it serves nothing */
}

bool fr_retire_have_let_go(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state == FR_ROSTER_LEAVING && uwsgi.workers[wid].pid > 0 &&
		    fr_board_get(&fr_board_slot(wid)->accepting) > 0)
			return false;
	}
	return true;
}

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
			request->uri ? request->uri : "", (long long)fr_roster.mercy_ms / 1000);
		return;
	}
	uwsgi_log_verbose("[fastreload] worker %d (pid %d) has not ended after %lld s "
			  "(--fastreload-mercy), though it is in no request: it is killed\n",
			  wid, (int)worker->pid, (long long)fr_roster.mercy_ms / 1000);
}

void fr_retire_end_mercy(int64_t now_ms)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state != FR_ROSTER_LEAVING ||
		    now_ms < fr_roster.slots[wid].until_ms)
			continue;
		name_what_holds(wid);
		fr_roster_doom(wid);
	}
}

static bool has_ended(int wid, int64_t now_ms, int *ret_status)
{
	struct uwsgi_worker *worker = &uwsgi.workers[wid];

	*ret_status = -1;
	if (fr_roster.slots[wid].is_unborn && fr_nursery_is_busy())
		return false;
	if (fr_roster.slots[wid].is_unborn && fr_roster.slots[wid].state == FR_ROSTER_DOOMED) {
		/* Its loader has been killed: one that was forked at that moment has not begun to
		 * run, and ends when it does. */
		fr_roster.slots[wid].until_ms = now_ms + FR_RETIRE_UNBORN_MS;
		fr_roster.slots[wid].is_unborn = false;
	}
	if (fr_roster.slots[wid].state == FR_ROSTER_DOOMED && worker->pid <= 0 &&
	    now_ms < fr_roster.slots[wid].until_ms)
		return false;
	fr_roster.slots[wid].is_unborn = false;
	if (fr_roster.slots[wid].state == FR_ROSTER_DOOMED && worker->pid > 0)
		(void)kill(worker->pid, SIGKILL); /* it may have been born after it was doomed */
	if (worker->pid > 0 && waitpid(worker->pid, ret_status, WNOHANG) == worker->pid)
		worker->pid = 0;
	return worker->pid <= 0; /* or uWSGI has reaped it, in the last turn */
}

int fr_retire_reap(int64_t now_ms, int *ret_status)
{
	int died_wid = 0;
	int status;

	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		enum fr_roster_state state = fr_roster.slots[wid].state;

		if (state == FR_ROSTER_FREE || state == FR_ROSTER_SERVING ||
		    state == FR_ROSTER_RESERVED ||
		    (state == FR_ROSTER_RETURNING && uwsgi.workers[wid].pid <= 0) ||
		    !has_ended(wid, now_ms, &status))
			continue;
		uwsgi.workers[wid].cursed_at = 0;
		uwsgi.workers[wid].no_mercy_at = 0;
		fr_roster.slots[wid].state = FR_ROSTER_FREE;
		if (state == FR_ROSTER_RETURNING)
			fr_returning_note_lost(now_ms);
		if (state == FR_ROSTER_LOADING) {
			died_wid = wid;
			*ret_status = status;
		}
	}
	return died_wid;
}
