/*
 * plan: from what has changed to what is done about it. See plan.h.
 */
#include <stdio.h>
#include <string.h>

#include "decide/assets.h"
#include "decide/plan.h"
#include "decide/reactions.h"

static const char *const names[FR_ACTIONS] = {
	[FR_ACTION_AUTO] = "auto",         [FR_ACTION_SWAP] = "swap",
	[FR_ACTION_RELOAD] = "reload",     [FR_ACTION_WORKERS] = "workers",
	[FR_ACTION_CHAIN] = "chain",       [FR_ACTION_TOUCH] = "touch",
	[FR_ACTION_SIGNAL] = "signal",     [FR_ACTION_MULES] = "mules",
	[FR_ACTION_SPOOLERS] = "spoolers", [FR_ACTION_BROWSER] = "browser",
	[FR_ACTION_EXEC] = "exec",         [FR_ACTION_LOG] = "log",
	[FR_ACTION_IGNORE] = "ignore",
};

static const char *const pin_names[FR_PINS] = {
	[FR_PIN_AUTO] = "auto", [FR_PIN_FULL] = "full", [FR_PIN_WORKERS] = "workers",
	[FR_PIN_SWAP] = "swap", [FR_PIN_WARM] = "warm", [FR_PIN_CHECKPOINT] = "checkpoint",
};

const char *fr_pin_name(enum fr_pin pin)
{
	return pin_names[pin];
}

/* What covers what: of two, the one with the higher rank is done. */
static const int ranks[FR_ACTIONS] = {
	[FR_ACTION_RELOAD] = 4,
	[FR_ACTION_SWAP] = 3,
	[FR_ACTION_WORKERS] = 2,
	[FR_ACTION_CHAIN] = 1,
};

static const char as_action_says[] = "as --fastreload-action says";
static const char as_on_says[] = "as --fastreload-on says";
static const char no_code[] = "open pages follow, no code has changed";

static const struct fr_reaction browser = {.action = FR_ACTION_BROWSER};

const char *fr_action_name(enum fr_action action)
{
	return names[action];
}

static bool is_own_file(const struct fr_plan_facts *facts, const char *path)
{
	for (size_t own = 0; own < facts->own_files_len; own++) {
		if (strcmp(path, facts->own_files[own]) == 0)
			return true;
	}
	return false;
}

/*
 * What is said about a file; if no rule does, what open pages need of it; else what
 * --fastreload-action says. That is so for templates, too: an application may keep what it has read
 * of one (Django from 4.1 on does, and before where DEBUG is off; Flask outside of debug mode;
 * anything that got one when it was imported), and then only new workers show what was saved.
 */
static const struct fr_reaction *react(const struct fr_plan_facts *facts, const char *path)
{
	const struct fr_reaction *reaction = NULL;
	enum fr_asset asset = facts->has_browser ? fr_asset_of(path) : FR_ASSET_NONE;

	if (facts->reactions)
		reaction = fr_reactions_find(facts->reactions, facts->relative(facts->ctx, path));
	if (reaction)
		return reaction;
	return asset == FR_ASSET_NONE || asset == FR_ASSET_TEMPLATE ? &facts->wanted : &browser;
}

static bool is_same(const struct fr_reaction *a, const struct fr_reaction *b)
{
	return a->action == b->action &&
	       (a->argument && b->argument ? strcmp(a->argument, b->argument) == 0
					   : a->argument == b->argument);
}

static void add_step(struct fr_reaction *steps, size_t *len, const struct fr_reaction *step)
{
	for (size_t i = 0; i < *len; i++) {
		if (is_same(&steps[i], step))
			return;
	}
	if (*len < FR_PLAN_MAX_STEPS)
		steps[(*len)++] = *step;
}

static void raise_to(struct fr_plan *plan, enum fr_action action, const char *reason)
{
	if (ranks[action] <= ranks[plan->action])
		return;
	plan->action = action;
	plan->reason = reason;
}

/* AUTO and SWAP are what the instance allows. */
static void add_load(struct fr_plan *plan, const struct fr_plan_facts *facts, enum fr_action action,
		     const char *reason)
{
	if (action != FR_ACTION_AUTO && action != FR_ACTION_SWAP)
		raise_to(plan, action, reason);
	else if (!facts->no_swap)
		raise_to(plan, FR_ACTION_SWAP, "the old code serves until the new is ready");
	else /* What speaks against loading twice in one instance mostly speaks against workers
	      * that load again in place, too. */
		raise_to(plan,
			 facts->has_lazy_apps && facts->is_workers_safe ? FR_ACTION_WORKERS
									: FR_ACTION_RELOAD,
			 facts->no_swap);
}

static void add_reaction(struct fr_plan *plan, const struct fr_plan_facts *facts,
			 const struct fr_reaction *reaction)
{
	const char *reason = reaction == &facts->wanted ? as_action_says
			     : reaction == &browser     ? no_code
							: as_on_says;

	if (plan->action == FR_ACTION_LOG)
		plan->reason = reason;
	switch (reaction->action) {
	case FR_ACTION_EXEC:
		add_step(plan->commands, &plan->commands_len, reaction);
		add_reaction(plan, facts, &facts->wanted);
		break;
	case FR_ACTION_TOUCH:
	case FR_ACTION_SIGNAL:
	case FR_ACTION_MULES:
	case FR_ACTION_SPOOLERS:
	case FR_ACTION_BROWSER:
		add_step(plan->besides, &plan->besides_len, reaction);
		break;
	case FR_ACTION_LOG:
		break;
	default:
		add_load(plan, facts, reaction->action, reason);
	}
}

void fr_plan_make(const struct fr_plan_facts *facts, const char *const *paths, size_t paths_len,
		  struct fr_plan *ret_plan)
{
	const struct fr_reaction *last = NULL;

	memset(ret_plan, 0, sizeof(*ret_plan));
	ret_plan->action = FR_ACTION_LOG;
	ret_plan->reason = as_action_says;
	if (paths_len == 0)
		add_reaction(ret_plan, facts, &facts->wanted);
	for (size_t i = 0; i < paths_len; i++) {
		const struct fr_reaction *reaction = react(facts, paths[i]);

		/* To touch and nothing else is to leave the instance to somebody else. */
		if (is_own_file(facts, paths[i]) && facts->wanted.action != FR_ACTION_TOUCH) {
			ret_plan->action = FR_ACTION_RELOAD;
			ret_plan->reason = "the instance's own configuration changed";
		} else if (reaction != last) /* in a storm most are of one kind */ {
			add_reaction(ret_plan, facts, reaction);
			last = reaction;
		}
	}
}

/* "exec:make", "swap" */
static size_t describe(const struct fr_reaction *step, size_t used, char *text, size_t text_size)
{
	if (used < text_size)
		used += (size_t)snprintf(text + used, text_size - used, "%s%s%s%s",
					 used > 0 ? ", " : "", names[step->action],
					 step->argument ? ":" : "",
					 step->argument ? step->argument : "");
	return used;
}

char *fr_plan_describe(const struct fr_plan *plan, char *text, size_t text_size)
{
	const struct fr_reaction load = {.action = plan->action};
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < plan->commands_len; i++)
		used = describe(&plan->commands[i], used, text, text_size);
	for (size_t i = 0; i < plan->besides_len; i++)
		used = describe(&plan->besides[i], used, text, text_size);
	if (plan->action != FR_ACTION_LOG || used == 0)
		(void)describe(&load, used, text, text_size);
	return text;
}
