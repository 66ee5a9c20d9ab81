/*
 * mules: all mules end and are started again, as with uWSGI's touch-mules-reload. One with a script
 * of its own runs the new one.
 *
 * uWSGI's uwsgi_reload_mules (core/master.c, 2.0.21 to 2.0.28) reads one mule too many.
 */
#include <uwsgi.h>

#include "reload/strategy.h"

extern struct uwsgi_server uwsgi;

static int start(const struct fr_reload_request *request)
{
	(void)request;
	uwsgi_block_signal(SIGHUP);
	for (int i = 0; i < uwsgi.mules_cnt; i++) {
		if (uwsgi.mules[i].pid > 0)
			uwsgi_curse_mule(i, SIGHUP);
	}
	uwsgi_unblock_signal(SIGHUP);
	return 0;
}

const struct fr_strategy fr_strategy_mules = {
	.start = start,
	.is_restartable = fr_strategy_always,
};
