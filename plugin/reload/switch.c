/*
 * switch: the moment between two generations. See switch.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/nursery.h"
#include "reload/output.h"
#include "reload/retire.h"
#include "reload/returning.h"
#include "reload/roster.h"
#include "reload/switch.h"
#include "reload/visitors.h"

extern struct uwsgi_server uwsgi;

static bool is_under_way; /* the old ones have been told to accept no more; the new ones wait for
			     that */

/* From here on uWSGI sees the new ones as the workers, and respawns those. One that is still being
 * forked joins the others when it is there. */
static void take_over(int wid, int64_t now_ms)
{
	if (!fr_board_get(&fr_board_slot(wid)->is_there) && fr_roster.slots[wid].is_unborn) {
		fr_returning_await(wid, now_ms);
		return;
	}
	uwsgi.workers[wid].cheaped = 0;
	fr_roster.slots[wid] = (struct fr_roster_slot){.state = FR_ROSTER_SERVING};
	if (fr_board_get(&fr_board_slot(wid)->is_loaded))
		fr_roster.apps = fr_board_get(&fr_board_slot(wid)->apps);
}

void fr_switch_begin(int64_t now_ms)
{
	bool is_shown = false; /* what they printed while they loaded, once */

	fr_returning_abandon();
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state == FR_ROSTER_SERVING) {
			fr_retire_begin(wid, now_ms);
		} else if (fr_roster.slots[wid].state == FR_ROSTER_LOADING) {
			take_over(wid, now_ms);
			if (!is_shown)
				fr_output_show(wid);
			else
				fr_output_forget(wid);
			is_shown = true;
		}
	}
	fr_nursery_keep_good();
	is_under_way = true;
}

bool fr_switch_step(void)
{
	if (!fr_retire_have_let_go())
		return false;
	fr_visitors_begin_generation();
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		if (fr_roster.slots[wid].state != FR_ROSTER_SERVING)
			continue;
		fr_visitors_join(wid);
		fr_board_go(wid);
	}
	is_under_way = false;
	fr_returning_note(false);
	return true;
}

bool fr_switch_is_under_way(void)
{
	return is_under_way;
}

void fr_switch_abandon(void)
{
	is_under_way = false;
}
