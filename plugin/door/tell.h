/*
 * tell: what happens goes from here to whoever wants to know: the tally, the journal, the lines of
 * --fastreload-events, and the status.
 *
 * Called by the others in the turn in which it happens; it changes nothing of it, and never waits.
 * The log is say's.
 */
#ifndef FR_TELL_H
#define FR_TELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watch/source.h"

struct fr_changes;
struct fr_plan;
struct fr_reload_times;
struct fr_status;
struct fr_verdict;

/* Opens what --fastreload-events names (init, once the handover is taken). Ends the process with
 * one line where that cannot be; after a reload it goes on without. */
void fr_tell_open(void);

/* The master's loop begins; plan: what a change does. */
void fr_tell_start(const struct fr_plan *plan);

/* Raw events: of a counted file; of one that does not count; and events that were lost, until
 * everything has been compared. */
void fr_tell_hint(const char *path, enum fr_hint hint);
void fr_tell_skipped(const char *path, const struct fr_verdict *verdict);
void fr_tell_lost(void);
void fr_tell_compared(void);

/* No event has told of a change of this file; it was found by looking. */
void fr_tell_missed(const char *path);

/* These files have changed, and that is done about it. No changes: somebody has asked for it. */
void fr_tell_decision(const struct fr_changes *changes, const struct fr_plan *plan,
		      const char *what);

/* Nothing is done: nothing has changed after all, or the application writes these files itself. */
void fr_tell_unchanged(const struct fr_changes *changes);
void fr_tell_loop(const struct fr_changes *changes);

/* So many files are held back, because of this; said once, until something is decided. */
void fr_tell_held(const char *why, size_t files);

/* What became of it. has_app: the application did load. */
void fr_tell_outcome(const struct fr_reload_times *times, bool has_app);
void fr_tell_failure(const char *why);

/* Somebody has paused, or resumed. */
void fr_tell_pause(bool is_paused);

/* Fills in how things stand. is_exact: counts what is watched now, however many there are. */
void fr_tell_status(struct fr_status *ret_status, bool is_exact);

/* Writes the journal to the log: all of it, or with only_new what is not there yet. */
void fr_tell_journal(bool only_new);

/* At the end of a turn. */
void fr_tell_turn(void);

/* In a forked child: closes all. Async-signal-safe. */
void fr_tell_close_in_child(void);

/* Just before an exec. */
void fr_tell_leave(void);

#endif
