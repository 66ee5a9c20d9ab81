/*
 * plan: from what has changed to what is done about it, and the words that explain it.
 *
 * Knows no uWSGI (what matters of the instance comes in as facts), no disk and no clock.
 */
#ifndef FR_PLAN_H
#define FR_PLAN_H

#include <stdbool.h>
#include <stddef.h>

enum fr_action {
	FR_ACTION_AUTO,    /* whatever suits the instance; never the outcome of a plan */
	FR_ACTION_SWAP,    /* new workers beside the old ones, that take over when they are ready */
	FR_ACTION_RELOAD,  /* uWSGI's graceful reload of the whole instance: the binary is executed
			      again */
	FR_ACTION_WORKERS, /* all workers at once, in place */
	FR_ACTION_CHAIN,   /* one worker after the other, in place */
	FR_ACTION_TOUCH,   /* somebody else's file is touched, and that is all */
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

/* What the decision rests on; all borrowed. */
struct fr_plan_facts {
	enum fr_action wanted;        /* --fastreload-action */
	bool has_lazy_apps;           /* each worker loads the application itself */
	bool is_workers_safe;         /* with lazy apps: nothing is registered again by each load */
	const char *no_swap;          /* why FR_ACTION_SWAP is not safe here; NULL: it is */
	const char *const *own_files; /* absolute paths of the instance's own configuration */
	size_t own_files_len;
};

struct fr_plan {
	enum fr_action action;
	const char *reason; /* static, or the facts' no_swap */
};

/* What is done when the files at paths (absolute, borrowed) have changed? */
struct fr_plan fr_plan_make(const struct fr_plan_facts *facts, const char *const *paths,
			    size_t paths_len);

/* The name of a strategy as it is written in --fastreload-strategy; static. */
const char *fr_pin_name(enum fr_pin pin);

/* The name of an action as it is written in --fastreload-action; static. */
const char *fr_action_name(enum fr_action action);

#endif
