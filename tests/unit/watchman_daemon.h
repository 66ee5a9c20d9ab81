/*
 * watchman_daemon: a real Watchman for tests: its own socket and state below a temporary folder,
 * never the user's.
 */
#ifndef FR_TEST_WATCHMAN_DAEMON_H
#define FR_TEST_WATCHMAN_DAEMON_H

#include <stdbool.h>

struct fr_source_ops;
struct fr_world;

/* fr_watchman_ops, but files that fr_watchman_daemon_catch_up makes are seen by it alone. */
const struct fr_source_ops *fr_watchman_daemon_ops(void);

/* Is the command there? Says aloud, once, that tests are skipped where it is not. */
bool fr_watchman_daemon_is_there(void);

/* Starts the daemon, if none runs, and names it in WATCHMAN_SOCK; from a fixture that
 * is not checked, so that all tests share it. It ends with this process. stop() ends it at once. */
void fr_watchman_daemon_start(void);
void fr_watchman_daemon_stop(void);

/* One for this test alone, which may be stopped and started. */
void fr_watchman_daemon_start_own(void);
void fr_watchman_daemon_end_own(void);

/* Steps until the daemon has told of all that has happened by now. */
void fr_watchman_daemon_catch_up(struct fr_world *world);

/* Runs `watchman WORDS…` against it; what it prints goes nowhere. Fails the test if it fails. */
void fr_watchman_daemon_say(const char *word, const char *argument);

#endif
