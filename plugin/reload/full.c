/*
 * full: uWSGI's own graceful reload of the whole instance. Always right: the binary is executed
 * again, and reads its configuration anew.
 *
 * What happens after the last worker has gone happens in another image of this process: see
 * handover.
 */
#include <uwsgi.h>

#include <dirent.h>

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

/* With --lazy (not lazy-apps) grace_them_all only restarts the workers, and this process goes on.
 */
static enum fr_progress progress(void)
{
	return !uwsgi_instance_is_reloading && fr_slots_are_replaced() ? FR_PROGRESS_DONE
								       : FR_PROGRESS_RUNNING;
}

/*
 * uwsgi_reload closes one descriptor after the other up to the limit of open files, which may be
 * 2^30 in a container and take minutes (core/master_utils.c, unbit/uwsgi#2299). The highest one
 * that is open is enough; the next image reads the limit anew.
 */
void fr_full_shorten_closing(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int highest = -1;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (atoi(entry->d_name) > highest)
			highest = atoi(entry->d_name);
	}
	closedir(dir);
	if (highest > 0 && (unsigned long)highest + 1 < (unsigned long)uwsgi.max_fd)
		uwsgi.max_fd = (unsigned long)highest + 1;
}

const struct fr_strategy fr_strategy_full = {
	.start = start,
	.progress = progress,
	.is_restartable = fr_strategy_always,
};
