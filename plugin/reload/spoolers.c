/*
 * spoolers: each spooler ends when it has done the task that it is at, and is started again.
 *
 * Not by uWSGI's own uwsgi_reload_spoolers: it sends SIGHUP, which spoolers ignore (core/spooler.c,
 * 2.0.21 to 2.0.28), and a second later SIGKILL, in the middle of a task.
 */
#include <uwsgi.h>

#include "reload/strategy.h"

extern struct uwsgi_server uwsgi;

#define FR_SPOOLERS_LOOK_MS     20    /* nothing tells when a task is done */
#define FR_SPOOLERS_PATIENCE_MS 60000 /* uWSGI's mercy for mules */

static struct {
	pid_t *due; /* in uWSGI's order; 0: this one has been told */
	size_t due_len;
	int64_t until_ms; /* 0: nothing is under way */
} spoolers;

static bool make_room(void)
{
	size_t len = 0;

	if (spoolers.due)
		return true;
	for (const struct uwsgi_spooler *spooler = uwsgi.spoolers; spooler; spooler = spooler->next)
		len++;
	spoolers.due = calloc(len + 1, sizeof(*spoolers.due));
	spoolers.due_len = spoolers.due ? len : 0;
	return spoolers.due != NULL;
}

static int start(const struct fr_reload_request *request)
{
	const struct uwsgi_spooler *spooler = uwsgi.spoolers;

	if (!make_room())
		return -ENOMEM;
	for (size_t i = 0; i < spoolers.due_len && spooler; i++, spooler = spooler->next)
		spoolers.due[i] = spooler->pid;
	spoolers.until_ms = request->now_ms + FR_SPOOLERS_PATIENCE_MS;
	return 0;
}

/* As uWSGI notes it, which kills one that does not go. */
static void end(struct uwsgi_spooler *spooler)
{
	spooler->cursed_at = uwsgi_now();
	spooler->no_mercy_at = spooler->cursed_at + uwsgi.mule_reload_mercy;
	(void)kill(spooler->pid, SIGTERM);
}

static void tend(int64_t now_ms, int64_t *ret_wake_ms)
{
	struct uwsgi_spooler *spooler = uwsgi.spoolers;
	bool is_waiting = false;

	*ret_wake_ms = -1;
	if (spoolers.until_ms == 0)
		return;
	for (size_t i = 0; i < spoolers.due_len && spooler; i++, spooler = spooler->next) {
		if (spoolers.due[i] <= 0 || spoolers.due[i] != spooler->pid)
			continue; /* told, or started anew by somebody else */
		if (spooler->running && now_ms < spoolers.until_ms) {
			is_waiting = true;
			continue;
		}
		spoolers.due[i] = 0;
		end(spooler);
	}
	if (is_waiting)
		*ret_wake_ms = now_ms + FR_SPOOLERS_LOOK_MS;
	else
		spoolers.until_ms = 0;
}

const struct fr_strategy fr_strategy_spoolers = {
	.start = start,
	.tend = tend,
	.is_restartable = fr_strategy_always,
};
