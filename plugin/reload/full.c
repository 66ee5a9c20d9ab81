/*
 * full: uWSGI's own graceful reload of the whole instance. Always right: the binary is executed again, and reads its configuration anew.
 *
 * What happens after the last worker has gone happens in another image of this process: see handover.
 */
#include <uwsgi.h>

#include "reload/slots.h"
#include "reload/strategy.h"

extern struct uwsgi_server uwsgi;

static int start(const struct fr_reload_request *request)
{
	(void)request;
	if (uwsgi_instance_is_reloading || uwsgi_instance_is_dying)
		return 0;
	fr_slots_kill_loading();
	uwsgi_block_signal(SIGHUP); /* as core/master.c does around touch-reload */
	grace_them_all(0);
	uwsgi_unblock_signal(SIGHUP);
	return 0;
}

/* With --lazy (not lazy-apps) grace_them_all only restarts the workers, and this process goes on. */
static enum fr_progress progress(void)
{
	return !uwsgi_instance_is_reloading && fr_slots_are_replaced() ? FR_PROGRESS_DONE :
									 FR_PROGRESS_RUNNING;
}

const struct fr_strategy fr_strategy_full = {
	.start = start,
	.progress = progress,
	.is_restartable = fr_strategy_always,
};
