/*
 * loader: a process that loads the application and brings forth a generation's workers; and its
 * frozen copies.
 *
 * It is forked off the master by the nursery, and never returns there. What both say to each other
 * is defined here.
 */
#ifndef FR_LOADER_H
#define FR_LOADER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fr_tree;
struct fr_uses_hooks;

/* As these processes are called in ps(1), beside the workers, which keep uWSGI's name. */
#define FR_LOADER_NAME          "fastreload-load"
#define FR_LOADER_SNAPSHOT_NAME "fastreload-snap"
#define FR_LOADER_STANDBY_NAME  "fastreload-wait"
#define FR_LOADER_GOOD_NAME     "fastreload-good"

#define FR_LOADER_MAX_WIDS 64
#define FR_LOADER_MAX_FDS  64
#define FR_LOADER_TEXT     (32 * 1024)

enum fr_order_kind {
	FR_ORDER_LOAD,       /* go on, and load */
	FR_ORDER_RESPAWN,    /* bring forth the workers, with what is loaded, however the files look
				now */
	FR_ORDER_STAND_BY,   /* the next load will probably go on here: be ready for it */
	FR_ORDER_STAND_DOWN, /* it will probably not: cost nothing */
};

/* What a loader is to do. With FR_ORDER_LOAD the descriptors that it works with come beside it, in
 * the order of enum fr_loader_fd, and then uWSGI's sockets; of the others only the kind is sent. */
struct fr_order {
	uint32_t kind; /* enum fr_order_kind */
	uint32_t wids_len;
	int32_t wids[FR_LOADER_MAX_WIDS];
	uint32_t tickets[FR_LOADER_MAX_WIDS]; /* the slots' when it was given: with others it has
						 come too late */
	uint32_t apps;                        /* with fewer applications it has failed */
	uint32_t is_slow;          /* executing the source that was edited took long before */
	uint32_t paths_len;        /* paths behind each other in text, each with its NUL */
	char text[FR_LOADER_TEXT]; /* first the source to freeze before, or "", then all that
				      changed; only what is used is sent */
};

enum fr_loader_fd {
	FR_FD_TALK,   /* to say what becomes of the load; closed when the loader ends */
	FR_FD_OUTPUT, /* for what the application prints */
	FR_FDS,
};

enum fr_report_kind {
	/* On FR_FD_TALK. */
	FR_REPORT_LOADER,     /* a frozen process goes on, as process `pid` */
	FR_REPORT_BORN,       /* all workers are there */
	FR_REPORT_NO_APP,     /* the application did not load */
	FR_REPORT_UNSUITABLE, /* its workers cannot be forked from one process; see reason */
	FR_REPORT_EXIT, /* the application has called exit() while it was loaded, with the code in
			   `uses` */
	FR_REPORT_NOT_FROZEN, /* nothing could be frozen; see reason. The load goes on */
	FR_REPORT_READ,       /* with a file in memory: what the load has read, see reload/census */
	FR_REPORT_NOT_PRELOADED, /* it ends, because a module could not be; see reason */
	FR_REPORT_SLOW,          /* executing the source that was edited takes long */
	FR_REPORT_HEAVY, /* `uses` milliseconds went to a module that might be preloaded; see reason
			  */
	/* With the socket that leads to it: process `pid` waits, and has read `uses` files so far.
	 */
	FR_REPORT_FROZEN,    /* just before the module that was edited */
	FR_REPORT_INSIDE,    /* in it */
	FR_REPORT_MILESTONE, /* somewhere on the way */
	FR_REPORT_GOOD,      /* when all was loaded */
	/* On that socket. */
	FR_REPORT_STALE,   /* it ends, and so does a load that goes on from it, because the file in
			      reason is not as it was */
	FR_REPORT_MEMORY,  /* it has `uses` KiB of memory of its own */
	FR_REPORT_CURRENT, /* the load that goes on from it is as good as one from the beginning */
};

struct fr_report {
	uint32_t kind;
	pid_t pid;
	uint32_t uses;
	char reason[160];
};

/* All of it borrowed for ever. */
struct fr_loader_setup {
	int wid;                /* the slot to load in */
	bool may_freeze_edited; /* before the module that was edited */
	bool may_freeze_on_way;
	bool must_be_clean; /* what an application starts or opens while it is loaded must not be
			       shared by its workers */
	const struct fr_uses_hooks *uses_hooks;
	void *uses_ctx;
	struct fr_tree *tree; /* what is watched */
	const char *preload;  /* see fr_nursery_limits */
};

/* In the process that has just been forked: takes the order and the descriptor to talk on, and
 * loads from the beginning. */
__attribute__((noreturn)) void fr_loader_run(const struct fr_loader_setup *setup,
					     const struct fr_order *order, int talk);

/* In a process that a loader has brought forth, a worker: has the load read the file at path
 * (absolute)? False elsewhere. */
bool fr_loader_has_read(const char *path);

#endif
