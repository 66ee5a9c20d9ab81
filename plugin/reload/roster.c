/*
 * roster: which worker slot belongs to which generation. See roster.h.
 */
#include <uwsgi.h>

#include "reload/roster.h"

extern struct uwsgi_server uwsgi;

/* One generation serves, one loads, and the others may still be leaving, each with its slow
 * request. */
#define FR_ROSTER_GENERATIONS 4

struct fr_roster fr_roster;

/* With one more, the last, for the nursery to load in. */
int fr_roster_slots(int wanted)
{
	return wanted * FR_ROSTER_GENERATIONS + 1;
}

int fr_roster_open(int wanted)
{
	fr_roster.slots = calloc((size_t)fr_roster_slots(wanted) + 1, sizeof(*fr_roster.slots));
	if (!fr_roster.slots)
		return -ENOMEM;
	fr_roster.wanted = wanted;
	for (int wid = 1; wid <= wanted; wid++)
		fr_roster.slots[wid].state = FR_ROSTER_SERVING;
	fr_roster.slots[fr_roster_slots(wanted)].state = FR_ROSTER_RESERVED;
	return 0;
}

int fr_roster_count(enum fr_roster_state state)
{
	int len = 0;

	for (int wid = 1; wid <= uwsgi.numproc; wid++)
		len += fr_roster.slots[wid].state == state;
	return len;
}

void fr_roster_doom(int wid)
{
	uwsgi.workers[wid].manage_next_request = 0;
	if (uwsgi.workers[wid].pid > 0)
		uwsgi_curse(wid, SIGKILL); /* and not kill(2): uWSGI's log then says what it is */
	fr_roster.slots[wid].state = FR_ROSTER_DOOMED;
	fr_roster.slots[wid].until_ms = 0;
}
