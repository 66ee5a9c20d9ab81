/*
 * swap: a new generation of workers takes over from the old one, without a gap, and never with code
 * that does not load.
 */
#include <stddef.h>

#include "reload/generation.h"
#include "reload/strategy.h"

static enum fr_generation_state state;

static int start(const struct fr_reload_request *request)
{
	state = FR_GENERATION_LOADING;
	fr_generation_start(request);
	return 0;
}

static enum fr_progress progress(void)
{
	switch (state) {
	case FR_GENERATION_SWAPPED:
		return FR_PROGRESS_DONE;
	case FR_GENERATION_FAILED:
		return FR_PROGRESS_FAILED;
	case FR_GENERATION_IDLE:
	case FR_GENERATION_LOADING:
		break;
	}
	return FR_PROGRESS_RUNNING;
}

static void tend(int64_t now_ms, int64_t *ret_wake_ms)
{
	state = fr_generation_step(now_ms, ret_wake_ms);
}

static bool is_restartable(void)
{
	return !fr_generation_is_switching();
}

const struct fr_strategy fr_strategy_swap = {
	.start = start,
	.hold = fr_generation_hold,
	.release = fr_generation_release,
	.progress = progress,
	.tend = tend,
	.is_restartable = is_restartable,
};
