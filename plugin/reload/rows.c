/*
 * rows: what stands in a worker slot of uWSGI's shared tables. See rows.h.
 */
#include <uwsgi.h>

#include "reload/rows.h"

extern struct uwsgi_server uwsgi;

#define FR_ROWS_SIGNALS 256

static struct {
	struct wsgi_request request;
	struct uwsgi_app *apps;
	void **thread_states; /* Python's, for each core and application */
	int apps_len;
	struct uwsgi_signal_entry *signals;
	struct uwsgi_rpc *rpc;
	uint64_t rpc_len;
} saved;

void fr_rows_enter(int wid)
{
	uwsgi.mywid = wid;
	uwsgi.mypid = getpid();
	uwsgi.wsgi_req = &uwsgi.workers[wid].cores[0].req;
	uwsgi.current_time = uwsgi_now();
}

void fr_rows_begin(int wid)
{
	uwsgi.workers[wid].apps_cnt = 0;
	ushared->rpc_count[wid] = ushared->rpc_count[0]; /* of the master, so of all */
	memcpy(&uwsgi.rpc_table[(size_t)wid * uwsgi.rpc_max], uwsgi.rpc_table,
	       sizeof(*uwsgi.rpc_table) * ushared->rpc_count[0]);
	memset(&ushared->signal_table[wid * FR_ROWS_SIGNALS], 0,
	       sizeof(struct uwsgi_signal_entry) * FR_ROWS_SIGNALS);
	memset(uwsgi.wsgi_req, 0, sizeof(*uwsgi.wsgi_req));
}

/* What lies behind those that there are, of max_apps and rpc_max, is nothing, and would only take
 * memory. But an application that is being loaded has its row already, and is counted when it is
 * there (plugins/python/pyloader.c, init_uwsgi_app). */
static size_t apps_size(void)
{
	int len = saved.apps_len < uwsgi.max_apps ? saved.apps_len + 1 : uwsgi.max_apps;

	return sizeof(*saved.apps) * (size_t)len;
}

/* All cores' lie behind each other (core/init.c, uwsgi_setup_workers). */
static size_t thread_states_size(void)
{
	return sizeof(void *) * (size_t)uwsgi.max_apps * (size_t)uwsgi.cores;
}

static size_t signals_size(void)
{
	return sizeof(*saved.signals) * FR_ROWS_SIGNALS;
}

static size_t rpc_size(void)
{
	return sizeof(*saved.rpc) * saved.rpc_len;
}

void fr_rows_save(int wid)
{
	size_t row = (size_t)wid;

	free(saved.apps);
	free(saved.thread_states);
	free(saved.signals);
	free(saved.rpc);
	saved.request = uwsgi.workers[row].cores[0].req;
	saved.apps_len = uwsgi.workers[row].apps_cnt;
	saved.rpc_len = ushared->rpc_count[row];
	saved.apps = malloc(apps_size());
	saved.thread_states = malloc(thread_states_size());
	saved.signals = malloc(signals_size());
	saved.rpc = malloc(rpc_size() + 1);
	if (!saved.apps || !saved.thread_states || !saved.signals || !saved.rpc)
		_exit(1);
	memcpy(saved.apps, uwsgi.workers[row].apps, apps_size());
	memcpy(saved.thread_states, uwsgi.workers[row].cores[0].ts, thread_states_size());
	memcpy(saved.signals, &ushared->signal_table[row * FR_ROWS_SIGNALS], signals_size());
	memcpy(saved.rpc, &uwsgi.rpc_table[row * uwsgi.rpc_max], rpc_size());
}

void fr_rows_restore(int wid, uint32_t signal_wid)
{
	size_t row = (size_t)wid;
	struct uwsgi_signal_entry *signals = &ushared->signal_table[row * FR_ROWS_SIGNALS];

	uwsgi.workers[row].apps_cnt = saved.apps_len;
	ushared->rpc_count[row] = saved.rpc_len;
	memcpy(uwsgi.workers[row].apps, saved.apps, apps_size());
	memcpy(uwsgi.workers[row].cores[0].ts, saved.thread_states, thread_states_size());
	memcpy(signals, saved.signals, signals_size());
	memcpy(&uwsgi.rpc_table[row * uwsgi.rpc_max], saved.rpc, rpc_size());
	for (size_t sig = 0; sig < FR_ROWS_SIGNALS; sig++) {
		if (signals[sig].handler)
			signals[sig].wid = signal_wid;
	}
}

void fr_rows_restore_request(void)
{
	*uwsgi.wsgi_req = saved.request;
}
