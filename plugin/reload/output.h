/*
 * output: what candidates print while they load.
 *
 * All of a generation print the same, and a traceback is wanted once. So each writes into a pipe,
 * which the master empties: the output of one of them goes to the log when the outcome is known,
 * and is what an error is explained with.
 */
#ifndef FR_OUTPUT_H
#define FR_OUTPUT_H

#include <stddef.h>

/* Makes room for slots 1 to `slots`. 0 or -ENOMEM. */
int fr_output_open(int slots);

/* Master, before it forks the candidate of a slot: makes its pipe. Without one (no descriptors
 * left) the candidate prints to the log as it comes. */
void fr_output_begin(int wid);

/* Master: the end for writing, to be sent to a process that is to load; -1: there is none.
 * Borrowed, until fr_output_forked. */
int fr_output_writer(int wid);

/* Master: the candidate has its end of the pipe. */
void fr_output_forked(int wid);

/* The candidate, in the child: what it prints goes into the pipe now. */
void fr_output_redirect(int wid);

/* The candidate, when it has loaded: what it prints goes to the log again. */
void fr_output_restore(void);

/* In any forked child: closes the master's ends. Async-signal-safe. */
void fr_output_close_in_child(void);

/* Master, in every turn: empties the pipes, a bounded amount of them. */
void fr_output_drain(void);

/* What the slot's candidate has printed so far, at most the last 64 KiB, with a NUL; valid until
 * the next call about the slot. */
const char *fr_output_text(int wid);

/* Writes it to the log, and whatever comes later as it comes (a process that the application
 * started may still hold the pipe). */
void fr_output_show(int wid);

/* Forgets it; what comes later is not shown. */
void fr_output_forget(int wid);

#endif
