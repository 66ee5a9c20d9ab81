/*
 * signal: a uWSGI signal goes where the application wants it (uwsgi.register_signal, @signal).
 */
#include <uwsgi.h>

#include "reload/strategy.h"

extern struct uwsgi_server uwsgi;

/* By the master, or by a worker that has loaded the application itself. */
static bool is_registered(uint8_t number)
{
	for (int wid = 0; wid <= uwsgi.numproc; wid++) {
		if (ushared->signal_table[wid * 256 + number].handler)
			return true;
	}
	return false;
}

static int start(const struct fr_reload_request *request)
{
	uint8_t number = (uint8_t)atoi(request->argument);

	if (!is_registered(number))
		return -ENOENT;
	uwsgi_route_signal(number); /* does not block, the sockets are non-blocking */
	return 0;
}

const struct fr_strategy fr_strategy_signal = {
	.start = start,
	.is_restartable = fr_strategy_always,
};
