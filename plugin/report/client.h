/*
 * client: the other end of --fastreload-control, for people: asks once, and prints the answer.
 *
 * Runs in a process of its own, and may wait; never in the master.
 */
#ifndef FR_CLIENT_H
#define FR_CLIENT_H

#include <stdio.h>

struct fr_request;

/*
 * Asks at the socket `path`, and prints the answer, or one sentence about what went wrong. Waits 10
 * seconds for it. Returns the exit status: 0, or 1 where there was no answer, or an error.
 */
int fr_client_ask(const char *path, const struct fr_request *request, FILE *out, FILE *err);

#endif
