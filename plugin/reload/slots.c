/*
 * slots: what the strategies share of uWSGI's worker slots. See slots.h.
 */
#include <uwsgi.h>

#include "reload/board.h"
#include "reload/slots.h"

extern struct uwsgi_server uwsgi;

/* The pids at the mark, by slot; grown once, numproc never changes. */
static pid_t *marked;

static bool is_wanted(const struct uwsgi_worker *worker)
{
	return !worker->cheaped;
}

bool fr_slots_are_serving(void)
{
	int len = 0;

	for (int i = 1; i <= uwsgi.numproc; i++) {
		const struct uwsgi_worker *worker = &uwsgi.workers[i];

		if (is_wanted(worker) && (worker->pid <= 0 || !worker->accepting))
			return false;
		len += is_wanted(worker);
	}
	return len > 0; /* the first ones may not have been started yet */
}

bool fr_slots_have_app(void)
{
	for (int i = 1; i <= uwsgi.numproc; i++) {
		if (is_wanted(&uwsgi.workers[i]) && uwsgi.workers[i].apps_cnt > 0)
			return true;
	}
	return false;
}

bool fr_slots_lack_app(void)
{
	for (int i = 1; i <= uwsgi.numproc; i++) {
		const struct fr_board_slot *slot = fr_board_slot(i);

		if (is_wanted(&uwsgi.workers[i]) && uwsgi.workers[i].pid > 0 &&
		    fr_board_get(&slot->is_loaded) && fr_board_get(&slot->apps) == 0)
			return true;
	}
	return false;
}

void fr_slots_kill_loading(void)
{
	for (int i = 1; i <= uwsgi.numproc; i++) {
		if (uwsgi.workers[i].pid > 0 && !uwsgi.workers[i].accepting)
			uwsgi_curse(i, SIGKILL);
	}
}

void fr_slots_mark(void)
{
	if (!marked)
		marked = calloc((size_t)uwsgi.numproc + 1, sizeof(*marked));
	if (!marked)
		return; /* fr_slots_are_vacated says yes, at once: only a report is wrong */
	for (int i = 1; i <= uwsgi.numproc; i++)
		marked[i] = uwsgi.workers[i].pid;
}

bool fr_slots_are_vacated(void)
{
	for (int i = 1; marked && i <= uwsgi.numproc; i++) {
		if (marked[i] > 0 && uwsgi.workers[i].pid == marked[i])
			return false;
	}
	return true;
}

bool fr_slots_are_replaced(void)
{
	return fr_slots_are_vacated() && fr_slots_are_serving();
}
