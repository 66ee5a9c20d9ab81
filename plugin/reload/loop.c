/*
 * loop: how a worker accepts requests, and how it leaves without losing one. See loop.h.
 */
#include <uwsgi.h>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "reload/board.h"
#include "reload/broken.h"
#include "reload/loop.h"
#include "reload/output.h"
#include "reload/pages.h"
#include "reload/visitors.h"
#include "reload/wake.h"

extern struct uwsgi_server uwsgi;

#define FR_LOOP_NAME "fastreload"

/* Longest that a worker waits with its end. */
#define FR_LOOP_SUCCESSOR_MS 100

/* uWSGI 2.0.27 has a pipe of its own in each thread's queue, that it closes to end a worker with
 * threads. */
#define FR_LOOP_HAS_STOP_PIPE                                                                      \
	(UWSGI_VERSION_BASE > 2 || UWSGI_VERSION_MAJOR > 0 || UWSGI_VERSION_MINOR >= 27)

static struct fr_board_slot *slot;
static bool is_orphan_to_be_killed;
static bool is_loading;
static struct fr_pages *pages;
static bool is_first; /* of its generation */

void fr_loop_adopt_orphans(void)
{
	is_orphan_to_be_killed = uwsgi.no_orphans;
	uwsgi.no_orphans = 0;
}

void fr_loop_use_pages(struct fr_pages *given, bool is_the_first)
{
	pages = given;
	is_first = is_the_first;
}

/*
 * uWSGI gives up a candidate by exit(), and Python's part of that may wait for ever for what is
 * half loaded (seen with a second application that fails, on 2.0.21).
 */
static void exit_at_once(int code, void *unused)
{
	(void)unused;
	if (is_loading)
		_exit(code);
}

/*
 * uWSGI's own handlers come with uwsgi_worker_run, after a lazy application has been loaded. Until
 * then those of the master are in force, which signal all workers, and do not end this one.
 */
void fr_loop_begin_load(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_DFL);
	is_loading = true;
	(void)on_exit(exit_at_once, NULL);
	if (!fr_board_enter(uwsgi.mywid) && fr_board_is_not_to_load())
		uwsgi.lazy_apps = 0;
}

bool fr_loop_is_usable(void)
{
	return !uwsgi.loop && uwsgi.async < 2 && !uwsgi.worker_exec && !uwsgi.worker_exec2;
}

static bool is_to_stay(void)
{
	return __atomic_load_n(&uwsgi.workers[uwsgi.mywid].manage_next_request, __ATOMIC_SEQ_CST);
}

/*
 * A thread counts as accepting from before it looks whether to stay until it holds a connection or
 * has given up. So a master that has told the worker to leave, and then reads zero, knows that no
 * connection will be taken up any more.
 */
static bool begin_accepting(void)
{
	__atomic_add_fetch(&slot->accepting, 1, __ATOMIC_SEQ_CST);
	return is_to_stay();
}

static void end_accepting(void)
{
	__atomic_sub_fetch(&slot->accepting, 1, __ATOMIC_SEQ_CST);
	if (!is_to_stay())
		fr_wake_master();
}

static int make_queue(long core)
{
	int queue = event_queue_init();

	uwsgi_add_sockets_to_queue(queue, (int)core);
	event_queue_add_fd_read(queue, slot->leave_fd);
#if FR_LOOP_HAS_STOP_PIPE
	event_queue_add_fd_read(queue, uwsgi.loop_stop_pipe[0]);
#endif
	if (uwsgi.signal_socket > -1) {
		event_queue_add_fd_read(queue, uwsgi.signal_socket);
		event_queue_add_fd_read(queue, uwsgi.my_signal_socket);
	}
	return queue;
}

static void note_first_answer(void)
{
	fr_board_tell_answered(uwsgi.mywid);
	if (is_first && !fr_pages_are_known(pages))
		fr_pages_note(pages);
}

static void *run_core(void *arg)
{
	long core = (long)arg;
	struct wsgi_request *request = &uwsgi.workers[uwsgi.mywid].cores[core].req;
	int queue;

	if (uwsgi.threads > 1)
		uwsgi_setup_thread_req(core, request);
	queue = make_queue(core);
	while (begin_accepting()) {
		int failed;

		wsgi_req_setup(request, (int)core, NULL);
		failed = wsgi_req_accept(queue, request);
		end_accepting();
		if (failed)
			continue;
		if (wsgi_req_recv(queue, request))
			uwsgi_destroy_request(request);
		else
			uwsgi_close_request(request);
		if (core == 0)
			note_first_answer();
	}
	end_accepting();
	return NULL;
}

/* The first thread has left. The others do so, too, each after the request that it is in; the
 * master sees to it that this does not take for ever. */
static void join_threads(void)
{
	fr_board_leave(uwsgi.mywid);
	for (int core = 1; core < uwsgi.threads; core++)
		(void)pthread_join(uwsgi.workers[uwsgi.mywid].cores[core].thread_id, NULL);
}

/* What has been handed to an offload thread (a file that is being sent) is an accepted request,
 * too. uWSGI's list is looked at from outside, without its knowledge. */
static void wait_for_offloads(void)
{
	const struct timespec moment = {.tv_nsec = 5000000};

	for (int i = 0; i < uwsgi.offload_threads; i++) {
		while (__atomic_load_n(&uwsgi.offload_thread[i]->offload_requests_head,
				       __ATOMIC_SEQ_CST))
			(void)nanosleep(&moment, NULL);
	}
}

/*
 * What the interpreter does at its end takes some hundred milliseconds, and should not keep the new
 * workers from answering: not now, for the first time, since a processor at work may be given to
 * whoever wakes up only after a tick (PREEMPT_LAZY, Linux 6.12), nor later.
 */
static void yield_to_successors(void)
{
	const struct sched_param none = {0};

	fr_board_await_successor(uwsgi.mywid, FR_LOOP_SUCCESSOR_MS);
	if (sched_setscheduler(0, SCHED_IDLE, &none) < 0)
		(void)setpriority(PRIO_PROCESS, 0, 19);
}

static void run(void)
{
	struct uwsgi_worker *worker = &uwsgi.workers[uwsgi.mywid];

	if (!is_first)
		(void)fr_pages_prepare(pages);
	fr_board_set(&slot->is_loaded, 1);
	fr_wake_master();
	if (!fr_board_get(&slot->must_hold) || fr_board_hold(uwsgi.mywid)) {
		if (is_orphan_to_be_killed && getppid() == uwsgi.workers[0].pid)
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		uwsgi_loop_cores_run(run_core);
		join_threads();
	}
	wait_for_offloads();
	if (worker->shutdown_sockets)
		uwsgi_shutdown_all_sockets();
	yield_to_successors();
	if (worker->destroy && uwsgi.propagate_touch && uwsgi.workers[0].pid > 0)
		kill(uwsgi.workers[0].pid, SIGHUP); /* as the end of simple_loop_run does */
	end_me(0);
}

void fr_loop_register(void)
{
	uwsgi_register_loop(FR_LOOP_NAME, run);
}

/* uWSGI's handler exits at once if no request is being read, and so drops one that has just been
 * accepted. This one only says what to do. */
static void leave_on_signal(int signal_number)
{
	int saved = errno;

	(void)signal_number;
	fr_board_leave(uwsgi.mywid);
	errno = saved;
}

/* Since this process was forked. */
static uint32_t cpu_ms(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
		return 0;
	return (uint32_t)(used.tv_sec * 1000 + used.tv_nsec / 1000000);
}

/* Once: each goes before what it finds, and one of them twice would find itself. */
static void put_hooks_in_place(void)
{
	static bool is_done;

	if (is_done)
		return;
	is_done = true;
	fr_broken_take_over();
	fr_visitors_take_over();
}

void fr_loop_take_over(void)
{
	is_loading = false;
	fr_output_restore();
	put_hooks_in_place();
	slot = fr_board_slot(uwsgi.mywid);
	fr_board_set(&slot->apps, (uint32_t)uwsgi_apps_cnt);
	fr_board_set(&slot->load_ms, cpu_ms());
	if ((uint32_t)uwsgi_apps_cnt < fr_board_wanted_apps())
		slot->must_hold =
			1; /* respawned while the code on the disk is broken: the master decides */
	if (!fr_loop_is_usable()) {
		fr_board_set(&slot->is_loaded, 1);
		fr_wake_master();
		return;
	}
	uwsgi_unix_signal(SIGHUP, leave_on_signal);
	uwsgi.loop = FR_LOOP_NAME;
}
