/*
 * nursery: loads the application once for a whole generation. See nursery.h.
 *
 * This is the master's side; what happens in the loader and in its frozen copies is in loader.c.
 * They talk through sockets that close when either side ends, in whatever way.
 */
#include <uwsgi.h>

#include <sys/prctl.h>

#include "reload/board.h"
#include "reload/census.h"
#include "reload/loader.h"
#include "reload/nursery.h"
#include "reload/output.h"
#include "reload/python.h"
#include "reload/wake.h"

extern struct uwsgi_server uwsgi;

/* Before what was edited; and on the way: the first, from which nearly every edit can go on, and
 * the last. */
#define FR_NURSERY_MAX_FROZEN 16
#define FR_NURSERY_MILESTONES 2

struct frozen {
	pid_t pid;
	int fd;
	uint32_t uses;     /* how far it had come */
	uint64_t last_use; /* in loads */
	uint64_t inside;   /* in which load it was frozen in the module that was edited; 0: it was
			      not */
	bool is_asked;     /* for the load that is being started */
	bool is_likely;    /* to be what the next load goes on from */
	int64_t own_kib;   /* memory, when it last looked */
	bool is_milestone; /* before no module in particular */
};

static struct {
	struct fr_loader_setup setup;
	struct fr_nursery_limits limits;
	struct frozen frozen[FR_NURSERY_MAX_FROZEN + FR_NURSERY_MILESTONES];
	int frozen_len;
	uint64_t loads;

	int good; /* leads to the process that was frozen when the serving code was loaded; -1 */
	bool is_good_awaited; /* the code serves, and its process has not been heard of yet */
	int new_good;         /* the same of the code that does not serve yet; -1 */

	/* The load under way. */
	bool is_loading;   /* its outcome is awaited */
	pid_t loader;      /* 0: not known yet, or it has ended */
	int ours;          /* our end of FR_FD_TALK; -1: closed */
	int theirs;        /* the other end, until the loader has it */
	int asked;         /* the place of the frozen process that was asked to go on, until it has
			      confirmed that what it had read is current; -1: none */
	bool must_restart; /* it goes on from what is outdated: once it has ended, from elsewhere */
	bool has_ended;    /* the loader has been reaped, with */
	int status;        /* as of waitpid(2); -1: not known */
	int exit_code;     /* as the loader has said; -1: it has not */
	uint32_t resumed_at;
	bool resumed_inside;
	char heaviest[160]; /* see fr_nursery_heaviest; "": none */
	int heaviest_ms;
	struct fr_order order;
	char slow[PATH_MAX]; /* the source that takes long to execute, of those edited the last
				one; "": none */
	char reason[160];
} nursery = {.ours = -1, .theirs = -1, .good = -1, .new_good = -1, .asked = -1};

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
	return uwsgi.numproc > FR_LOADER_MAX_WIDS ? "there are too many workers" : NULL;
}

void fr_nursery_open(int wid, const struct fr_nursery_limits *limits, bool must_be_clean,
		     const struct fr_uses_hooks *hooks, void *ctx, struct fr_tree *tree)
{
	nursery.limits = *limits;
	if (nursery.limits.before_edited > FR_NURSERY_MAX_FROZEN)
		nursery.limits.before_edited = FR_NURSERY_MAX_FROZEN;
	nursery.setup = (struct fr_loader_setup){
		.wid = wid,
		.may_freeze_edited = limits->before_edited > 0,
		.may_freeze_on_way = limits->on_the_way,
		.preload = limits->preload,
		.must_be_clean = must_be_clean,
		.uses_hooks = hooks,
		.uses_ctx = ctx,
		.tree = tree,
	};
}

void fr_nursery_enter_loop(void)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* ---- sockets ---- */

static void close_theirs(void)
{
	if (nursery.theirs >= 0)
		close(nursery.theirs);
	nursery.theirs = -1;
}

static void close_watched(int *fd)
{
	if (*fd < 0)
		return;
	fr_wake_unwatch_output(*fd);
	close(*fd);
	*fd = -1;
}

static void watch(int fd)
{
	uwsgi_socket_nb(fd);
	fr_wake_watch_output(fd);
}

static int open_socket(void)
{
	int fds[2];

	close_watched(&nursery.ours);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	nursery.ours = fds[0];
	nursery.theirs = fds[1];
	watch(fds[0]);
	return 0;
}

/* 1 and a report, 0: nothing yet, -1: the other side has closed. *ret_fd: what came with it, or
 * -1. */
static int hear(int fd, struct fr_report *ret_report, int *ret_fd)
{
	char space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {ret_report, sizeof(*ret_report)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	ssize_t len = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = len > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	*ret_fd = -1;
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));
	if (len == (ssize_t)sizeof(*ret_report)) {
		ret_report->reason[sizeof(ret_report->reason) - 1] = '\0';
		return 1;
	}
	return len < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* Of an order that is none to load. Whoever does not hear it has ended, or will. */
static void send_hint(const struct frozen *frozen, uint32_t kind)
{
	(void)send(frozen->fd, &kind, sizeof(kind), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void keep_reason(const struct fr_report *report)
{
	memcpy(nursery.reason, report->reason, sizeof(nursery.reason));
}

/* ---- those who are frozen ---- */

/* It ends when its socket closes, and whoever is its parent then reaps it. */
static void drop_frozen(int place)
{
	close_watched(&nursery.frozen[place].fd);
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

static int least_recently_used(void)
{
	int oldest = -1;

	for (int i = 0; i < nursery.frozen_len; i++) {
		if (!nursery.frozen[i].is_milestone &&
		    (oldest < 0 || nursery.frozen[i].last_use < nursery.frozen[oldest].last_use))
			oldest = i;
	}
	return oldest;
}

/* They stand in the order in which they were frozen. */
static int last_milestone(void)
{
	int last = -1;

	for (int i = 0; i < nursery.frozen_len; i++) {
		if (nursery.frozen[i].is_milestone)
			last = i;
	}
	return last;
}

/* In a module one is enough: behind the last of what takes long. */
static void drop_inside(void)
{
	for (int i = nursery.frozen_len - 1; i >= 0; i--) {
		if (nursery.frozen[i].inside == nursery.loads)
			drop_frozen(i);
	}
}

static void make_room(bool is_milestone)
{
	int len = 0;

	for (int i = 0; i < nursery.frozen_len; i++)
		len += nursery.frozen[i].is_milestone == is_milestone;
	if (is_milestone && len >= FR_NURSERY_MILESTONES)
		drop_frozen(last_milestone());
	else if (!is_milestone && len >= nursery.limits.before_edited)
		drop_frozen(least_recently_used());
}

int64_t fr_nursery_memory(void)
{
	int64_t kib = 0;

	for (int i = 0; i < nursery.frozen_len; i++)
		kib += nursery.frozen[i].own_kib;
	return kib;
}

/* Whoever was of use last stays longest; of those of one load, the one that is likely to be the
 * next. */
static int least_useful(void)
{
	int least = 0;

	for (int i = 1; i < nursery.frozen_len; i++) {
		const struct frozen *one = &nursery.frozen[i], *other = &nursery.frozen[least];

		if (one->last_use < other->last_use ||
		    (one->last_use == other->last_use && !one->is_likely && other->is_likely))
			least = i;
	}
	return least;
}

static void keep_within_memory(void)
{
	static bool is_said;

	while (nursery.frozen_len > 0 && fr_nursery_memory() > nursery.limits.memory_kib) {
		if (nursery.frozen_len == 1 && !is_said) {
			is_said = true;
			uwsgi_log_verbose("[fastreload] a snapshot has %lld MiB of memory of its "
					  "own, more than --fastreload-memory allows: there are "
					  "none while that is so\n",
					  (long long)nursery.frozen[0].own_kib / 1024);
		}
		drop_frozen(least_useful());
	}
}

/*
 * A load is over. People edit the same file again and again: whoever was frozen last in this load,
 * or has gone on, gets ready for the next one.
 */
static void prepare_next(void)
{
	int next = -1;

	for (int i = 0; i < nursery.frozen_len; i++) {
		if (nursery.frozen[i].last_use == nursery.loads && nursery.frozen[i].is_likely &&
		    (next < 0 || nursery.frozen[i].uses > nursery.frozen[next].uses))
			next = i;
	}
	for (int i = 0; next >= 0 && i < nursery.frozen_len; i++)
		send_hint(&nursery.frozen[i], i == next ? FR_ORDER_STAND_BY : FR_ORDER_STAND_DOWN);
}

static void note_good(int fd)
{
	close_watched(&nursery.new_good);
	nursery.new_good = fd;
	if (fd >= 0)
		watch(fd);
	/* The outcome of the load has been heard before: it may be known what comes of it. */
	if (nursery.is_good_awaited)
		fr_nursery_keep_good();
}

void fr_nursery_keep_good(void)
{
	nursery.is_good_awaited = nursery.new_good < 0;
	close_watched(&nursery.good); /* that is old code from now on */
	nursery.good = nursery.new_good;
	nursery.new_good = -1;
}

void fr_nursery_forget_good(void)
{
	nursery.is_good_awaited = false;
	close_watched(&nursery.good);
	close_watched(&nursery.new_good);
}

bool fr_nursery_has_good(void)
{
	return nursery.good >= 0;
}

/* It says nothing; but it may end. */
static void hear_good(int *fd)
{
	struct fr_report report = {0};
	int none;

	if (*fd >= 0 && hear(*fd, &report, &none) < 0)
		close_watched(fd);
}

/* The loader has frozen a copy of itself: fd leads to that. */
static void note_frozen(const struct fr_report *report, int fd)
{
	if (fd < 0)
		return;
	if (report->kind == FR_REPORT_INSIDE)
		drop_inside();
	make_room(report->kind == FR_REPORT_MILESTONE);
	nursery.frozen[nursery.frozen_len++] = (struct frozen){
		.pid = report->pid,
		.fd = fd,
		.uses = report->uses,
		.last_use = nursery.loads,
		.inside = report->kind == FR_REPORT_INSIDE ? nursery.loads : 0,
		.is_asked = true,
		.is_milestone = report->kind == FR_REPORT_MILESTONE,
		.is_likely = report->kind != FR_REPORT_MILESTONE,
	};
	watch(fd);
}

/* ---- a load ---- */

const char *fr_nursery_reason(void)
{
	return nursery.reason;
}

size_t fr_nursery_resumed_at(void)
{
	return nursery.resumed_at;
}

bool fr_nursery_resumed_inside(void)
{
	return nursery.resumed_inside;
}

bool fr_nursery_is_busy(void)
{
	return nursery.is_loading || nursery.loader > 0 || nursery.ours >= 0;
}

const char *fr_nursery_heaviest(int *ret_ms)
{
	*ret_ms = nursery.heaviest_ms;
	return nursery.heaviest[0] ? nursery.heaviest : NULL;
}

void fr_nursery_close_in_child(void)
{
	for (int i = 0; i < nursery.frozen_len; i++)
		close(nursery.frozen[i].fd);
	if (nursery.ours >= 0)
		close(nursery.ours);
	if (nursery.good >= 0)
		close(nursery.good);
	if (nursery.new_good >= 0)
		close(nursery.new_good);
	fr_census_close_in_child();
	nursery.frozen_len = 0;
	nursery.good = nursery.new_good = -1;
	nursery.ours = -1;
}

static void write_tickets(void)
{
	for (uint32_t i = 0; i < nursery.order.wids_len; i++)
		nursery.order.tickets[i] =
			fr_board_get(&fr_board_slot(nursery.order.wids[i])->ticket);
}

/* False: nobody who is frozen could check that, because it is not known or too much. */
static bool write_order(const struct fr_nursery_order *wanted)
{
	struct fr_order *order = &nursery.order;
	size_t used;

	order->kind = FR_ORDER_LOAD;
	order->wids_len = (uint32_t)wanted->wids_len;
	for (int i = 0; i < wanted->wids_len; i++)
		order->wids[i] = wanted->wids[i];
	write_tickets();
	order->apps = wanted->apps;
	order->paths_len = 1;
	snprintf(order->text, sizeof(order->text), "%s", wanted->wanted ? wanted->wanted : "");
	used = strlen(order->text) + 1;
	order->is_slow = nursery.slow[0] && strcmp(nursery.slow, order->text) == 0;
	for (size_t i = 0; wanted->changed && i < wanted->changed_len; i++) {
		size_t size = strlen(wanted->changed[i]) + 1;

		if (used + size > sizeof(order->text))
			return false;
		memcpy(order->text + used, wanted->changed[i], size);
		used += size;
		order->paths_len++;
	}
	return wanted->changed != NULL;
}

static size_t order_size(const struct fr_order *order)
{
	const char *end = order->text;

	for (uint32_t i = 0; i < order->paths_len; i++)
		end += strlen(end) + 1;
	return (size_t)(end - (const char *)order);
}

/* uWSGI's sockets in the order of its list: a frozen process has let go of them. */
static int list_fds(const struct fr_order *order, int *fds)
{
	int len = FR_FDS;

	fds[FR_FD_OUTPUT] = fr_output_writer((int)order->wids[0]);
	/* Of a worker that is brought forth again nothing is to be said. */
	fds[FR_FD_TALK] = order->kind == FR_ORDER_LOAD ? nursery.theirs : fds[FR_FD_OUTPUT];
	for (struct uwsgi_socket *sock = uwsgi.sockets; sock && len < FR_LOADER_MAX_FDS;
	     sock = sock->next) {
		if (sock->fd >= 0)
			fds[len++] = sock->fd;
	}
	return len;
}

static bool send_order(int fd, const struct fr_order *order)
{
	char space[CMSG_SPACE(sizeof(int) * FR_LOADER_MAX_FDS)] = {0};
	struct iovec iov = {(void *)order, order_size(order)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space};
	int fds[FR_LOADER_MAX_FDS];
	int len = list_fds(order, fds);
	struct cmsghdr *header;

	if (fds[FR_FD_OUTPUT] < 0)
		return false;
	message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)len);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)len);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)len);
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

/* The loader has what was made for it, and is process pid. */
static void note_loader(pid_t pid)
{
	nursery.loader = pid;
	fr_wake_follow_other(FR_WAKE_LOADER, pid);
	fr_output_forked(nursery.order.wids[0]);
	close_theirs();
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
		fr_loader_run(&nursery.setup, &nursery.order, nursery.theirs);
	if (pid < 0)
		return -errno;
	note_loader(pid);
	return 0;
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

/* Asks whoever is frozen and has come furthest, and if nobody is left, begins at the beginning. */
static int go_on(void)
{
	int place;

	while ((place = furthest()) >= 0) {
		nursery.frozen[place].is_asked = true;
		if (send_order(nursery.frozen[place].fd, &nursery.order)) {
			nursery.frozen[place].is_likely = true;
			nursery.frozen[place].last_use = nursery.loads;
			nursery.asked = place;
			nursery.resumed_at = nursery.frozen[place].uses;
			nursery.resumed_inside = nursery.frozen[place].inside > 0;
			close_theirs(); /* if who has taken the order dies, that is heard */
			return 0;
		}
		drop_frozen(place);
	}
	nursery.asked = -1;
	nursery.resumed_at = 0;
	nursery.resumed_inside = false;
	return fork_loader();
}

static int begin(void)
{
	int error = open_socket();

	nursery.loader = 0;
	nursery.asked = -1;
	nursery.must_restart = false;
	nursery.is_good_awaited = false;
	nursery.heaviest[0] = '\0';
	close_watched(&nursery.new_good);
	nursery.has_ended = false;
	nursery.status = nursery.exit_code = -1;
	return error ? error : go_on();
}

int fr_nursery_start(const struct fr_nursery_order *order)
{
	int error;

	nursery.is_loading = true;
	nursery.reason[0] = '\0';
	nursery.loads++;
	for (int i = 0; i < nursery.frozen_len; i++)
		nursery.frozen[i].is_asked = false;
	if (!write_order(order))
		fr_nursery_forget();
	error = begin();
	if (error)
		fr_nursery_stop();
	return error;
}

bool fr_nursery_respawn(int wid)
{
	static struct fr_order order = {.kind = FR_ORDER_RESPAWN, .wids_len = 1};
	bool is_sent;

	if (nursery.good < 0)
		return false;
	order.wids[0] = wid;
	order.tickets[0] = fr_board_get(&fr_board_slot(wid)->ticket);
	fr_output_begin(wid);
	is_sent = send_order(nursery.good, &order);
	fr_output_forked(wid);
	return is_sent;
}

/* It may not have named itself yet; it is killed as soon as it does, and until its socket closes
 * this is not over. */
void fr_nursery_stop(void)
{
	if (nursery.loader > 0 && nursery.is_loading)
		fr_wake_kill_other(FR_WAKE_LOADER, nursery.loader);
	nursery.is_loading = false;
	nursery.must_restart = false;
	nursery.asked = -1;
	close_theirs();
}

void fr_nursery_give_up(void)
{
	if (nursery.loader <= 0 && nursery.asked >= 0)
		(void)kill(nursery.frozen[nursery.asked].pid, SIGKILL);
	fr_nursery_stop();
}

/* The load went on, or would have, from what is outdated. It ends, with all that it may have said;
 * whether it has named itself yet or not, its socket closes then. */
static void end_outdated(void)
{
	nursery.must_restart = true;
	close_theirs();
	if (nursery.loader > 0)
		fr_wake_kill_other(FR_WAKE_LOADER, nursery.loader);
}

/* From somebody else who is frozen, or from the beginning. New tickets: whatever became of the
 * other load comes too late. */
static int restart(void)
{
	for (uint32_t i = 0; i < nursery.order.wids_len; i++)
		fr_board_clear(nursery.order.wids[i]);
	write_tickets();
	fr_output_begin(nursery.order.wids[0]);
	return begin();
}

/* The one that was asked goes on. */
static void note_resumed(pid_t pid)
{
	note_loader(pid);
	if (!nursery.is_loading || nursery.must_restart)
		fr_wake_kill_other(FR_WAKE_LOADER, pid); /* it was given up meanwhile */
}

/* The loader has imported half of something, and ends; another one begins without. */
static void give_preload_up(const struct fr_report *report)
{
	nursery.setup.preload = NULL;
	nursery.must_restart = true;
	uwsgi_log_verbose("[fastreload] --fastreload-preload: %s; nothing is preloaded\n",
			  report->reason);
}

/* What the loader says, up to the outcome; FR_NURSERY_LOADING: none yet. */
static enum fr_nursery_state hear_loader(void)
{
	struct fr_report report = {0};
	int heard, fd;

	while ((heard = hear(nursery.ours, &report, &fd)) > 0) {
		switch (report.kind) {
		case FR_REPORT_LOADER:
			note_resumed(report.pid);
			break;
		case FR_REPORT_FROZEN:
		case FR_REPORT_INSIDE:
		case FR_REPORT_MILESTONE:
			note_frozen(&report, fd);
			break;
		case FR_REPORT_GOOD:
			note_good(fd);
			break;
		case FR_REPORT_READ:
			fr_census_receive(fd);
			break;
		case FR_REPORT_SLOW:
			snprintf(nursery.slow, sizeof(nursery.slow), "%.*s", PATH_MAX - 1,
				 nursery.order.text);
			break;
		case FR_REPORT_HEAVY:
			memcpy(nursery.heaviest, report.reason, sizeof(nursery.heaviest));
			nursery.heaviest_ms = (int)report.uses;
			break;
		case FR_REPORT_BORN:
			return FR_NURSERY_BORN;
		case FR_REPORT_NO_APP:
			return FR_NURSERY_NO_APP;
		case FR_REPORT_NOT_PRELOADED:
			give_preload_up(&report);
			break;
		case FR_REPORT_UNSUITABLE:
			keep_reason(&report);
			return FR_NURSERY_UNSUITABLE;
		case FR_REPORT_EXIT:
			nursery.exit_code = (int)report.uses;
			break;
		case FR_REPORT_NOT_FROZEN:
			keep_reason(&report);
			break;
		default:
			break;
		}
	}
	return heard < 0 ? FR_NURSERY_FAILED : FR_NURSERY_LOADING;
}

/*
 * They say something only when asked: that they are of no use any more, or that they are. One that
 * was killed while its copy goes on is not missed, because the copy looks for itself then; but
 * nobody may have taken the order up.
 */
static void hear_frozen(void)
{
	for (int i = nursery.frozen_len - 1; i >= 0; i--) {
		bool is_awaited = nursery.asked == i && nursery.is_loading;
		struct fr_report report = {0};
		int fd;
		int heard = hear(nursery.frozen[i].fd, &report, &fd);

		if (heard > 0 && report.kind == FR_REPORT_MEMORY) {
			nursery.frozen[i].own_kib = report.uses;
			continue;
		}
		if (heard > 0 && report.kind == FR_REPORT_CURRENT) {
			if (nursery.asked == i)
				nursery.asked = -1;
			continue;
		}
		if (heard == 0)
			continue;
		if (heard > 0)
			keep_reason(&report);
		drop_frozen(i);
		if (is_awaited && (heard > 0 || nursery.loader <= 0))
			end_outdated();
	}
}

/* The loader may be our child, or a frozen process's; uWSGI's loop may have reaped it before us. */
static void reap_loader(void)
{
	if (nursery.loader <= 0 ||
	    (waitpid(nursery.loader, &nursery.status, WNOHANG) != nursery.loader &&
	     kill(nursery.loader, 0) == 0))
		return;
	nursery.has_ended = true;
	nursery.loader = 0;
	fr_wake_follow_other(FR_WAKE_LOADER, 0);
}

/* Is there anything still to come? Its status, which tells why it has ended; or whether it went on
 * from what is outdated, so that its end means nothing. */
static bool is_more_awaited(void)
{
	return nursery.is_loading &&
	       (nursery.loader > 0 || (nursery.asked >= 0 && !nursery.must_restart));
}

/* What it said before it ended is still to be heard; then there is nothing more to come. */
static enum fr_nursery_state follow_loader(void)
{
	enum fr_nursery_state state = FR_NURSERY_LOADING;

	reap_loader();
	if (nursery.ours >= 0)
		state = hear_loader();
	if (state == FR_NURSERY_FAILED) {
		close_watched(&nursery.ours);
		/* Who took the order has not even named itself: nothing was loaded. */
		if (nursery.loader <= 0 && !nursery.has_ended && nursery.resumed_at > 0)
			nursery.must_restart = nursery.is_loading;
	}
	if (state == FR_NURSERY_LOADING && (nursery.has_ended || nursery.ours < 0))
		state = FR_NURSERY_FAILED;
	return state == FR_NURSERY_FAILED && is_more_awaited() ? FR_NURSERY_LOADING : state;
}

enum fr_nursery_state fr_nursery_step(int *ret_status)
{
	enum fr_nursery_state state;

	hear_frozen();
	hear_good(&nursery.good);
	hear_good(&nursery.new_good);
	state = follow_loader();
	if (!fr_nursery_is_busy())
		keep_within_memory();
	/* As waitpid(2) has it. */
	*ret_status = nursery.exit_code >= 0 ? nursery.exit_code << 8 : nursery.status;
	if (!nursery.is_loading) {
		if (state == FR_NURSERY_FAILED)
			close_watched(&nursery.ours);
		return FR_NURSERY_IDLE;
	}
	if (state != FR_NURSERY_LOADING && nursery.must_restart)
		state = restart() < 0 ? FR_NURSERY_FAILED : FR_NURSERY_LOADING;
	if (state != FR_NURSERY_LOADING) {
		nursery.is_loading = false;
		if (state != FR_NURSERY_BORN) /* else there may be more to hear */
			close_watched(&nursery.ours);
		prepare_next();
	}
	return state;
}
