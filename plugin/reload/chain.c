/*
 * chain: uWSGI's chain reload: each worker leaves when the one before it accepts again, so that somebody always serves.
 */
#include <uwsgi.h>

#include "reload/slots.h"
#include "reload/strategy.h"

extern struct uwsgi_server uwsgi;

static int start(const struct fr_reload_request *request)
{
	(void)request;
	uwsgi_chain_reload();
	return 0;
}

static enum fr_progress progress(void)
{
	return uwsgi.status.chain_reloading == 0 && fr_slots_are_replaced() ? FR_PROGRESS_DONE :
									       FR_PROGRESS_RUNNING;
}

/* uWSGI forgets a chain reload that is asked for while one is running (core/master.c). */
const struct fr_strategy fr_strategy_chain = {
	.start = start,
	.progress = progress,
};
