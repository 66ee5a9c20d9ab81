/*
 * world: a watched folder on a real disk, with the built-in rules, and what a backend makes of what
 * happens there.
 *
 * Everything that needs a source gets it as a parameter, so that one test serves every backend.
 */
#ifndef FR_TEST_WORLD_H
#define FR_TEST_WORLD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "watch/watcher.h"

struct fr_batch;
struct fr_ignorefiles;
struct fr_rules;

struct fr_world_change {
	char *path;
	enum fr_change_kind kind;
};

/* The struct is the caller's; what it points to is the world's. */
struct fr_world {
	const struct fr_source_ops *ops;
	/* Steps until a source that is told by somebody else has heard all; NULL: step() knows. */
	void (*catch_up)(struct fr_world *world);
	bool is_polled;         /* ops is fr_poll_ops, in a hurry */
	char *top;              /* a temporary folder with all that follows in it */
	char root[PATH_MAX];    /* top/above/root: the watched folder */
	char outside[PATH_MAX]; /* top/outside: a folder that is not watched */
	struct fr_rules *rules;
	struct fr_ignorefiles *files; /* git's, too */
	struct fr_watcher *watcher;   /* its roots can be added until fr_world_arm */
	struct fr_batch *batch;
	struct fr_world_change *changes; /* of the last fr_world_look */
	size_t changes_len;
	size_t notes;      /* how many hints there were about counted files */
	unsigned losses;   /* how often events were lost */
	unsigned troubles; /* folders that could not be watched or listed */
	int last_trouble;
	int failure;               /* of a source: the last one; 0: it has come back */
	char said[PATH_MAX + 256]; /* the last thing that a source had to say */
};

/* Can that backend watch the tests' folders, with the privileges at hand? Says aloud why not. */
bool fr_world_has(const struct fr_source_ops *ops);

void fr_world_init(struct fr_world *world, const struct fr_source_ops *ops);

/* Frees all and removes what is on the disk. Fine for one that is cleared already. */
void fr_world_clear(struct fr_world *world);

/* Watches root (and what was added). with_baseline: all contents are known afterwards. Returns what
 * fr_watcher_arm did. */
int fr_world_arm(struct fr_world *world, bool with_baseline);

/* Steps until nothing is waiting. */
void fr_world_settle(struct fr_world *world);

/* Settles and verifies what was noted, in order, until nothing is noted any more: what has changed
 * since the last look is in changes. */
void fr_world_look(struct fr_world *world);

/* How path (absolute) had changed when we looked last. */
enum fr_change_kind fr_world_change_of(const struct fr_world *world, const char *path);

#endif
