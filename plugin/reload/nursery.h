/*
 * nursery: loads the application once for a whole generation, and never twice what has not changed.
 *
 * A loader is forked off the master, loads the application, forks the workers, and ends; they
 * become the master's own children then, because the master is their subreaper, prctl(2). While it
 * loads, it is frozen just before the module that was edited is imported: a copy of it waits, with
 * everything up to there in its memory. The next time that file changes, a copy of the copy goes on
 * from there, if every file that it has read until then still looks the same (see watch/uses). What
 * is frozen is never more than a short cut: with none that is current, the application is loaded
 * from the beginning.
 */
#ifndef FR_NURSERY_H
#define FR_NURSERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_tree;
struct fr_uses_hooks;

struct fr_nursery_limits {
	int before_edited;   /* how many processes may be frozen before a module that was edited */
	bool on_the_way;     /* and may any be at other places? */
	int64_t memory_kib;  /* that they have of their own, all together */
	const char *preload; /* modules to import before the application, a line each; NULL: none.
				Borrowed for ever */
};

/* What is to be loaded. All borrowed for the call. */
struct fr_nursery_order {
	const int *wids; /* the slots of the workers; the first one's output pipe is the loader's */
	int wids_len;
	uint32_t apps; /* with fewer applications it has failed */
	const char
		*wanted; /* the Python source that was edited, absolute; NULL: none in particular */
	const char *const *changed; /* all files that changed; NULL: anything may have */
	size_t changed_len;
};

enum fr_nursery_state {
	FR_NURSERY_IDLE,
	FR_NURSERY_LOADING,
	FR_NURSERY_BORN,   /* once: all workers have been forked, and are known by their slots */
	FR_NURSERY_NO_APP, /* once: the application did not load */
	FR_NURSERY_FAILED, /* once: the loader has ended before */
	FR_NURSERY_UNSUITABLE, /* once: this application cannot be loaded in one process for all;
				  see fr_nursery_reason */
};

/* Why the workers of this instance cannot be forked from a loader: static, or NULL. */
const char *fr_nursery_refusal(void);

/*
 * wid: a worker slot that is for the loader alone. must_be_clean: the user has asked for lazy-apps,
 * so what an application starts or opens while it is loaded must not be shared by its workers.
 * hooks, ctx and the tree of what is watched are borrowed for ever.
 */
void fr_nursery_open(int wid, const struct fr_nursery_limits *limits, bool must_be_clean,
		     const struct fr_uses_hooks *hooks, void *ctx, struct fr_tree *tree);

/* In the master, when its loop begins. */
void fr_nursery_enter_loop(void);

/* Starts a loader. 0 or a negative errno. One at a time: stop the one before first. */
int fr_nursery_start(const struct fr_nursery_order *order);

/* Once in every turn. *ret_status: how a loader that has failed ended, as of waitpid(2), or -1.
 * Never blocks. */
enum fr_nursery_state fr_nursery_step(int *ret_status);

/* Ends the loader, if there is one. */
void fr_nursery_stop(void);

/* The same where it has had its time: if nobody has taken the order up yet, whoever is frozen and
 * was to do so ends, too. */
void fr_nursery_give_up(void);

/* Is the last loader still there, and may it bring forth workers? */
bool fr_nursery_is_busy(void);

/* For FR_NURSERY_UNSUITABLE, and otherwise why nothing was frozen in the last load: the end of a
 * sentence, or "". */
const char *fr_nursery_reason(void);

/* From where the last load went on: how many files had been read by then; 0: it began at the
 * beginning. */
size_t fr_nursery_resumed_at(void);

/* Was that in the middle of the module that was edited? */
bool fr_nursery_resumed_inside(void);

/* What took longest to import in the last load, of what is not watched and came behind the edited
 * module: its name, and milliseconds. NULL: nothing took long. Valid until the next load. */
const char *fr_nursery_heaviest(int *ret_ms);

/* How many are frozen now. */
int fr_nursery_frozen(void);

/* What has just been loaded serves from now on: if it can be brought forth again, that is kept. */
void fr_nursery_keep_good(void);

/* Can it? */
bool fr_nursery_has_good(void);

/* It is never needed again, because the instance ends. */
void fr_nursery_forget_good(void);

/* Brings forth one more worker of it, in this slot, which fr_board_clear has been called for. Says
 * no more of it: the worker shows on the board. False: that cannot be. */
bool fr_nursery_respawn(int wid);

/* How much memory, in KiB, they had of their own when they last looked. */
int64_t fr_nursery_memory(void);

/* Ends all that is frozen: something has changed that nobody can have noted. */
void fr_nursery_forget(void);

/* In any forked child: closes what is the master's. Async-signal-safe. */
void fr_nursery_close_in_child(void);

#endif
