/*
 * returning: workers of the last good code, in place of those that die. See returning.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/nursery.h"
#include "reload/output.h"
#include "reload/returning.h"
#include "reload/roster.h"
#include "reload/visitors.h"

extern struct uwsgi_server uwsgi;

/* Before one that has died itself is tried again. */
#define FR_RETURNING_PAUSE_MS 1000

static struct {
	bool is_broken;
	int lost;           /* so many have died */
	int64_t lost_at_ms; /* the last of them */
} returning;

void fr_returning_note(bool is_broken)
{
	returning.is_broken = is_broken;
}

void fr_returning_note_lost(int64_t now_ms)
{
	returning.lost++;
	returning.lost_at_ms = now_ms;
}

static int free_slot(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state == FR_ROSTER_FREE)
			return wid;
	}
	return 0;
}

void fr_returning_await(int wid, int64_t now_ms)
{
	fr_roster.slots[wid].state = FR_ROSTER_RETURNING;
	fr_roster.slots[wid].until_ms = now_ms + fr_roster.timeout_ms;
}

/* One that was forked at the last moment is doomed with the others: it ends when it begins to
 * run. */
void fr_returning_lose_unborn(int64_t now_ms)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state != FR_ROSTER_RETURNING ||
		    !fr_roster.slots[wid].is_unborn)
			continue;
		fr_roster_doom(wid);
		fr_returning_note_lost(now_ms);
	}
}

int fr_returning_begin(int64_t now_ms)
{
	int wid = fr_nursery_has_good() ? free_slot() : 0;

	if (wid == 0)
		return 0;
	fr_board_clear(wid);
	uwsgi.workers[wid].apps_cnt = 0;
	uwsgi.workers[wid].pid = 0;
	if (!fr_nursery_respawn(wid))
		return 0;
	fr_roster.slots[wid] = (struct fr_roster_slot){.state = FR_ROSTER_RETURNING,
						       .until_ms = now_ms + fr_roster.timeout_ms};
	return wid;
}

void fr_returning_abandon(void)
{
	returning.lost = 0;
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state == FR_ROSTER_RETURNING)
			fr_roster_doom(wid);
	}
}

static void join_others(int wid)
{
	uwsgi.workers[wid].cheaped = 0;
	fr_roster.slots[wid] = (struct fr_roster_slot){.state = FR_ROSTER_SERVING};
	fr_output_show(wid);
	fr_visitors_join(wid);
	fr_board_go(wid);
}

/* Not without end and pause, if they all die. If there is no good code left to be had, uWSGI's way,
 * from the disk. */
static void replace_lost(int64_t now_ms)
{
	int wid;

	returning.lost_at_ms = now_ms;
	if (fr_returning_begin(now_ms)) {
		returning.lost--;
		return;
	}
	wid = free_slot();
	if (wid == 0 || fr_nursery_has_good())
		return;
	returning.lost--;
	fr_roster.slots[wid] = (struct fr_roster_slot){.state = FR_ROSTER_SERVING};
	uwsgi.workers[wid].cheaped = 0;
	fr_visitors_join(wid);
	fr_board_leave_to_uwsgi(wid);
	if (uwsgi_respawn_worker(wid)) {
		uwsgi_run();
		_exit(1);
	}
}

/* Was it ordered from the process with the last good code, and has that ended before it forked it?
 * An order that is not carried out is not answered. */
static bool is_forgotten(int wid)
{
	return !fr_nursery_has_good() && !fr_roster.slots[wid].is_unborn &&
	       uwsgi.workers[wid].pid <= 0 && !fr_board_get(&fr_board_slot(wid)->is_there);
}

void fr_returning_step(int64_t now_ms, int64_t *ret_wake_ms)
{
	fr_board_tell_not_to_load(returning.is_broken && fr_nursery_has_good());
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state != FR_ROSTER_RETURNING)
			continue;
		if (fr_board_get(&fr_board_slot(wid)->is_loaded)) {
			join_others(wid);
		} else if (now_ms >= fr_roster.slots[wid].until_ms || is_forgotten(wid)) {
			fr_roster_doom(wid);
			fr_board_clear(wid); /* should it be forked all the same */
			fr_returning_note_lost(now_ms);
		}
	}
	if (returning.lost > 0 && now_ms >= returning.lost_at_ms + FR_RETURNING_PAUSE_MS)
		replace_lost(now_ms);
	*ret_wake_ms = returning.lost > 0 ? returning.lost_at_ms + FR_RETURNING_PAUSE_MS : -1;
}
