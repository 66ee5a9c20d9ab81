/*
 * roster: which worker slot belongs to which generation, and what is to become of it. Shared by the
 * modules that make up generations, and nobody else's business.
 *
 *	free -> loading -> (all loaded) -> serving -> leaving -> free
 *	           |-> doomed -> free                    |-> doomed -> free
 *
 *	free -> returning -> serving
 *
 * Who is moved where, and when, is for candidates, switch, retire and serving to say; here is only
 * the table.
 */
#ifndef FR_ROSTER_H
#define FR_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

/* What an order for the nursery has room for, with a few left. */
#define FR_ROSTER_MAX_WORKERS 60

enum fr_roster_state {
	FR_ROSTER_FREE,
	FR_ROSTER_LOADING,
	FR_ROSTER_RETURNING, /* takes the place of one that has died, with the code that serves */
	FR_ROSTER_SERVING,
	FR_ROSTER_LEAVING,
	FR_ROSTER_DOOMED,
	FR_ROSTER_RESERVED, /* the nursery's own */
};

struct fr_roster_slot {
	enum fr_roster_state state;
	int64_t until_ms; /* LEAVING: then it is killed; LOADING, RETURNING: then it has failed */
	bool is_unborn;   /* the nursery has still to fork it */
};

struct fr_roster {
	int wanted; /* how many workers the user asked for; 0: no generations here */
	struct fr_roster_slot *slots; /* 1 to uwsgi.numproc */
	uint32_t apps;                /* how many applications the serving generation has loaded */
	int64_t mercy_ms, timeout_ms; /* how long one may be leaving, and loading */
};

/* The master's. */
extern struct fr_roster fr_roster;

/* How many slots uWSGI is to be given for so many workers. */
int fr_roster_slots(int wanted);

/* Makes the table; the first generation has the first slots. 0 or -ENOMEM. */
int fr_roster_open(int wanted);

/* How many slots are in that state? */
int fr_roster_count(enum fr_roster_state state);

/* Kills the worker of a slot: it serves nobody, or has had its time. */
void fr_roster_doom(int wid);

#endif
