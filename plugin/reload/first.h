/*
 * first: the generation that has none before it.
 *
 * Where there is a nursery, it loads this one, too: once for all workers, and with what is frozen
 * on the way. uWSGI then starts no worker by itself. Should the load end in another way than with
 * workers (exit() while it loads, a crash), uWSGI starts them after all, as it does without this
 * plugin, and each shows what is wrong in its own way.
 */
#ifndef FR_FIRST_H
#define FR_FIRST_H

#include <stdbool.h>
#include <stdint.h>

/* The nursery is to load it. After fr_roster_open and fr_spare_prepare, before uWSGI starts
 * workers. */
void fr_first_prepare(void);

/* Has no worker been in service yet, nor been left to uWSGI? */
bool fr_first_is_awaited(void);

/* Is the nursery at it? */
bool fr_first_is_loading(void);

/* Are the slots free that uWSGI gives to the first workers? What it does once for an instance, it
 * does in the first of them. */
bool fr_first_has_slots(void);

/* It serves. */
void fr_first_note_served(void);

/* It did not come to be: uWSGI is to start the workers. */
void fr_first_leave_to_uwsgi(void);

/* Once in every turn: starts what is to be started. A forked child does not return from this. */
void fr_first_step(int64_t now_ms);

#endif
