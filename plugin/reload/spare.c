/*
 * spare: more worker slots than the user asked for. See spare.h.
 */
#include <uwsgi.h>

#include "reload/spare.h"

extern struct uwsgi_server uwsgi;

static struct {
	int wanted;                  /* how many workers the user asked for; 0: nothing is spare */
	int slots;                   /* how many uWSGI has */
	void (*first_preinit)(void); /* the first language plugin's own preinit_apps */
	bool was_lazy;               /* lazy-apps is what the user asked for */
} spare;

/* The tables of RPC functions are made before any plugin can say how many workers there will be
 * (core/rpc.c, uwsgi_rpc_init): make larger ones, with what is registered. */
static void enlarge_rpc_tables(int old_len, int new_len)
{
	size_t row = sizeof(struct uwsgi_rpc) * uwsgi.rpc_max;
	struct uwsgi_rpc *table = uwsgi_calloc_shared(row * ((size_t)new_len + 1));
	uint64_t *counts = uwsgi_calloc_shared(sizeof(*counts) * ((size_t)new_len + 1));

	for (size_t i = 0; i <= (size_t)old_len; i++)
		memcpy(&table[i * uwsgi.rpc_max], &uwsgi.rpc_table[i * uwsgi.rpc_max],
		       sizeof(*table) * uwsgi.shared->rpc_count[i]);
	memcpy(counts, uwsgi.shared->rpc_count, sizeof(*counts) * ((size_t)old_len + 1));
	uwsgi.rpc_table = table;
	uwsgi.shared->rpc_count = counts;
}

/*
 * The language plugins note the number of workers in preinit_apps ("uwsgi.numproc",
 * "uwsgi.workers()"), after uWSGI has made its tables, and should see the one that the user wrote.
 * No hook of ours runs in between, so we stand in for the first of theirs; ours comes after the
 * last of them.
 */
static void preinit_with_wanted(void)
{
	uwsgi.numproc = spare.wanted;
	spare.first_preinit();
}

static void stand_in_for_preinit(void)
{
	for (int i = 0; i < 256; i++) {
		if (!uwsgi.p[i]->preinit_apps)
			continue;
		spare.first_preinit = uwsgi.p[i]->preinit_apps;
		uwsgi.p[i]->preinit_apps = preinit_with_wanted;
		return;
	}
}

void fr_spare_end_preinit(void)
{
	if (spare.wanted)
		uwsgi.numproc = spare.slots;
}

/* uWSGI starts as many workers as "cheaper" allows and marks the other slots as cheaped
 * (core/uwsgi.c, end of uwsgi_start). */
void fr_spare_prepare(int slots)
{
	spare.wanted = uwsgi.numproc;
	spare.slots = slots;
	enlarge_rpc_tables(spare.wanted, slots);
	stand_in_for_preinit();
	uwsgi.numproc = slots;
	uwsgi.cheaper = 1;
	uwsgi.cheaper_count = uwsgi.cheaper_initial = spare.wanted;
	spare.was_lazy = uwsgi.lazy_apps;
	uwsgi.lazy_apps = 1;
}

/* Nobody looks at the number again: cheaper is over when the master's loop begins. */
void fr_spare_start_none(void)
{
	uwsgi.cheaper_initial = -1;
}

void fr_spare_enter_loop(void)
{
	if (spare.wanted)
		uwsgi.cheaper = 0;
}

void fr_spare_enter_worker(void)
{
	if (!spare.wanted)
		return;
	uwsgi.cheaper = 0;
	uwsgi.numproc = spare.wanted;
}

bool fr_spare_was_lazy(void)
{
	return spare.was_lazy;
}
