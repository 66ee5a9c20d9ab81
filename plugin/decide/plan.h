/*
 * plan: from what has changed to what is done about it, and the words that explain it.
 *
 * Knows no uWSGI (what matters of the instance comes in as facts), no disk and no clock.
 */
#ifndef FR_PLAN_H
#define FR_PLAN_H

#include <stdbool.h>
#include <stddef.h>

struct fr_reactions;

enum fr_action {
	FR_ACTION_AUTO,    /* whatever suits the instance; never the outcome of a plan */
	FR_ACTION_SWAP,    /* new workers beside the old ones, that take over when they are ready */
	FR_ACTION_RELOAD,  /* uWSGI's graceful reload of the whole instance: the binary is executed
			      again */
	FR_ACTION_WORKERS, /* all workers at once, in place */
	FR_ACTION_CHAIN,   /* one worker after the other, in place */
	/* What follows brings no new code into service. */
	FR_ACTION_TOUCH,    /* somebody else's file is touched */
	FR_ACTION_SIGNAL,   /* a uWSGI signal, for which the application has a handler */
	FR_ACTION_MULES,    /* all mules are started again */
	FR_ACTION_SPOOLERS, /* all spoolers are started again */
	FR_ACTION_BROWSER,  /* open pages follow */
	FR_ACTION_EXEC,     /* a command, and only if it succeeds, what a change does otherwise */
	FR_ACTION_LOG,      /* a line in the log, and that is all */
	FR_ACTION_IGNORE,   /* the file does not count; never the outcome of a plan */
	FR_ACTIONS,
};

/* What --fastreload-strategy pins: how new code comes into service. */
enum fr_pin {
	FR_PIN_AUTO,       /* the quickest that is safe */
	FR_PIN_FULL,       /* FR_ACTION_RELOAD */
	FR_PIN_WORKERS,    /* FR_ACTION_WORKERS */
	FR_PIN_SWAP,       /* FR_ACTION_SWAP, in which each worker loads the application itself */
	FR_PIN_WARM,       /* one loads for all, and goes on from what was frozen on the way */
	FR_PIN_CHECKPOINT, /* or from just before the module that was edited */
	FR_PINS,
};

/* An action with what it needs to know. */
struct fr_reaction {
	enum fr_action action;
	const char *argument; /* the file, the number, the command; NULL: it needs none */
};

/* What the decision rests on; all borrowed. */
struct fr_plan_facts {
	struct fr_reaction wanted;                            /* --fastreload-action */
	const struct fr_reactions *reactions;                 /* --fastreload-on; NULL: none */
	const char *(*relative)(void *ctx, const char *path); /* to the watched folder */
	void *ctx;
	bool has_lazy_apps;           /* each worker loads the application itself */
	bool has_browser;             /* open pages follow what is loaded by them */
	bool is_workers_safe;         /* with lazy apps: nothing is registered again by each load */
	const char *no_swap;          /* why FR_ACTION_SWAP is not safe here; NULL: it is */
	const char *const *own_files; /* absolute paths of the instance's own configuration */
	size_t own_files_len;
};

/* One for each rule, one for --fastreload-action, and one for open pages. */
#define FR_PLAN_MAX_STEPS 66

/*
 * What is done, in this order: all commands, one after the other, and nothing else if one of them
 * fails; what is done besides; then the one action that brings new code into service, which covers
 * the weaker ones that were asked for as well (reload, then swap, workers, chain).
 */
struct fr_plan {
	struct fr_reaction commands[FR_PLAN_MAX_STEPS];
	size_t commands_len;
	struct fr_reaction besides[FR_PLAN_MAX_STEPS]; /* TOUCH to BROWSER */
	size_t besides_len;
	enum fr_action action; /* SWAP to CHAIN; FR_ACTION_LOG: there is no new code to load */
	const char *reason;    /* of the action; static, or the facts' no_swap */
};

/* What is done when the files at paths (absolute, borrowed) have changed? Without any: what does a
 * change do? The arguments in the plan are those of the facts. */
void fr_plan_make(const struct fr_plan_facts *facts, const char *const *paths, size_t paths_len,
		  struct fr_plan *ret_plan);

/* "exec:make, signal:17, swap": all that is done. Returns text. */
char *fr_plan_describe(const struct fr_plan *plan, char *text, size_t text_size);

/* The name of a strategy as it is written in --fastreload-strategy; static. */
const char *fr_pin_name(enum fr_pin pin);

/* The name of an action as it is written in --fastreload-action; static. */
const char *fr_action_name(enum fr_action action);

#endif
