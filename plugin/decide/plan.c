/*
 * plan: from what has changed to what is done about it. See plan.h.
 */
#include <string.h>

#include "decide/plan.h"

static const char *const names[FR_ACTIONS] = {
	[FR_ACTION_AUTO] = "auto",       [FR_ACTION_SWAP] = "swap",   [FR_ACTION_RELOAD] = "reload",
	[FR_ACTION_WORKERS] = "workers", [FR_ACTION_CHAIN] = "chain", [FR_ACTION_TOUCH] = "touch",
};

static const char *const pin_names[FR_PINS] = {
	[FR_PIN_AUTO] = "auto", [FR_PIN_FULL] = "full", [FR_PIN_WORKERS] = "workers",
	[FR_PIN_SWAP] = "swap", [FR_PIN_WARM] = "warm", [FR_PIN_CHECKPOINT] = "checkpoint",
};

const char *fr_pin_name(enum fr_pin pin)
{
	return pin_names[pin];
}

const char *fr_action_name(enum fr_action action)
{
	return names[action];
}

static bool has_own_file(const struct fr_plan_facts *facts, const char *const *paths,
			 size_t paths_len)
{
	for (size_t i = 0; i < paths_len; i++) {
		for (size_t own = 0; own < facts->own_files_len; own++) {
			if (strcmp(paths[i], facts->own_files[own]) == 0)
				return true;
		}
	}
	return false;
}

struct fr_plan fr_plan_make(const struct fr_plan_facts *facts, const char *const *paths,
			    size_t paths_len)
{
	if (facts->wanted == FR_ACTION_TOUCH)
		return (struct fr_plan){FR_ACTION_TOUCH, "as --fastreload-action says"};
	if (has_own_file(facts, paths, paths_len))
		return (struct fr_plan){FR_ACTION_RELOAD,
					"the instance's own configuration changed"};
	if (facts->wanted != FR_ACTION_AUTO && facts->wanted != FR_ACTION_SWAP)
		return (struct fr_plan){facts->wanted, "as --fastreload-action says"};
	if (!facts->no_swap)
		return (struct fr_plan){FR_ACTION_SWAP,
					"the old code serves until the new is ready"};
	/* What speaks against loading twice in one instance mostly speaks against workers that load
	 * again in place, too. */
	return (struct fr_plan){facts->has_lazy_apps && facts->is_workers_safe ? FR_ACTION_WORKERS
									       : FR_ACTION_RELOAD,
				facts->no_swap};
}
