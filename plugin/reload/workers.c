/*
 * workers: all workers leave and are respawned in place; the master and everything else stay. New code is loaded only with lazy-apps.
 */
#include <uwsgi.h>

#include "reload/slots.h"
#include "reload/strategy.h"

extern struct uwsgi_server uwsgi;

static int start(const char *argument)
{
	(void)argument;
	fr_slots_kill_loading();
	uwsgi_block_signal(SIGHUP);
	for (int i = 1; i <= uwsgi.numproc; i++) {
		if (uwsgi.workers[i].pid > 0 && uwsgi.workers[i].accepting)
			uwsgi_curse(i, SIGHUP);
	}
	uwsgi_unblock_signal(SIGHUP);
	return 0;
}

const struct fr_strategy fr_strategy_workers = {
	.start = start,
	.is_done = fr_slots_are_replaced,
	.is_restartable = true,
};
