/*
 * frozen: a copy of a loader that waits, and the copies of it that go on. See frozen.h.
 */
#include <uwsgi.h>

#include <sched.h>
#include <sys/prctl.h>

#include "reload/frozen.h"
#include "reload/imports.h"
#include "reload/pages.h"
#include "reload/python.h"
#include "reload/rows.h"
#include "watch/opens.h"
#include "watch/uses.h"

extern struct uwsgi_server uwsgi;

/* After an order to stand by, until the copy for that is made: the workers of the last load have
 * better use for the processors at first. */
#define FR_FROZEN_REST_MS 150
/* So long the standby waits for its order. After that it gives its memory back, and the next order
 * costs the milliseconds that it would have saved. */
#define FR_FROZEN_IDLE_MS 60000

/* What a copy and its keeper say to each other, a byte. */
#define FR_FROZEN_GOES_ON 'g' /* the copy: it has an order, and its quick look found nothing */
#define FR_FROZEN_CURRENT 'c' /* the keeper: all that was read is as it was */
#define FR_FROZEN_STALE   's' /* either: it is not, and the master knows */
#define FR_FROZEN_LEAVES  'l' /* the copy: it was told that it is not needed */

static struct {
	struct fr_pages *pages;        /* that a load writes to */
	struct fr_pages *worker_pages; /* that a worker writes to when it begins to answer */
	struct fr_imports *imports;    /* that a load comes to */
	bool is_prepared;              /* they are compiled in this copy */
	size_t uses_len;               /* how many files had been read at the freeze */
	struct sigaction on_child;
	int policy; /* by which the processors are shared out, of all but the keeper */
	pid_t keeper;
	int link; /* between a copy and its keeper; -1: there is none */
} frozen = {.link = -1};

bool fr_frozen_tell(const struct fr_load *load, int fd, enum fr_report_kind kind,
		    const char *reason)
{
	struct fr_report report = {.kind = kind, .pid = getpid()};

	report.uses = (uint32_t)fr_uses_len(load->uses);
	snprintf(report.reason, sizeof(report.reason), "%s", reason);
	return send(fd, &report, sizeof(report), MSG_NOSIGNAL) > 0;
}

/* ---- descriptors ---- */

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

/* Puts the order's descriptors into their places. */
static void take_fds(struct fr_load *load, const int *fds, int fds_len)
{
	struct uwsgi_socket *sock = uwsgi.sockets;

	close(load->ice);
	load->ice = -1;
	load->talk = fds[FR_FD_TALK];
	replace_fd(1, fds[FR_FD_OUTPUT]);
	replace_fd(2, fds[FR_FD_OUTPUT]);
	close(fds[FR_FD_OUTPUT]);
	for (int i = FR_FDS; i < fds_len && sock; sock = sock->next) {
		if (sock->fd < 0)
			continue;
		replace_fd(sock->fd, fds[i]);
		close(fds[i++]);
	}
}

static void close_fds(const int *fds, int len)
{
	for (int i = 0; i < len; i++)
		close(fds[i]);
}

struct fr_pages *fr_frozen_worker_pages(void)
{
	return frozen.worker_pages;
}

bool fr_frozen_owns(int fd)
{
	return fd == frozen.link;
}

int fr_frozen_mappings(void)
{
	return (frozen.pages != NULL) + (frozen.worker_pages != NULL) + (frozen.imports != NULL);
}

static void close_link(void)
{
	if (frozen.link >= 0)
		close(frozen.link);
	frozen.link = -1;
}

/* ---- processors ---- */

/*
 * A keeper that is woken to look at files, as its copy goes on, must not take the processor from
 * that one: a process of this policy (sched(7)) preempts nobody. It may always be left again.
 */
static void yield_to_others(void)
{
	const struct sched_param none = {0};

	frozen.policy = sched_getscheduler(0);
	if (frozen.policy == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_BATCH, &none);
}

static void yield_no_more(void)
{
	const struct sched_param none = {0};

	if (frozen.policy == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_OTHER, &none);
}

/* ---- orders ---- */

/* Waits for an order. Ends with the master, however that ends: then the socket closes. */
static enum fr_order_kind wait_for_order(struct fr_load *load, int *fds, int *ret_fds_len)
{
	char space[CMSG_SPACE(sizeof(int) * FR_LOADER_MAX_FDS)];
	struct iovec iov = {&load->order, sizeof(load->order)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	struct cmsghdr *header;
	ssize_t len;

	do {
		len = recvmsg(load->ice, &message, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len <= 0)
		_exit(0);
	*ret_fds_len = 0;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS) {
		*ret_fds_len = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(header), sizeof(int) * (size_t)*ret_fds_len);
	}
	if (load->order.kind <= FR_ORDER_RESPAWN && *ret_fds_len < FR_FDS)
		_exit(0);
	return load->order.kind;
}

bool fr_frozen_knows_readers(const struct fr_load *load, const char *path)
{
	return uwsgi_endswith((char *)path, (char *)".py") || fr_opens_tells(load->opens, path);
}

/*
 * The first file that was read before the freeze and is surely not as it was: one of those that
 * the order names, or one in a watched folder. These are few. NULL: there is none. What is no
 * module, and was not read by Python, may have been read by a library in C.
 */
static const char *outdated_by(const struct fr_load *load)
{
	const char *path = load->order.text;
	const char *changed = NULL;

	for (uint32_t i = 0; i < load->order.paths_len; i++) {
		if (*path &&
		    (fr_uses_has(load->uses, path) || !fr_frozen_knows_readers(load, path)))
			return path;
		path += strlen(path) + 1;
	}
	if (fr_uses_are_current(load->uses, FR_USES_WATCHED, frozen.uses_len, &changed))
		return NULL;
	return changed ? changed : "?";
}

/* The edited module, where this is frozen in the middle of it, and it does not go on from there as
 * it was. NULL: it does. */
static const char *unfit(const struct fr_load *load)
{
	const char *aside = fr_uses_aside(load->uses);

	return aside && !fr_python_fits() ? aside : NULL;
}

/* The same of all files; the master is told what there is to tell. */
static bool are_uses_current(const struct fr_load *load)
{
	const char *changed = "?";
	bool is_current = fr_uses_are_current(load->uses, FR_USES_ALL, frozen.uses_len, &changed);

	(void)fr_frozen_tell(load, load->ice, is_current ? FR_REPORT_CURRENT : FR_REPORT_STALE,
			     is_current ? "" : changed);
	return is_current;
}

/* ---- the copies ---- */

/* Is this the copy? Else *ret_link leads to it. */
static pid_t make_copy(bool in_python, int *ret_link)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	pid = in_python ? fr_python_fork() : fork();
	if (pid == 0) {
		close(ends[0]);
		frozen.link = ends[1];
	} else {
		close(ends[1]);
		*ret_link = ends[0];
		if (pid < 0)
			close(ends[0]);
	}
	return pid;
}

static void say(int link, char word)
{
	(void)send(link, &word, 1, MSG_NOSIGNAL);
}

/* '\0': the other side has gone. */
static char hear(int link)
{
	char word = '\0';
	ssize_t len;

	do {
		len = recv(link, &word, 1, 0);
	} while (len < 0 && errno == EINTR);
	return len == 1 ? word : '\0';
}

/* In a copy that has its order: goes on. */
static void go_on(struct fr_load *load, const int *fds, int fds_len)
{
	yield_no_more();
	(void)prctl(PR_SET_PDEATHSIG, 0);
	(void)sigaction(SIGCHLD, &frozen.on_child, NULL);
	take_fds(load, fds, fds_len);
	(void)prctl(PR_SET_NAME, FR_LOADER_NAME);
	/* What brings forth workers of the last good code has nothing to load, and at the same time
	 * another process may be loading, in the only slot for that. */
	if (load->order.kind != FR_ORDER_LOAD)
		return;
	fr_rows_enter(load->setup->wid);
	fr_rows_restore(load->setup->wid, (uint32_t)load->setup->wid);
	fr_rows_restore_request();
	if (!fr_frozen_tell(load, load->talk, FR_REPORT_LOADER, ""))
		_exit(0); /* the master has given this load up */
	fr_opens_resume(load->opens);
}

/* What of a process's memory nobody else has, in KiB; 0: the kernel does not say (before 4.14). */
static int64_t own_memory(pid_t pid)
{
	char path[64], line[256];
	long long kib;
	int64_t sum = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Private_Clean: %lld", &kib) == 1 ||
		    sscanf(line, "Private_Dirty: %lld", &kib) == 1)
			sum += kib;
	}
	if (file)
		fclose(file);
	return sum;
}

static void tell_memory(const struct fr_load *load, int64_t kib)
{
	struct fr_report report = {
		.kind = FR_REPORT_MEMORY, .pid = getpid(), .uses = (uint32_t)kib};

	(void)send(load->ice, &report, sizeof(report), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Has what will be imported compiled, and then the memory that a load writes to, since both go
 * together. */
static void prepare(bool in_python)
{
	static char text[FR_IMPORTS_TEXT];
	size_t len = in_python ? fr_imports_read(frozen.imports, text) : 0;

	if (len > 0) {
		fr_python_prepare(text, len);
		frozen.is_prepared = true;
	}
	(void)fr_pages_prepare(frozen.pages);
}

/* In the standby: waits in the keeper's place, but not for ever; returns when it is to go on. */
static void stand_by(struct fr_load *load, bool in_python)
{
	struct pollfd orders = {.fd = load->ice, .events = POLLIN};
	int fds[FR_LOADER_MAX_FDS], fds_len;
	const char *changed;

	(void)prctl(PR_SET_NAME, FR_LOADER_STANDBY_NAME);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != frozen.keeper)
		_exit(0);
	prepare(in_python);
	yield_no_more();
	tell_memory(load, own_memory(getpid()) + own_memory(frozen.keeper));
	for (;;) {
		enum fr_order_kind kind = FR_ORDER_STAND_DOWN;

		fds_len = 0;
		if (poll(&orders, 1, FR_FROZEN_IDLE_MS) != 0)
			kind = wait_for_order(load, fds, &fds_len);
		if (kind == FR_ORDER_LOAD)
			break;
		close_fds(fds, fds_len);
		if (kind == FR_ORDER_STAND_DOWN) {
			say(frozen.link, FR_FROZEN_LEAVES);
			_exit(0);
		}
	}
	changed = outdated_by(load);
	if (!changed)
		changed = unfit(load);
	if (changed) {
		say(frozen.link, FR_FROZEN_STALE);
		(void)fr_frozen_tell(load, load->ice, FR_REPORT_STALE, changed);
		_exit(0);
	}
	say(frozen.link, FR_FROZEN_GOES_ON);
	go_on(load, fds, fds_len);
}

bool fr_frozen_is_confirmed(struct fr_load *load)
{
	char word;

	if (frozen.link < 0)
		return true;
	word = hear(frozen.link);
	close_link();
	if (word == '\0') /* somebody has killed the keeper */
		return fr_uses_are_current(load->uses, FR_USES_ALL, frozen.uses_len, NULL);
	if (word == FR_FROZEN_CURRENT && frozen.is_prepared && !fr_pages_are_known(frozen.pages))
		fr_pages_note(frozen.pages);
	return word == FR_FROZEN_CURRENT;
}

void fr_frozen_tell_imports(const char *imports, size_t len)
{
	fr_imports_note(frozen.imports, imports, len);
	frozen.is_prepared |= len == 0; /* as well as can be */
}

/* ---- the keeper ---- */

/* A copy is loading: looks at the files meanwhile. */
static void confirm(const struct fr_load *load, int link)
{
	bool is_current = are_uses_current(load);

	say(link, is_current ? FR_FROZEN_CURRENT : FR_FROZEN_STALE);
	close(link);
	if (!is_current)
		_exit(0);
}

/* While a standby listens. Returns when that is over; ends this process if it is of no use any
 * more. */
static void watch_standby(const struct fr_load *load, int link)
{
	switch (hear(link)) {
	case FR_FROZEN_GOES_ON:
		confirm(load, link);
		return;
	case FR_FROZEN_STALE:
		_exit(0);
	default: /* it has left, or was killed: then an order that it took goes unanswered, and the
		    master begins anew with somebody else */
		close(link);
	}
}

/* An order to load or to respawn has come, and there is no standby. Returns true in the copy. */
static bool copy_for_order(struct fr_load *load, bool in_python, const int *fds, int fds_len)
{
	bool is_load = load->order.kind == FR_ORDER_LOAD;
	const char *changed = is_load ? outdated_by(load) : NULL;
	int link;
	pid_t pid;

	if (changed) {
		(void)fr_frozen_tell(load, load->ice, FR_REPORT_STALE, changed);
		_exit(0);
	}
	pid = make_copy(in_python, &link);
	if (pid == 0) {
		changed = is_load ? unfit(load) : NULL;
		if (changed) {
			(void)fr_frozen_tell(load, load->ice, FR_REPORT_STALE, changed);
			_exit(0);
		}
		go_on(load, fds, fds_len);
		return true;
	}
	close_fds(fds, fds_len);
	if (pid < 0)
		_exit(1);
	if (is_load)
		confirm(load, link);
	else
		close(link);
	return false;
}

/* Returns true in the copy, when it is to go on. */
static bool keep_standby(struct fr_load *load, bool in_python)
{
	int link;
	pid_t pid = make_copy(in_python, &link);

	if (pid == 0) {
		stand_by(load, in_python);
		return true;
	}
	if (pid > 0)
		watch_standby(load, link);
	return false;
}

/* The process that was frozen. Returns in the copies that go on. */
static void stay(struct fr_load *load, bool in_python, const char *name)
{
	int fds[FR_LOADER_MAX_FDS], fds_len;
	struct pollfd orders = {.fd = load->ice, .events = POLLIN};
	bool wants_standby = false, is_resting = false;

	(void)prctl(PR_SET_NAME, name);
	yield_to_others();
	(void)sigaction(SIGCHLD, NULL, &frozen.on_child);
	signal(SIGCHLD, SIG_IGN); /* nobody waits here for the copies */
	close(load->talk);
	close_link();
	fr_opens_pause(load->opens);
	let_go();
	/* Those of the keeper that this one is a copy's copy of. */
	fr_pages_free(frozen.pages);
	fr_pages_free(frozen.worker_pages);
	fr_imports_free(frozen.imports);
	frozen.pages = fr_pages_new();
	frozen.worker_pages = fr_pages_new();
	frozen.imports = fr_imports_new();
	frozen.is_prepared = false;
	frozen.uses_len = fr_uses_len(load->uses);
	frozen.keeper = getpid();
	for (;;) {
		if (poll(&orders, 1, is_resting ? FR_FROZEN_REST_MS : -1) == 0) {
			is_resting = false;
			if (!wants_standby)
				tell_memory(load, own_memory(getpid()));
			else if (keep_standby(load, in_python))
				return;
			else
				is_resting = true; /* to see what is left of its memory */
			wants_standby = false;
			continue;
		}
		switch (wait_for_order(load, fds, &fds_len)) {
		case FR_ORDER_LOAD:
		case FR_ORDER_RESPAWN:
			is_resting = false;
			if (copy_for_order(load, in_python, fds, fds_len))
				return;
			break;
		case FR_ORDER_STAND_BY:
			wants_standby = is_resting = true;
			break;
		case FR_ORDER_STAND_DOWN:
			wants_standby = false;
			is_resting = true;
			break;
		}
	}
}

/* Gives the master the end of the socket on which the frozen process listens. */
static void tell_frozen(const struct fr_load *load, enum fr_report_kind kind, pid_t pid, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = {0};
	struct fr_report report = {.kind = kind, .pid = pid};
	struct iovec iov = {&report, sizeof(report)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = space,
				 .msg_controllen = sizeof(space)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	report.uses = (uint32_t)fr_uses_len(load->uses);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	(void)sendmsg(load->talk, &message, MSG_NOSIGNAL);
}

bool fr_frozen_split(struct fr_load *load, bool in_python, enum fr_report_kind kind)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return false;
	fr_opens_note(load->opens, load->uses);
	pid = in_python ? fr_python_fork() : fork();
	if (pid == 0) {
		close(ends[0]);
		load->ice = ends[1];
		stay(load, in_python,
		     kind == FR_REPORT_GOOD ? FR_LOADER_GOOD_NAME : FR_LOADER_SNAPSHOT_NAME);
		return true;
	}
	close(ends[1]);
	if (pid > 0)
		tell_frozen(load, kind, pid, ends[0]);
	close(ends[0]);
	return false;
}
