/*
 * chain: uWSGI's chain reload: each worker leaves when the one before it accepts again, so that
 * somebody always serves.
 */
#include <uwsgi.h>

#include "reload/slots.h"
#include "reload/strategy.h"

extern struct uwsgi_server uwsgi;

static int start(const struct fr_reload_request *request)
{
	(void)request;
	fr_slots_kill_loading(); /* the chain passes over them, and they may be loading what has
				    just been changed */
	uwsgi_chain_reload();
	return 0;
}

/* A worker that did not accept when its turn came was passed over: then the chain goes round once
 * more. */
static enum fr_progress progress(void)
{
	if (uwsgi.status.chain_reloading != 0 || !fr_slots_are_serving())
		return FR_PROGRESS_RUNNING;
	if (fr_slots_are_vacated())
		return FR_PROGRESS_DONE;
	uwsgi_chain_reload();
	return FR_PROGRESS_RUNNING;
}

/* uWSGI forgets a chain reload that is asked for while one is running (core/master.c). */
const struct fr_strategy fr_strategy_chain = {
	.start = start,
	.progress = progress,
};
