/*
 * say: the lines that a turn of the master leaves in the log, and the page that browsers get while
 * the new code does not load.
 *
 * It tells what the others know, and changes nothing of it. How paths, tracebacks and pages are
 * written is report's business.
 */
#ifndef FR_SAY_H
#define FR_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_changes;
struct fr_command_result;
struct fr_plan;
struct fr_reaction;
struct fr_reload_times;

/* What is watched, and what a change does; when the master's loop begins. */
void fr_say_hello(const struct fr_plan *plan);

/* Once, when the contents of all files are known. was_reading: they were not in the turn before. */
void fr_say_baseline(bool was_reading);

/* Writes what changed into text: "a.py changed and 11 more", or "asked for". Says nothing
 * yet. */
void fr_say_changes(const struct fr_changes *changes, char *text, size_t text_size);

/* What is done about the changes that fr_door.handover names. */
void fr_say_action(const struct fr_plan *plan);

/* A step of a plan could not be done; error is a negative errno. */
void fr_say_step_failure(const struct fr_reaction *step, int error);

/* The file of --fastreload-config has changed, and is wrong. */
void fr_say_bad_config(const char *error);

/* How a command ended, and what it printed. */
void fr_say_command(const struct fr_reaction *command, const struct fr_command_result *result,
		    int64_t took_ms);

/* Files were written to, and none has changed. */
void fr_say_unchanged(const struct fr_changes *changes);

/* So many changes are held back, because the lock file is there; and that it counts no more. */
void fr_say_hold(const char *file, size_t changes_len);
void fr_say_stale_lock(const char *file);

/* These files are the application's own doing, and are held back. */
void fr_say_loop(const struct fr_changes *changes);

/* Is it in a watched folder? For fr_traceback_find. */
bool fr_say_is_own_file(void *ctx, const char *file, size_t file_len);

/* What has become of a reload. */
void fr_say_outcome(const struct fr_reload_times *times);
void fr_say_failure(void);

#endif
