/*
 * census: which files a load has read goes from the loader to the master, once, when it is over.
 *
 * It knows no rule: what is worth telling, and what follows, is for the door to say.
 */
#ifndef FR_CENSUS_H
#define FR_CENSUS_H

#include <stdbool.h>

struct fr_stamp;
struct fr_uses;

struct fr_census_hooks {
	/* Asked in the loader: is the file at path (absolute, in a watched folder) one of interest?
	 * *ret_is_ignored: how it looked is, too. */
	bool (*is_wanted)(void *ctx, const char *path, bool *ret_is_ignored);
	/* In the loader, and in the workers that it has brought forth: Python opens the file at
	 * path (as it was given) for writing, or puts another one in its place. */
	void (*writes)(void *ctx, const char *path);
};

/* In the master, before anything is loaded. All of it is borrowed for ever. Without this, nothing
 * of the rest does anything. */
void fr_census_open(const struct fr_census_hooks *hooks, void *ctx);

/* In the loader, before it loads: from now on, what is written is told to the hook. */
void fr_census_begin(void);

/* In the loader, when it has loaded, or failed to: tells the master, whose end of the socket talk
 * (FR_FD_TALK) is. Nobody waits for it. */
void fr_census_tell(const struct fr_uses *uses, int talk);

/* In the master: takes what came with FR_REPORT_READ (fd is taken; -1: nothing). Only the latest is
 * kept until it is asked for. */
void fr_census_receive(int fd);

/* Calls visit for each file that was told of since the last call: path is absolute, borrowed. stamp
 * is how the file looked when it was read, or NULL. Whatever is malformed ends it. Never blocks. */
void fr_census_take(void (*visit)(void *ctx, const char *path, const struct fr_stamp *stamp),
		    void *ctx);

/* In any forked child: closes what is the master's. Async-signal-safe. */
void fr_census_close_in_child(void);

#endif
