/*
 * nursery: loads the application once for a whole generation. See nursery.h.
 *
 * First the master's side, then the loader's, which runs in processes of its own and never returns to the master's.
 */
#include <uwsgi.h>

#include <sys/prctl.h>

#include "reload/board.h"
#include "reload/nursery.h"
#include "reload/output.h"
#include "reload/python.h"
#include "reload/wake.h"
#include "watch/uses.h"

extern struct uwsgi_server uwsgi;

#define FR_NURSERY_MAX_FROZEN 16
#define FR_NURSERY_MAX_WIDS   64
#define FR_NURSERY_MAX_FDS    64
#define FR_NURSERY_TEXT	      (32 * 1024)

/* How a loader exits. */
#define FR_EXIT_BORN	   0
#define FR_EXIT_NO_APP	   UWSGI_FAILED_APP_CODE
#define FR_EXIT_UNSUITABLE 77

/* From the master to a process that is frozen; the descriptors come with it: control, output, then uWSGI's sockets. */
struct order {
	uint32_t wids_len;
	int32_t wids[FR_NURSERY_MAX_WIDS];
	uint32_t apps;
	uint32_t changed_len;	    /* paths behind each other in text, each with its NUL; the first is the wanted one, or "" */
	char text[FR_NURSERY_TEXT]; /* only as much as is used is sent */
};

/* From a loader or a frozen process to the master. */
struct report {
	enum { REPORT_LOADER, REPORT_FROZEN, REPORT_BORN_AND_FROZEN, REPORT_STALE, REPORT_NOT_FROZEN } kind;
	pid_t pid;
	uint32_t uses;
	char reason[160];
};

struct frozen {
	pid_t pid;
	int fd;
	uint32_t uses;	  /* how far it had come */
	uint64_t last_use; /* of this checkpoint, in loads */
	bool is_asked;	  /* for the load that is being started */
};

static struct {
	int wid; /* the slot that applications are loaded in */
	int max_frozen;
	bool must_be_clean;
	const struct fr_uses_hooks *uses_hooks;
	void *uses_ctx;
	struct frozen frozen[FR_NURSERY_MAX_FROZEN];
	int frozen_len;
	uint64_t loads;

	/* The load under way. */
	bool is_loading;
	pid_t loader;	 /* 0: not known yet, a frozen process was asked to go on */
	int control;	 /* our end of the loader's socket; -1: none */
	int loader_control; /* its end, until it has it */
	int asked;	 /* the place of the frozen process that was asked; -1: none */
	uint32_t resumed_at;
	struct order order;
	char reason[160];
} nursery = {.control = -1, .loader_control = -1, .asked = -1};

/* What a loader has. */
static struct {
	struct fr_uses *uses;
	int control;
	bool has_frozen; /* in this load */
	uint8_t fds_at_start[8192 / 8]; /* a bit for each descriptor that was open */
	struct wsgi_request request;   /* copies of what stands in the slot, since the last freeze */
	struct uwsgi_app *apps;
	void **thread_states; /* Python's, for each core and application */
	int apps_len;
	struct uwsgi_signal_entry *signals;
	struct uwsgi_rpc *rpc;
	uint64_t rpc_len;
} loader;

__attribute__((noreturn)) static void load_from_the_beginning(void);

/* ---- the master's side ---- */

const char *fr_nursery_refusal(void)
{
	if (!fr_python_is_there())
		return "there is no Python of version 3.8 or later in this instance";
	if (uwsgi.master_as_root)
		return "master-as-root changes the user in each worker";
	if (uwsgi.threaded_logger)
		return "the threaded logger may be at work while the master forks";
	if (getenv("PYTHONPYCACHEPREFIX"))
		return "PYTHONPYCACHEPREFIX hides which source a cached file stands for";
	return uwsgi.numproc > FR_NURSERY_MAX_WIDS ? "there are too many workers" : NULL;
}

void fr_nursery_open(int wid, int snapshots, bool must_be_clean, const struct fr_uses_hooks *hooks,
		     void *ctx)
{
	nursery.wid = wid;
	nursery.max_frozen = snapshots < FR_NURSERY_MAX_FROZEN ? snapshots : FR_NURSERY_MAX_FROZEN;
	nursery.must_be_clean = must_be_clean;
	nursery.uses_hooks = hooks;
	nursery.uses_ctx = ctx;
}

void fr_nursery_enter_loop(void)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_control(int *fd)
{
	if (*fd >= 0)
		fr_wake_unwatch_output(*fd);
	close_fd(fd);
}

/* It ends when its socket closes; it may be a child of ours, then uWSGI's loop reaps it like any other. */
static void drop_frozen(int place)
{
	close_control(&nursery.frozen[place].fd);
	if (nursery.asked == place)
		nursery.asked = -1;
	else if (nursery.asked > place)
		nursery.asked--;
	nursery.frozen_len--;
	memmove(&nursery.frozen[place], &nursery.frozen[place + 1],
		(size_t)(nursery.frozen_len - place) * sizeof(nursery.frozen[0]));
}

void fr_nursery_forget(void)
{
	while (nursery.frozen_len > 0)
		drop_frozen(nursery.frozen_len - 1);
}

int fr_nursery_frozen(void)
{
	return nursery.frozen_len;
}

const char *fr_nursery_reason(void)
{
	return nursery.reason;
}

size_t fr_nursery_resumed_at(void)
{
	return nursery.resumed_at;
}

bool fr_nursery_is_busy(void)
{
	return nursery.is_loading || nursery.loader > 0;
}

void fr_nursery_close_in_child(void)
{
	for (int i = 0; i < nursery.frozen_len; i++)
		close_fd(&nursery.frozen[i].fd);
	close_fd(&nursery.control);
}

static int open_control(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	uwsgi_socket_nb(fds[0]);
	nursery.control = fds[0];
	nursery.loader_control = fds[1];
	fr_wake_watch_output(fds[0]);
	return 0;
}

/* False: it does not fit, so nobody who is frozen could check it. */
static bool write_order(const struct fr_nursery_order *wanted)
{
	struct order *order = &nursery.order;
	size_t used = 0;
	const char *first = wanted->wanted ? wanted->wanted : "";

	order->wids_len = (uint32_t)wanted->wids_len;
	for (int i = 0; i < wanted->wids_len; i++)
		order->wids[i] = wanted->wids[i];
	order->apps = wanted->apps;
	order->changed_len = 1;
	snprintf(order->text, sizeof(order->text), "%s", first);
	used = strlen(order->text) + 1;
	for (size_t i = 0; wanted->changed && i < wanted->changed_len; i++) {
		size_t size = strlen(wanted->changed[i]) + 1;

		if (used + size > sizeof(order->text))
			return false;
		memcpy(order->text + used, wanted->changed[i], size);
		used += size;
		order->changed_len++;
	}
	return wanted->changed != NULL;
}

static size_t order_size(const struct order *order)
{
	const char *end = order->text;

	for (uint32_t i = 0; i < order->changed_len; i++)
		end += strlen(end) + 1;
	return (size_t)(end - (const char *)order);
}

/* uWSGI's sockets in the order of its list: a frozen process has let go of them. */
static int list_sockets(int *fds, int len)
{
	for (struct uwsgi_socket *sock = uwsgi.sockets; sock && len < FR_NURSERY_MAX_FDS;
	     sock = sock->next) {
		if (sock->fd >= 0)
			fds[len++] = sock->fd;
	}
	return len;
}

static bool send_order(int fd)
{
	char space[CMSG_SPACE(sizeof(int) * FR_NURSERY_MAX_FDS)] = {0};
	struct iovec iov = {&nursery.order, order_size(&nursery.order)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space};
	int fds[FR_NURSERY_MAX_FDS] = {nursery.loader_control,
				       fr_output_writer(nursery.order.wids[0])};
	int len = list_sockets(fds, 2);
	struct cmsghdr *header;

	if (fds[1] < 0)
		return false;
	message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)len);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)len);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)len);
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

/* The one that has come furthest of those that have not been asked yet; -1: none. */
static int furthest(void)
{
	int best = -1;

	for (int i = 0; i < nursery.frozen_len; i++) {
		if (!nursery.frozen[i].is_asked &&
		    (best < 0 || nursery.frozen[i].uses > nursery.frozen[best].uses))
			best = i;
	}
	return best;
}

static void follow_loader(void)
{
	fr_wake_follow_other(1, nursery.loader);
}

static int fork_loader(void)
{
	pid_t pid;

	for (int i = 0; i < 256; i++) {
		if (uwsgi.p[i]->pre_uwsgi_fork)
			uwsgi.p[i]->pre_uwsgi_fork();
	}
	pid = uwsgi_fork((char *)"uWSGI loader");
	for (int i = 0; i < 256 && pid >= 0; i++) {
		if (uwsgi.p[i]->post_uwsgi_fork)
			uwsgi.p[i]->post_uwsgi_fork(pid == 0);
	}
	if (pid == 0)
		load_from_the_beginning();
	if (pid < 0)
		return -errno;
	nursery.loader = pid;
	follow_loader();
	fr_output_forked(nursery.order.wids[0]);
	close_fd(&nursery.loader_control);
	return 0;
}

/* Asks whoever is frozen and has come furthest, and if nobody is left, begins at the beginning. */
static int go_on(void)
{
	int place;

	while ((place = furthest()) >= 0) {
		nursery.frozen[place].is_asked = true;
		if (send_order(nursery.frozen[place].fd)) {
			nursery.asked = place;
			return 0;
		}
		drop_frozen(place);
	}
	nursery.asked = -1;
	return fork_loader();
}

int fr_nursery_start(const struct fr_nursery_order *order)
{
	int error = open_control();

	if (error)
		return error;
	nursery.is_loading = true;
	nursery.loader = 0;
	nursery.resumed_at = 0;
	nursery.reason[0] = '\0';
	nursery.loads++;
	for (int i = 0; i < nursery.frozen_len; i++)
		nursery.frozen[i].is_asked = false;
	if (!write_order(order))
		fr_nursery_forget();
	error = go_on();
	if (error)
		fr_nursery_stop();
	return error;
}

void fr_nursery_stop(void)
{
	if (nursery.loader > 0)
		(void)kill(nursery.loader, SIGKILL);
	nursery.is_loading = false;
	nursery.asked = -1;
	close_control(&nursery.control);
	close_fd(&nursery.loader_control);
}

/* The loader's socket becomes that of the process that it has frozen. */
static void keep_frozen(const struct report *report)
{
	if (nursery.frozen_len >= nursery.max_frozen) {
		int oldest = 0;

		for (int i = 1; i < nursery.frozen_len; i++) {
			if (nursery.frozen[i].last_use < nursery.frozen[oldest].last_use)
				oldest = i;
		}
		drop_frozen(oldest);
	}
	nursery.frozen[nursery.frozen_len++] = (struct frozen){
		.pid = report->pid,
		.fd = nursery.control,
		.uses = report->uses,
		.last_use = nursery.loads,
	};
	nursery.control = -1;
}

/* A loader has reported itself: it was the one that was asked who went on. */
static void take_loader(const struct report *report)
{
	nursery.loader = report->pid;
	follow_loader();
	fr_output_forked(nursery.order.wids[0]);
	close_fd(&nursery.loader_control);
	if (nursery.asked >= 0) {
		nursery.frozen[nursery.asked].last_use = nursery.loads;
		nursery.resumed_at = nursery.frozen[nursery.asked].uses;
	}
	nursery.asked = -1;
}

/* What the loader says. Returns whether all workers have been born. */
static bool hear_loader(void)
{
	bool is_born = false;
	struct report report;

	while (nursery.control >= 0) {
		ssize_t len = recv(nursery.control, &report, sizeof(report), MSG_DONTWAIT);

		if (len < 0)
			break;
		if (len != (ssize_t)sizeof(report)) { /* closed: nothing was frozen */
			close_control(&nursery.control);
			break;
		}
		report.reason[sizeof(report.reason) - 1] = '\0';
		if (report.kind == REPORT_LOADER)
			take_loader(&report);
		else if (report.kind == REPORT_NOT_FROZEN)
			memcpy(nursery.reason, report.reason, sizeof(nursery.reason));
		else if (report.kind == REPORT_FROZEN)
			keep_frozen(&report);
		else if (report.kind == REPORT_BORN_AND_FROZEN) {
			keep_frozen(&report);
			is_born = true;
		}
	}
	return is_born;
}

/* Those who are frozen say something only when asked: that they are of no use any more. */
static void hear_frozen(void)
{
	for (int i = nursery.frozen_len - 1; i >= 0; i--) {
		struct report report;
		ssize_t len = recv(nursery.frozen[i].fd, &report, sizeof(report), MSG_DONTWAIT);
		bool was_asked = nursery.asked == i;

		if (len < 0)
			continue;
		if (len > 0) {
			report.reason[sizeof(report.reason) - 1] = '\0';
			snprintf(nursery.reason, sizeof(nursery.reason), "%s", report.reason);
		}
		drop_frozen(i); /* stale, or gone */
		if (was_asked && nursery.is_loading && nursery.loader == 0)
			(void)go_on();
	}
}

enum fr_nursery_state fr_nursery_step(int *ret_status)
{
	bool is_born = hear_loader();
	int status = -1; /* unknown, where uWSGI has reaped the loader first: the slots will tell */

	*ret_status = -1;
	hear_frozen();
	if (is_born) {
		nursery.is_loading = false;
		nursery.loader = 0; /* it is one of the frozen now */
		return FR_NURSERY_BORN;
	}
	if (nursery.loader <= 0 || waitpid(nursery.loader, &status, WNOHANG) == 0)
		return nursery.is_loading ? FR_NURSERY_LOADING : FR_NURSERY_IDLE;
	if (kill(nursery.loader, 0) == 0)
		return nursery.is_loading ? FR_NURSERY_LOADING : FR_NURSERY_IDLE; /* not our child yet */
	nursery.loader = 0;
	if (!nursery.is_loading)
		return FR_NURSERY_IDLE;
	(void)hear_loader();
	nursery.is_loading = false;
	*ret_status = status;
	if (status == -1 || (WIFEXITED(status) && WEXITSTATUS(status) == FR_EXIT_BORN))
		return FR_NURSERY_BORN;
	return WIFEXITED(status) && WEXITSTATUS(status) == FR_EXIT_UNSUITABLE ? FR_NURSERY_UNSUITABLE :
										FR_NURSERY_FAILED;
}

/* ---- the loader's side ---- */

static void tell(int fd, int kind, const char *reason)
{
	struct report report = {.kind = kind, .pid = getpid()};

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

/* Sockets, pipes, and what has no name in any folder (an epoll, an eventfd): two processes cannot both go on with one. */
static bool is_shareable(int fd)
{
	struct stat st;

	if (fd == loader.control || fd >= 8192 ||
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
	if (count_threads() != 1)
		return "the application starts threads while it is loaded";
	if (!each_fd(is_shareable))
		return "the application opens connections while it is loaded";
	return NULL;
}

static void replace_fd(int fd, int with)
{
	if (fd >= 0 && with >= 0)
		(void)dup2(with, fd);
}

/* Lets go of what others may wait for: the sockets that uWSGI listens on, and the log. The numbers stay taken. */
static void let_go(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (struct uwsgi_socket *sock = uwsgi.sockets; sock; sock = sock->next)
		replace_fd(sock->fd, null);
	for (struct uwsgi_gateway_socket *sock = uwsgi.gateway_sockets; sock; sock = sock->next)
		replace_fd(sock->fd, null);
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
 * While an application is loaded, uWSGI's plugins hold pointers into the slot that it is loaded in (init_uwsgi_app in the Python plugin: its entry
 * in apps, the request), on the stack, and so in every copy of the process. That is why the loader has a slot of its own, always the
 * same one. What stands there, and in the slot's rows of other shared tables, is saved when a process is frozen, because the next loader will write there.
 */
static void save_rows(void)
{
	size_t row = (size_t)nursery.wid;

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
	memcpy(loader.rpc, &uwsgi.rpc_table[row * uwsgi.rpc_max], sizeof(*loader.rpc) * uwsgi.rpc_max);
}

/* wid 0 in a signal's entry: a copy of what was there before the fork, which every process may run (core/signal.c, uwsgi_signal_handler). */
static void restore_rows(int wid, uint32_t signal_wid)
{
	size_t row = (size_t)wid;

	uwsgi.workers[row].apps_cnt = loader.apps_len;
	ushared->rpc_count[row] = loader.rpc_len;
	memcpy(uwsgi.workers[row].apps, loader.apps, sizeof(*loader.apps) * (size_t)uwsgi.max_apps);
	memcpy(uwsgi.workers[row].cores[0].ts, loader.thread_states, thread_states_size());
	memcpy(&ushared->signal_table[row * 256], loader.signals, sizeof(*loader.signals) * 256);
	memcpy(&uwsgi.rpc_table[row * uwsgi.rpc_max], loader.rpc, sizeof(*loader.rpc) * uwsgi.rpc_max);
	for (size_t sig = 0; sig < 256; sig++) {
		if (ushared->signal_table[row * 256 + sig].handler)
			ushared->signal_table[row * 256 + sig].wid = signal_wid;
	}
}

static void take_slot(void)
{
	uwsgi.mywid = nursery.wid;
	uwsgi.mypid = getpid();
	uwsgi.wsgi_req = &uwsgi.workers[nursery.wid].cores[0].req;
	uwsgi.current_time = uwsgi_now();
}

/* Waits for an order. Ends with the master, however that ends: then the socket closes. */
static void wait_for_order(int *fds, int *ret_fds_len)
{
	char space[CMSG_SPACE(sizeof(int) * FR_NURSERY_MAX_FDS)];
	struct iovec iov = {&nursery.order, sizeof(nursery.order)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	struct cmsghdr *header;
	ssize_t len;

	do {
		len = recvmsg(loader.control, &message, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	header = len > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_type != SCM_RIGHTS)
		_exit(0);
	*ret_fds_len = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(fds, CMSG_DATA(header), sizeof(int) * (size_t)*ret_fds_len);
}

/* The first file that this process has read and that is not as it was any more; NULL: there is none, so it is as good as a new one. */
static const char *outdated_by(void)
{
	const char *path = nursery.order.text;
	const char *changed = "?";

	for (uint32_t i = 0; i < nursery.order.changed_len; i++) {
		if (*path && fr_uses_has(loader.uses, path))
			return path;
		path += strlen(path) + 1;
	}
	return fr_uses_are_current(loader.uses, &changed) ? NULL : changed;
}

/* A copy of a frozen process goes on: it takes the order's descriptors, and the first of its slots. */
static void thaw(const int *fds, int fds_len)
{
	struct uwsgi_socket *sock = uwsgi.sockets;

	close(loader.control);
	loader.control = fds[0];
	replace_fd(1, fds[1]);
	replace_fd(2, fds[1]);
	close(fds[1]);
	for (int i = 2; i < fds_len && sock; sock = sock->next) {
		if (sock->fd < 0)
			continue;
		replace_fd(sock->fd, fds[i]);
		close(fds[i++]);
	}
	loader.has_frozen = false;
	take_slot();
	restore_rows(nursery.wid, (uint32_t)nursery.wid);
	*uwsgi.wsgi_req = loader.request;
	tell(loader.control, REPORT_LOADER, "");
}

/*
 * Waits, and makes a copy of itself whenever an order comes; returns in the copies. They are forked twice, so that the master becomes their parent. python: this is
 * inside of Python, which wants to know about forks.
 */
static void stay_frozen(bool in_python)
{
	int fds[FR_NURSERY_MAX_FDS], fds_len;

	let_go();
	save_rows();
	for (;;) {
		const char *changed;
		pid_t middle;

		wait_for_order(fds, &fds_len);
		changed = outdated_by();
		if (changed) {
			tell(loader.control, REPORT_STALE, changed);
			_exit(0);
		}
		if (in_python)
			fr_python_before_fork();
		middle = fork();
		if (middle == 0 && fork() != 0)
			_exit(0);
		if (in_python)
			fr_python_after_forking(middle == 0);
		if (middle == 0) {
			thaw(fds, fds_len);
			return;
		}
		if (middle > 0)
			(void)waitpid(middle, NULL, 0);
		for (int i = 0; i < fds_len; i++)
			close(fds[i]);
	}
}

/* Called by the agent, just before the edited module is imported. */
static int freeze(void)
{
	static char before[FR_NURSERY_TEXT];
	const char *reason = unsuitable();
	pid_t pid;

	if (reason) {
		tell(loader.control, REPORT_NOT_FROZEN, reason);
		return 0;
	}
	snprintf(before, sizeof(before), "%s", nursery.order.text);
	pid = fr_python_fork();
	if (pid != 0) {
		loader.has_frozen = pid > 0;
		return 0;
	}
	tell(loader.control, REPORT_FROZEN, "");
	stay_frozen(true);
	if (strcmp(nursery.order.text, before) != 0 && nursery.order.text[0])
		(void)fr_python_freeze_before(nursery.order.text, freeze);
	return 1;
}

/* The rest of a worker's life is uWSGI's. */
__attribute__((noreturn)) static void become_worker(int wid, uint32_t ticket)
{
	if (fr_board_get(&fr_board_slot(wid)->ticket) != ticket)
		_exit(0); /* the master has given this load up */
	uwsgi.workers[wid].pid = getpid();
	uwsgi.workers[wid].cheaped = 1;
	close(loader.control);
	restore_rows(wid, 0);
	uwsgi.lazy_apps = 0; /* what there is to load has been loaded */
	uwsgi_run();
	_exit(1);
}

/* Through a process in between, which exits: then the worker is the master's child. It must not outlive this one and touch the slot. */
static bool fork_worker(int wid)
{
	uint32_t ticket = fr_board_get(&fr_board_slot(wid)->ticket);
	pid_t self = getpid(), middle = fork();
	int status;

	if (middle == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(1);
		if (uwsgi_respawn_worker(wid))
			become_worker(wid, ticket);
		uwsgi.workers[wid].cheaped = 1; /* if it dies now, nobody respawns it */
		_exit(uwsgi.workers[wid].pid > 0 ? 0 : 1);
	}
	return middle > 0 && waitpid(middle, &status, 0) == middle && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static void fork_workers(void)
{
	for (uint32_t i = 0; i < nursery.order.wids_len; i++) {
		if (!fork_worker(nursery.order.wids[i]))
			_exit(1);
	}
}

/* An edit of a module that is imported only by the workers, when they need it: then all that is loaded can stay. */
static bool is_worth_keeping(void)
{
	const char *wanted = nursery.order.text;

	return *wanted && !loader.has_frozen && !fr_uses_has(loader.uses, wanted) && !unsuitable() &&
	       nursery.max_frozen > 0 && uwsgi_endswith((char *)wanted, (char *)".py");
}

__attribute__((noreturn)) static void finish(void)
{
	const char *reason;
	bool is_kept;

	fr_python_end_load();
	if ((uint32_t)uwsgi_apps_cnt < nursery.order.apps)
		_exit(FR_EXIT_NO_APP);
	reason = nursery.must_be_clean ? unsuitable() : NULL;
	if (reason) {
		tell(loader.control, REPORT_NOT_FROZEN, reason);
		_exit(FR_EXIT_UNSUITABLE);
	}
	is_kept = is_worth_keeping();
	save_rows();
	fork_workers();
	if (!is_kept)
		_exit(FR_EXIT_BORN);
	tell(loader.control, REPORT_BORN_AND_FROZEN, "");
	stay_frozen(false);
	fork_workers();
	_exit(FR_EXIT_BORN);
}

/* uWSGI itself may read files that make up the application (wsgi-file, mount, …), and Python is not asked about those. */
static void note_files_of_options(void)
{
	for (int i = 0; i < uwsgi.exported_opts_cnt; i++) {
		const char *value = uwsgi.exported_opts[i]->value;
		const char *file = value ? strrchr(value, '=') : NULL;
		char *path = value ? realpath(file ? file + 1 : value, NULL) : NULL;

		if (path && nursery.uses_hooks->is_watched(nursery.uses_ctx, path) &&
		    !nursery.uses_hooks->is_noise(nursery.uses_ctx, path))
			fr_uses_note(loader.uses, path);
		free(path);
	}
}

static void load_from_the_beginning(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT};
	const char *wanted = nursery.order.text;

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_DFL);
	loader.control = nursery.loader_control;
	fr_output_redirect(nursery.order.wids[0]);
	fr_python_after_fork();
	take_slot();
	uwsgi.workers[nursery.wid].apps_cnt = 0;
	ushared->rpc_count[nursery.wid] = 0;
	memset(&ushared->signal_table[nursery.wid * 256], 0, sizeof(struct uwsgi_signal_entry) * 256);
	memset(uwsgi.wsgi_req, 0, sizeof(*uwsgi.wsgi_req));
	(void)each_fd(note_fd);
	if (fr_uses_new(nursery.uses_hooks, nursery.uses_ctx, &loader.uses) < 0)
		_exit(1);
	note_files_of_options();
	if (fr_python_note_uses(loader.uses) && *wanted && nursery.max_frozen > 0)
		(void)fr_python_freeze_before(wanted, freeze);
	uwsgi_init_all_apps();
	finish();
}
