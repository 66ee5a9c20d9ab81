/*
 * act: carries out all of a plan but the load of new code: first its commands, one after the other,
 * each in a child, then what is done besides.
 *
 * What is decided, and what is loaded when, is cycle's business.
 */
#ifndef FR_ACT_H
#define FR_ACT_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/plan.h"

struct fr_changes;

enum fr_act_state {
	FR_ACT_IDLE,
	FR_ACT_WAITING, /* for a command; its end wakes the master */
	FR_ACT_DONE,    /* the plan's action may follow */
	FR_ACT_FAILED,  /* a command has failed: nothing follows */
};

/* Once, before the application is loaded: what its processes have to know. */
void fr_act_open(void);

/* Begins with a plan (copied) for these changes (borrowed until it is done or failed). */
void fr_act_begin(const struct fr_plan *plan, const struct fr_changes *changes, int64_t event_ms);

/* Goes on. DONE and FAILED are said once. Never blocks. */
enum fr_act_state fr_act_step(void);

/* Is there a plan that has been begun, and is not yet done? */
bool fr_act_is_open(void);

/* Ends what is running, and forgets the plan. */
void fr_act_stop(void);

#endif
