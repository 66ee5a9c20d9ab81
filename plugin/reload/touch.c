/*
 * touch: a file of somebody else's is touched, created if need be: a uWSGI with touch-reload, an
 * Emperor's vassal, any watcher.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reload/strategy.h"

static int start(const struct fr_reload_request *request)
{
	int fd = open(request->argument, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		      0666);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (futimens(fd, NULL) < 0)
		error = -errno;
	close(fd);
	return error;
}

const struct fr_strategy fr_strategy_touch = {
	.start = start,
	.is_restartable = fr_strategy_always,
};
