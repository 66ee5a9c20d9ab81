/*
 * eligible: is this an instance that generations can be used in? See eligible.h.
 */
#include <uwsgi.h>

#include <sys/resource.h>

#include "reload/eligible.h"
#include "reload/loop.h"
#include "reload/roster.h"
#include "reload/spare.h"

extern struct uwsgi_server uwsgi;

/* ---- before the start ---- */

static bool has_option(const char *const *names)
{
	for (int i = 0; i < uwsgi.exported_opts_cnt; i++) {
		for (const char *const *name = names; *name; name++) {
			if (strcmp(uwsgi.exported_opts[i]->key, *name) == 0)
				return true;
		}
	}
	return false;
}

bool fr_eligible_master_has_modules(void)
{
	static const char *const shared[] = {"shared-import", "shared-pyimport", "shared-py-import",
					     "shared-python-import", NULL};

	return has_option(shared);
}

/* What the master would otherwise have loaded, for processes that are forked from it and do not
 * load the application themselves. */
static const char *refusal_without_lazy_apps(void)
{
	if (uwsgi.mules_cnt > 0 || uwsgi.farms_cnt > 0)
		return "mules run the application that the master has loaded";
	if (uwsgi.spoolers)
		return "spoolers run the application that the master has loaded";
	if (uwsgi.hook_pre_app || uwsgi.hook_post_app || uwsgi.exec_pre_app ||
	    uwsgi.exec_post_app || uwsgi.call_pre_app || uwsgi.call_post_app)
		return "hooks before and after the application would run once for each worker";
	return NULL;
}

/* uWSGI opens two for each slot, and we one; the rest is for what there is anyway, and the
 * application. */
static bool has_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
	       limit.rlim_cur > (rlim_t)fr_roster_slots(uwsgi.numproc) * 3 + 128;
}

const char *fr_eligible_refusal(void)
{
	if (!uwsgi.sockets || uwsgi.numproc < 1 || uwsgi.command_mode)
		return "there are no workers";
	if (uwsgi.lazy)
		return "lazy is not lazy-apps: the master itself is replaced by it";
	if (uwsgi.cheaper_count || uwsgi.cheaper || uwsgi.requested_cheaper_algo)
		return "cheaper changes the number of workers by itself";
	if (uwsgi.status.is_cheap || uwsgi.idle)
		return "cheap and idle stop and start all workers";
	if (!fr_loop_is_usable())
		return "the workers run another loop than uWSGI's simple one";
	for (struct uwsgi_socket *sock = uwsgi.sockets; sock; sock = sock->next) {
		if (sock->proto_name && strcmp(sock->proto_name, "http11") == 0)
			return "http11-socket keeps connections open in its workers";
	}
	if (uwsgi.numproc > FR_ROSTER_MAX_WORKERS)
		return "there are more than 60 workers";
	if (!has_descriptors())
		return "the limit of open files is too low for more workers";
	if (uwsgi.map_socket)
		return "map-socket ties sockets to the numbers of workers";
	if (fr_eligible_master_has_modules())
		return "shared-import loads modules in the master";
	return uwsgi.lazy_apps ? NULL : refusal_without_lazy_apps();
}

/* ---- after the first load ---- */

static int list_len(struct uwsgi_string_list *list)
{
	struct uwsgi_string_list *usl;
	int len = 0;

	uwsgi_foreach(usl, list) len++;
	return len;
}

/* Signal handlers are noted for each worker, as it should be; but where the master sends a signal
 * is looked up in its own row, which stays empty here. */
static bool has_targeted_signals(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++) {
		const struct uwsgi_signal_entry *row = &ushared->signal_table[wid * 256];

		for (int sig = 0; fr_roster.slots[wid].state == FR_ROSTER_SERVING && sig < 256;
		     sig++) {
			if (row[sig].handler && row[sig].receiver[0] &&
			    strcmp(row[sig].receiver, "worker") != 0)
				return true;
		}
	}
	return false;
}

/* Timers, cron jobs and monitors are added to tables that hold 64 and are emptied by an exec only;
 * each load would add them again. */
const char *fr_eligible_side_effect(void)
{
	if (ushared->timers_cnt > list_len(uwsgi.signal_timers) ||
	    ushared->rb_timers_cnt > list_len(uwsgi.rb_signal_timers))
		return "the application registers timers";
	if (ushared->cron_cnt > 0)
		return "the application registers cron jobs";
	if (ushared->files_monitored_cnt > 0)
		return "the application registers file monitors";
	return fr_spare_was_lazy() || !has_targeted_signals()
		       ? NULL
		       : "the application registers signals that go to certain processes";
}
