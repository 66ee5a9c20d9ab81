/*
 * command: runs a command of the user's in a child, and tells how it ended. One at a time.
 *
 * Between the master and the command stands a keeper, a process that waits for the command, takes
 * what it prints, and ends it, with all that it has started, when its time is over. So whatever the
 * command does, the master only reads one bounded answer from a pipe.
 */
#ifndef FR_COMMAND_H
#define FR_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of what a command prints, so many bytes from the end are kept. */
#define FR_COMMAND_OUTPUT 16384

struct fr_command_result {
	int status;      /* as of waitpid(2) */
	bool is_timeout; /* it was ended, because its time was over */
	bool is_lost;    /* the keeper ended without an answer; then the status says nothing */
	size_t output_len;
	char output[FR_COMMAND_OUTPUT + 1]; /* standard output and error; NUL-terminated */
};

/*
 * Starts argv, looked up in PATH, with the environment envp (both end with NULL; borrowed for the
 * call). 0 or a negative errno.
 */
int fr_command_start(char *const *argv, char *const *envp, int64_t timeout_ms);

bool fr_command_is_running(void);

/* The process that is to be followed, since its end is news; 0: none. */
int fr_command_pid(void);

/* Once in every turn of the master. Returns whether the command has ended; then *ret_result (static
 * storage, valid until the next start) says how. Never blocks. */
bool fr_command_step(const struct fr_command_result **ret_result);

/* Ends the command with all that it has started, and forgets it. */
void fr_command_stop(void);

/* In a forked child: closes what is the master's. Async-signal-safe. */
void fr_command_close_in_child(void);

#endif
