/*
 * frozen: a copy of a loader that waits, and the copies of it that go on.
 *
 * The keeper is the process that was frozen: it never changes any more, and makes the copies. One
 * of them, the standby, is made ahead: it listens in the keeper's place, has its own copy of the
 * memory that it will write to (see pages), goes on the moment an order comes, and ends if for a
 * minute none does. While it loads,
 * the keeper compares the files that had been read until the freeze with the disk; nothing that the
 * copy has loaded is used before the keeper has confirmed them.
 */
#ifndef FR_FROZEN_H
#define FR_FROZEN_H

#include <stdbool.h>
#include <stddef.h>

#include "reload/loader.h"

struct fr_opens;
struct fr_pages;
struct fr_uses;

/* A load: of the loader, and of all copies of it. */
struct fr_load {
	const struct fr_loader_setup *setup;
	struct fr_order order;
	struct fr_uses *uses;   /* what it has read */
	struct fr_opens *opens; /* what of that Python may not know; NULL: not to be known */
	int talk;               /* FR_FD_TALK */
	int ice;                /* where a frozen process hears of orders; -1: this is none */
};

/* Tells the master. Returns whether it still listens. */
bool fr_frozen_tell(const struct fr_load *load, int fd, enum fr_report_kind kind,
		    const char *reason);

/*
 * Freezes a copy of this process. Returns false in this one, at once, whether that has worked or
 * not; and true in each copy of the copy that goes on, with its order and descriptors in *load.
 * in_python: this is inside of Python, which wants to know about forks. kind: as what the master is
 * told of it.
 */
bool fr_frozen_split(struct fr_load *load, bool in_python, enum fr_report_kind kind);

/* Is a file that is not among the uses surely one that was not read? path: absolute. */
bool fr_frozen_knows_readers(const struct fr_load *load, const char *path);

/* For the workers that a copy brings forth: the pages that the first requests need; NULL: not known
 * of a process that began at the beginning. Valid for ever. */
struct fr_pages *fr_frozen_worker_pages(void);

/* In a copy that has loaded: what it has imported, see fr_python_end_load. The next copy prepares
 * for it. */
void fr_frozen_tell_imports(const char *imports, size_t len);

/* Is it a descriptor of a copy's, for its keeper? */
bool fr_frozen_owns(int fd);

/* How many mappings that are shared with its keeper a copy has. */
int fr_frozen_mappings(void);

/*
 * In a copy that has loaded: are the files that it has not read itself as they were? Waits for the
 * keeper's answer. False: this load is worth nothing; the master has been told. Always true in a
 * process that began at the beginning. The second call answers at once.
 */
bool fr_frozen_is_confirmed(struct fr_load *load);

#endif
