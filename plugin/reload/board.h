/*
 * board: what the master and its workers tell each other, in memory that they share.
 *
 * One entry for each worker slot. Words of an entry are written by one side only, whole, and with
 * sequential consistency; nobody waits for a lock, so a process that is killed at any moment leaves
 * nothing behind that could hold up another.
 */
#ifndef FR_BOARD_H
#define FR_BOARD_H

#include <stdbool.h>
#include <stdint.h>

struct fr_board_slot {
	/* Written by the master, before the worker is forked or while it waits. */
	uint32_t must_hold;   /* a candidate: say so when loaded, and wait for the word to go (a
				 worker may set it for itself) */
	uint32_t may_go;      /* that word; a futex(2) */
	uint32_t is_ours;     /* the next worker in this slot is a candidate, not one that uWSGI
				 respawns */
	uint32_t replaced_at; /* others take its place: 1 + how often a worker had answered for
				 the first time by then; 0: it ends for another reason */
	uint32_t ticket; /* goes up with each worker: one that was forked for another has come too
			    late */

	/* Written by the worker. */
	uint32_t is_there;  /* a candidate that was loaded for: uWSGI's own entry for it is written,
			       and from now on the master's */
	uint32_t is_loaded; /* it has loaded what there is to load, and is about to accept */
	uint32_t apps;      /* how many applications it has loaded */
	uint32_t load_ms;   /* how much of a processor's time that took */
	uint32_t has_answered; /* a request, the first of its life; a futex(2) */
	uint32_t accepting;    /* how many of its threads may take up a connection at this moment */

	int leave_fd; /* an eventfd in the queue of all its threads: readable when it is to leave */
};

/* Makes a board for slots 1 to `slots`. Before the first fork. 0 or a negative errno. */
int fr_board_open(int slots);

/* How many applications a worker must have loaded to be of use; 0: not known. Written by the
 * master. */
void fr_board_want_apps(uint32_t apps);
uint32_t fr_board_wanted_apps(void);

/* Master: what is on the disk is broken, so that a worker which uWSGI respawns need not load it:
 * another one will take its place. Worker: is that so? */
void fr_board_tell_not_to_load(bool is_broken);
bool fr_board_is_not_to_load(void);

/* The entry of a slot; valid for ever. */
struct fr_board_slot *fr_board_slot(int wid);

/* Master: a candidate is about to be forked into the slot. */
void fr_board_clear(int wid);

/* Master: a worker of uWSGI's own is about to be forked into the slot, whose candidate may never
 * have been born. */
void fr_board_leave_to_uwsgi(int wid);

/* Worker, before it loads: if it is no candidate, what its predecessor has left is wiped away.
 * Returns whether it is one. */
bool fr_board_enter(int wid);

/* Master: the worker takes up no more connections, and ends when it has answered those that it has.
 * Wakes all its threads. */
void fr_board_leave(int wid);

/* Master: a candidate that holds may go on. */
void fr_board_go(int wid);

/* Master: others take the worker's place. Before fr_board_leave. */
void fr_board_note_replaced(int wid);

/* Worker: it has answered somebody. */
void fr_board_tell_answered(int wid);

/* Worker that has left: waits until one of those that take its place has answered, for so many
 * milliseconds at most; not at all if there are none. */
void fr_board_await_successor(int wid, int ms);

/* Loader: waits until that worker has, for so many milliseconds at most. */
void fr_board_await_answered(int wid, int ms);

/* Worker: waits for fr_board_go. False: do not go on (told to leave, or the master has gone). */
bool fr_board_hold(int wid);

/* Reads and writes a word as described above. */
static inline uint32_t fr_board_get(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline void fr_board_set(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

#endif
