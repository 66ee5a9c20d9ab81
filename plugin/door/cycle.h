/*
 * cycle: one turn of the master's loop: collect what woke it, step what is under way, decide, act,
 * and say what came of it.
 *
 * Everything in a turn is bounded, and nothing blocks.
 */
#ifndef FR_CYCLE_H
#define FR_CYCLE_H

#include <stdbool.h>
#include <stddef.h>

#include "decide/plan.h"
#include "watch/source.h"

/* Before anything is watched. 0 or -ENOMEM. */
int fr_cycle_open(void);

/* A counted file may have changed: path is absolute, borrowed; hint is one of WRITING, WRITTEN,
 * ATTRIB, GONE. */
void fr_cycle_note(const char *path, enum fr_hint hint);

/* Holds changes back while the file exists, too; an absolute path, copied. 0 or -ENOMEM. */
int fr_cycle_hold_for(const char *path);

/* Holds all changes back until it is called with false. What is being loaded is not stopped. */
void fr_cycle_pause(bool is_paused);

/* Reloads as soon as that can be, whatever has changed, also while changes are held back. */
void fr_cycle_ask(void);

/* How many files wait for what is done about them. */
size_t fr_cycle_waiting(void);

/* What a change does, of files that are nothing special. */
void fr_cycle_usual_plan(struct fr_plan *ret_plan);

/* What the changes that are being looked at would do; with none, what a change does. */
void fr_cycle_plan(struct fr_plan *ret_plan);

/* One turn, at least once a second. Only while the watcher is there and the loop has begun. */
void fr_cycle_turn(void);

#endif
