/*
 * workers: all workers leave and are respawned in place; the master and everything else stay. New
 * code is loaded only with lazy-apps.
 */
#include <uwsgi.h>

#include "reload/slots.h"
#include "reload/strategy.h"

extern struct uwsgi_server uwsgi;

static int start(const struct fr_reload_request *request)
{
	(void)request;
	fr_slots_kill_loading();
	uwsgi_block_signal(SIGHUP);
	for (int i = 1; i <= uwsgi.numproc; i++) {
		if (uwsgi.workers[i].pid > 0 && uwsgi.workers[i].accepting)
			uwsgi_curse(i, SIGHUP);
	}
	uwsgi_unblock_signal(SIGHUP);
	return 0;
}

static enum fr_progress progress(void)
{
	return fr_slots_are_replaced() ? FR_PROGRESS_DONE : FR_PROGRESS_RUNNING;
}

const struct fr_strategy fr_strategy_workers = {
	.start = start,
	.progress = progress,
	.is_restartable = fr_strategy_always,
};
