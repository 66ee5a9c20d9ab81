/*
 * rehearsal: loads a slow application once more after the start. See rehearsal.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/eligible.h"
#include "reload/nursery.h"
#include "reload/rehearsal.h"
#include "reload/roster.h"

extern struct uwsgi_server uwsgi;

#define FR_REHEARSAL_WORTH_MS                                                                      \
	100                      /* of a processor's time, or the first edit may as well load it   \
				  */
#define FR_REHEARSAL_REST_MS 500 /* the first requests have better use for the processors */

static int64_t due_ms; /* 0: not known yet; -1: no more */

/* How long the slowest worker has taken to load, or -1 if not all of them serve. */
static int64_t slowest_load(void)
{
	int64_t slowest = 0;

	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		int64_t took_ms = fr_board_get(&fr_board_slot(wid)->load_ms);

		if (fr_roster.slots[wid].state != FR_ROSTER_SERVING)
			continue;
		if (!uwsgi.workers[wid].accepting)
			return -1;
		if (took_ms > slowest)
			slowest = took_ms;
	}
	return slowest;
}

void fr_rehearsal_cancel(void)
{
	due_ms = -1;
}

int64_t fr_rehearsal_step(int64_t now_ms)
{
	if (due_ms == 0) {
		int64_t took_ms = slowest_load();

		if (took_ms >= FR_REHEARSAL_WORTH_MS)
			due_ms = now_ms + FR_REHEARSAL_REST_MS;
		else if (took_ms >= 0)
			due_ms = -1;
	} else if (due_ms > 0 && now_ms >= due_ms) {
		due_ms = -1;
		if (fr_roster.apps > 0 && !fr_eligible_side_effect())
			fr_nursery_rehearse();
	}
	return due_ms > 0 ? due_ms : -1;
}
