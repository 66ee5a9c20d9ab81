/*
 * loader: a process that loads the application and brings forth a generation's workers. See
 * loader.h.
 */
#include <uwsgi.h>

#include <sys/prctl.h>

#include "reload/board.h"
#include "reload/loader.h"
#include "reload/loop.h"
#include "reload/output.h"
#include "reload/python.h"
#include "watch/bytecode.h"
#include "watch/uses.h"

extern struct uwsgi_server uwsgi;

static const struct fr_loader_setup *setup;
static struct fr_order order;

static struct {
	struct fr_uses *uses;
	char name[16];                  /* of a process that is none of this file's: uWSGI's */
	int talk, ice;                  /* ice: -1 once a copy has it */
	bool is_loading;                /* the application's code is running */
	uint8_t fds_at_start[8192 / 8]; /* a bit for each descriptor that was open */

	/* Copies of what stands in the slot, since the last freeze. */
	struct wsgi_request request;
	struct uwsgi_app *apps;
	void **thread_states; /* Python's, for each core and application */
	int apps_len;
	struct uwsgi_signal_entry *signals;
	struct uwsgi_rpc *rpc;
	uint64_t rpc_len;
} loader;

static void tell(int fd, enum fr_report_kind kind, const char *reason)
{
	struct fr_report report = {.kind = kind, .pid = getpid()};

	report.uses = (uint32_t)fr_uses_len(loader.uses);
	snprintf(report.reason, sizeof(report.reason), "%s", reason);
	(void)send(fd, &report, sizeof(report), MSG_NOSIGNAL);
}

/* Calls visit for each descriptor that is open; stops when it returns false. */
static bool each_fd(bool (*visit)(int fd))
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	bool is_done = dir != NULL;

	while (is_done && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(dir))
			is_done = visit(fd);
	}
	if (dir)
		closedir(dir);
	return is_done;
}

static bool note_fd(int fd)
{
	if (fd < 8192)
		loader.fds_at_start[fd / 8] |= (uint8_t)(1u << fd % 8);
	return true;
}

/* Sockets, pipes, and what has no name in any folder (an epoll, an eventfd): two processes cannot
 * both go on with one. */
static bool is_shareable(int fd)
{
	struct stat st;

	if (fd == loader.talk || fd == loader.ice || fd >= 8192 ||
	    loader.fds_at_start[fd / 8] & (uint8_t)(1u << fd % 8) || fstat(fd, &st) < 0)
		return true;
	return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISCHR(st.st_mode);
}

static int count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	int len = 0;

	while (dir && (entry = readdir(dir)))
		len += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return len;
}

/* Why a copy of this process would not be as good as the process; NULL: it would. */
static const char *unsuitable(void)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	/* One that has been joined may need a moment to be gone. */
	for (int i = 0; i < 5 && count_threads() != 1; i++)
		(void)nanosleep(&moment, NULL);
	if (count_threads() != 1)
		return "the application starts threads while it is loaded";
	if (!each_fd(is_shareable))
		return "the application opens connections while it is loaded";
	return NULL;
}

/* For ps(1) and top(1); 15 bytes at most. */
static void name_process(const char *name)
{
	(void)prctl(PR_SET_NAME, name);
}

static void replace_fd(int fd, int with)
{
	if (fd >= 0 && with >= 0)
		(void)dup2(with, fd);
}

/* Lets go of what others may wait for: the sockets that uWSGI listens on, and the log. The numbers
 * stay taken. */
static void let_go(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (struct uwsgi_socket *sock = uwsgi.sockets; sock; sock = sock->next)
		replace_fd(sock->fd, null);
	for (struct uwsgi_gateway_socket *sock = uwsgi.gateway_sockets; sock; sock = sock->next)
		replace_fd(sock->fd, null);
	replace_fd(uwsgi.stats_fd > 2 ? uwsgi.stats_fd : -1, null);
	replace_fd(1, null);
	replace_fd(2, null);
	close(null);
}

/* All cores' lie behind each other (core/init.c, uwsgi_setup_workers). */
static size_t thread_states_size(void)
{
	return sizeof(void *) * (size_t)uwsgi.max_apps * (size_t)uwsgi.cores;
}

/*
 * While an application is loaded, uWSGI's plugins hold pointers into the slot that it is loaded in
 * (init_uwsgi_app in the Python plugin: its entry in apps, the request), on the stack, and so in
 * every copy of the process. That is why the loader has a slot of its own, always the same one.
 * What stands there, and in the slot's rows of other shared tables, is saved when a process is
 * frozen, because the next loader will write there.
 */
static void save_rows(void)
{
	size_t row = (size_t)setup->wid;

	loader.request = uwsgi.workers[row].cores[0].req;

	free(loader.apps);
	free(loader.thread_states);
	free(loader.signals);
	free(loader.rpc);
	loader.apps_len = uwsgi.workers[row].apps_cnt;
	loader.rpc_len = ushared->rpc_count[row];
	loader.apps = malloc(sizeof(*loader.apps) * (size_t)uwsgi.max_apps);
	loader.thread_states = malloc(thread_states_size());
	loader.signals = malloc(sizeof(*loader.signals) * 256);
	loader.rpc = malloc(sizeof(*loader.rpc) * uwsgi.rpc_max);
	if (!loader.apps || !loader.thread_states || !loader.signals || !loader.rpc)
		_exit(1);
	memcpy(loader.apps, uwsgi.workers[row].apps, sizeof(*loader.apps) * (size_t)uwsgi.max_apps);
	memcpy(loader.thread_states, uwsgi.workers[row].cores[0].ts, thread_states_size());
	memcpy(loader.signals, &ushared->signal_table[row * 256], sizeof(*loader.signals) * 256);
	memcpy(loader.rpc, &uwsgi.rpc_table[row * uwsgi.rpc_max],
	       sizeof(*loader.rpc) * uwsgi.rpc_max);
}

/* wid 0 in a signal's entry: a copy of what was there before the fork, which every process may run
 * (core/signal.c, uwsgi_signal_handler). */
static void restore_rows(int wid, uint32_t signal_wid)
{
	size_t row = (size_t)wid;

	uwsgi.workers[row].apps_cnt = loader.apps_len;
	ushared->rpc_count[row] = loader.rpc_len;
	memcpy(uwsgi.workers[row].apps, loader.apps, sizeof(*loader.apps) * (size_t)uwsgi.max_apps);
	memcpy(uwsgi.workers[row].cores[0].ts, loader.thread_states, thread_states_size());
	memcpy(&ushared->signal_table[row * 256], loader.signals, sizeof(*loader.signals) * 256);
	memcpy(&uwsgi.rpc_table[row * uwsgi.rpc_max], loader.rpc,
	       sizeof(*loader.rpc) * uwsgi.rpc_max);
	for (size_t sig = 0; sig < 256; sig++) {
		if (ushared->signal_table[row * 256 + sig].handler)
			ushared->signal_table[row * 256 + sig].wid = signal_wid;
	}
}

static void take_slot(void)
{
	uwsgi.mywid = setup->wid;
	uwsgi.mypid = getpid();
	uwsgi.wsgi_req = &uwsgi.workers[setup->wid].cores[0].req;
	uwsgi.current_time = uwsgi_now();
}

/* Waits for an order. Ends with the master, however that ends: then the socket closes. */
static void wait_for_order(int *fds, int *ret_fds_len)
{
	char space[CMSG_SPACE(sizeof(int) * FR_LOADER_MAX_FDS)];
	struct iovec iov = {&order, sizeof(order)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	struct cmsghdr *header;
	ssize_t len;

	do {
		len = recvmsg(loader.ice, &message, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	header = len > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS)
		_exit(0);
	*ret_fds_len = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(fds, CMSG_DATA(header), sizeof(int) * (size_t)*ret_fds_len);
}

/* The first file that this process has read and that is not as it was any more; NULL: there is
 * none, so it is as good as a new one. */
static const char *outdated_by(void)
{
	const char *path = order.text;
	const char *changed = "?";

	for (uint32_t i = 0; i < order.paths_len; i++) {
		if (*path && (fr_uses_has(loader.uses, path) ||
			      !uwsgi_endswith((char *)path, (char *)".py")))
			return path; /* what is no module and was not read by Python may have been
					read by others */
		path += strlen(path) + 1;
	}
	return fr_uses_are_current(loader.uses, &changed) ? NULL : changed;
}

/* A copy of a frozen process goes on, with the order's descriptors. */
static void thaw(const int *fds, int fds_len)
{
	struct uwsgi_socket *sock = uwsgi.sockets;

	close(loader.ice);
	loader.talk = fds[FR_FD_TALK];
	loader.ice = fds[FR_FD_ICE];
	replace_fd(1, fds[FR_FD_OUTPUT]);
	replace_fd(2, fds[FR_FD_OUTPUT]);
	close(fds[FR_FD_OUTPUT]);
	for (int i = FR_FDS; i < fds_len && sock; sock = sock->next) {
		if (sock->fd < 0)
			continue;
		replace_fd(sock->fd, fds[i]);
		close(fds[i++]);
	}
	name_process(FR_LOADER_NAME);
	take_slot();
	restore_rows(setup->wid, (uint32_t)setup->wid);
	*uwsgi.wsgi_req = loader.request;
	tell(loader.talk, FR_REPORT_LOADER, "");
}

/*
 * Waits, and makes a copy of itself whenever an order comes; returns in the copies. Nobody waits
 * for those here: when they end, their workers become the master's. in_python: this is inside of
 * Python, which wants to know about forks.
 */
static void stay_frozen(bool in_python)
{
	int fds[FR_LOADER_MAX_FDS], fds_len;
	struct sigaction before;

	name_process(FR_LOADER_SNAPSHOT_NAME);
	(void)sigaction(SIGCHLD, NULL, &before);
	signal(SIGCHLD, SIG_IGN);
	close(loader.talk);
	let_go();
	tell(loader.ice, FR_REPORT_FROZEN, "");
	for (;;) {
		const char *changed;
		pid_t pid;

		wait_for_order(fds, &fds_len);
		changed = outdated_by();
		if (changed) {
			tell(loader.ice, FR_REPORT_STALE, changed);
			_exit(0);
		}
		pid = in_python ? fr_python_fork() : fork();
		if (pid == 0) {
			(void)sigaction(SIGCHLD, &before, NULL);
			thaw(fds, fds_len);
			return;
		}
		for (int i = 0; i < fds_len; i++)
			close(fds[i]);
	}
}

/* Called by the agent, just before the edited module is imported; its bytecode may have been
 * written by somebody who loaded an earlier one in the same second. */
static int freeze(void)
{
	static char before[FR_LOADER_TEXT];
	const char *reason = unsuitable();
	pid_t pid = -1;

	snprintf(before, sizeof(before), "%s", order.text);
	if (!reason && !fr_uses_is_complete(loader.uses))
		reason = "the application runs other programs while it is loaded, or calls "
			 "functions of C "
			 "by hand";
	if (reason) {
		tell(loader.talk, FR_REPORT_NOT_FROZEN, reason);
	} else {
		save_rows(); /* here, because the slot is shared with the process that goes on at
				once */
		pid = fr_python_fork();
	}
	if (pid == 0) {
		stay_frozen(true);
		if (strcmp(order.text, before) != 0 && order.text[0])
			(void)fr_python_freeze_before(order.text, freeze);
	} else if (pid > 0) {
		close(loader.ice);
		loader.ice = -1;
	}
	fr_bytecode_drop(order.text);
	return pid == 0;
}

/* The rest of a worker's life is uWSGI's. */
__attribute__((noreturn)) static void become_worker(int wid, uint32_t ticket)
{
	name_process(loader.name);
	loader.is_loading = false;
	if (fr_board_get(&fr_board_slot(wid)->ticket) != ticket)
		_exit(0);
	uwsgi.workers[wid].pid = getpid();
	uwsgi.workers[wid].cheaped = 1;
	close(loader.talk);
	if (loader.ice >= 0)
		close(loader.ice);
	restore_rows(wid, 0);
	fr_loop_adopt_orphans();
	uwsgi.lazy_apps = 0; /* what there is to load has been loaded */
	uwsgi_run();
	_exit(1);
}

/* They are children of this process, and the master's as soon as it ends. */
static void fork_workers(void)
{
	for (uint32_t i = 0; i < order.wids_len; i++) {
		int wid = order.wids[i];

		if (fr_board_get(&fr_board_slot(wid)->ticket) != order.tickets[i])
			_exit(0); /* the master has given this load up */
		if (uwsgi_respawn_worker(wid))
			become_worker(wid, order.tickets[i]);
		uwsgi.workers[wid].cheaped = 1; /* if it dies now, nobody respawns it */
		if (uwsgi.workers[wid].pid <= 0)
			_exit(1);
	}
	tell(loader.talk, FR_REPORT_BORN, "");
}

/* An edit of a module that is imported only by the workers, when they need it: then all that is
 * loaded can stay. */
static void keep_what_is_loaded(void)
{
	const char *wanted = order.text;

	if (!setup->may_freeze || loader.ice < 0 || !uwsgi_endswith(order.text, (char *)".py") ||
	    fr_uses_has(loader.uses, wanted) || !fr_uses_is_complete(loader.uses) || unsuitable() ||
	    fork() != 0)
		return;
	stay_frozen(false);
}

/* exit() in the application's code, or in uWSGI's when it is not content with it. What is
 * registered to run then is the application's, half loaded. */
static void report_exit(int code, void *unused)
{
	struct fr_report report = {.kind = FR_REPORT_EXIT, .pid = getpid(), .uses = (uint32_t)code};

	(void)unused;
	if (!loader.is_loading)
		return;
	(void)send(loader.talk, &report, sizeof(report), MSG_NOSIGNAL);
	_exit(code);
}

__attribute__((noreturn)) static void finish(void)
{
	const char *reason;

	loader.is_loading = false;

	fr_python_end_load();
	if ((uint32_t)uwsgi_apps_cnt < order.apps) {
		tell(loader.talk, FR_REPORT_NO_APP, "");
		_exit(0);
	}
	reason = setup->must_be_clean ? unsuitable() : NULL;
	if (reason) {
		tell(loader.talk, FR_REPORT_UNSUITABLE, reason);
		_exit(0);
	}
	save_rows();
	keep_what_is_loaded(); /* a copy of this comes back from there, too */
	fork_workers();
	_exit(0);
}

/* uWSGI itself may read files that make up the application (wsgi-file, mount, …), and Python is not
 * asked about those. */
static void note_files_of_options(void)
{
	for (int i = 0; i < uwsgi.exported_opts_cnt; i++) {
		const char *value = uwsgi.exported_opts[i]->value;
		const char *file = value ? strrchr(value, '=') : NULL;
		char *path = value ? realpath(file ? file + 1 : value, NULL) : NULL;

		if (path && setup->uses_hooks->is_watched(setup->uses_ctx, path) &&
		    !setup->uses_hooks->is_noise(setup->uses_ctx, path))
			fr_uses_note(loader.uses, path);
		free(path);
	}
}

static void begin_slot(void)
{
	take_slot();
	uwsgi.workers[setup->wid].apps_cnt = 0;
	ushared->rpc_count[setup->wid] = 0;
	memset(&ushared->signal_table[setup->wid * 256], 0,
	       sizeof(struct uwsgi_signal_entry) * 256);
	memset(uwsgi.wsgi_req, 0, sizeof(*uwsgi.wsgi_req));
}

/* The master's handlers would signal all workers. A loader that is told to end just ends. */
static void reset_signals(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_DFL);
}

void fr_loader_run(const struct fr_loader_setup *given, const struct fr_order *first,
		   const int *fds)
{
	setup = given;
	order = *first;
	loader.talk = fds[FR_FD_TALK];
	loader.ice = fds[FR_FD_ICE];
	(void)prctl(PR_GET_NAME, loader.name);
	name_process(FR_LOADER_NAME);
	reset_signals();
	fr_output_redirect(order.wids[0]);
	fr_python_after_fork();
	begin_slot();
	(void)each_fd(note_fd);
	if (fr_uses_new(setup->uses_hooks, setup->uses_ctx, &loader.uses) < 0)
		_exit(1);
	note_files_of_options();
	if (fr_python_note_uses(loader.uses) && order.text[0] && setup->may_freeze)
		(void)fr_python_freeze_before(order.text, freeze);
	loader.is_loading = true;
	(void)on_exit(report_exit, NULL);
	uwsgi_init_all_apps();
	finish();
}
