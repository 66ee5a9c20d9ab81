/*
 * first: the generation that has none before it. See first.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/candidates.h"
#include "reload/first.h"
#include "reload/roster.h"
#include "reload/spare.h"

extern struct uwsgi_server uwsgi;

static enum {
	FIRST_OVER, /* or it was uWSGI's doing from the beginning */
	FIRST_DUE,
	FIRST_LOADING,
	FIRST_LEFT, /* to uWSGI, as soon as the slots are free */
} first;

void fr_first_prepare(void)
{
	fr_spare_start_none();
	for (int wid = 1; wid <= fr_roster.wanted; wid++)
		fr_roster.slots[wid].state = FR_ROSTER_FREE;
	first = FIRST_DUE;
}

bool fr_first_is_awaited(void)
{
	return first != FIRST_OVER;
}

bool fr_first_is_loading(void)
{
	return first == FIRST_DUE || first == FIRST_LOADING;
}

void fr_first_note_served(void)
{
	first = FIRST_OVER;
}

void fr_first_leave_to_uwsgi(void)
{
	first = FIRST_LEFT;
}

bool fr_first_has_slots(void)
{
	for (int wid = 1; wid <= fr_roster.wanted; wid++) {
		if (fr_roster.slots[wid].state != FR_ROSTER_FREE)
			return false;
	}
	return true;
}

/* As uwsgi_start does. */
static void start_workers(void)
{
	for (int wid = 1; wid <= fr_roster.wanted; wid++) {
		fr_roster.slots[wid] = (struct fr_roster_slot){.state = FR_ROSTER_SERVING};
		uwsgi.workers[wid].cheaped = 0;
		uwsgi.workers[wid].apps_cnt = 0;
		fr_board_leave_to_uwsgi(wid);
		if (uwsgi_respawn_worker(wid)) {
			uwsgi_run();
			_exit(1);
		}
	}
}

void fr_first_step(int64_t now_ms)
{
	if (first == FIRST_DUE) {
		first = FIRST_LOADING;
		fr_candidates_start(now_ms);
	} else if (first == FIRST_LEFT && fr_first_has_slots()) {
		first = FIRST_OVER;
		start_workers();
	}
}
