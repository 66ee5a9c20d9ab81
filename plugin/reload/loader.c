/*
 * loader: a process that loads the application and brings forth a generation's workers. See
 * loader.h.
 */
#include <uwsgi.h>

#include <sys/prctl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "reload/board.h"
#include "reload/census.h"
#include "reload/frozen.h"
#include "reload/loader.h"
#include "reload/loop.h"
#include "reload/output.h"
#include "reload/python.h"
#include "reload/rows.h"
#include "watch/bytecode.h"
#include "watch/opens.h"
#include "watch/uses.h"

extern struct uwsgi_server uwsgi;

/* Longest that the other workers wait for the first. */
#define FR_LOADER_FIRST_MS 30

static struct fr_load load = {.talk = -1, .ice = -1};

static struct {
	char name[16];                  /* of a process that is none of this file's: uWSGI's */
	bool is_loading;                /* the application's code is running */
	uint8_t fds_at_start[8192 / 8]; /* a bit for each descriptor that was open */
	int shared_at_start;            /* mappings */
} loader;

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

/* Was it there before the application, or is it one of ours? */
static bool is_known(int fd)
{
	return fd == load.talk || fd == fr_opens_fd(load.opens) || fr_frozen_owns(fd) ||
	       fd >= 8192 || loader.fds_at_start[fd / 8] & (uint8_t)(1u << fd % 8);
}

/* Sockets, pipes, and what has no name in any folder (an epoll, an eventfd): two processes cannot
 * both go on with one. */
static bool is_no_connection(int fd)
{
	struct stat st;

	return is_known(fd) || fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ||
	       S_ISCHR(st.st_mode);
}

/* A fork shares the position in a file: what one process has read, another one does not find any
 * more. That does not matter for a log, which is only appended to. */
static bool is_no_file_with_position(int fd)
{
	struct stat st;
	int flags;

	if (is_known(fd) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return true;
	flags = fcntl(fd, F_GETFL);
	return (flags & O_ACCMODE) == O_WRONLY && flags & O_APPEND;
}

/* A log that has been moved away since, as they are each night, is not the one that a fresh start
 * would open. */
static bool note_log(int fd)
{
	char link[64], path[PATH_MAX];
	struct stat st;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (is_known(fd) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return true;
	len = readlink(link, path, sizeof(path) - 1);
	if (len > 0) {
		path[len] = '\0';
		fr_uses_note_open(load.uses, path);
	}
	return true;
}

/* How many mappings would be shared with a fork, and can be written to: what
 * multiprocessing.Value(), multiprocessing.Lock() and mmap.mmap(-1, …) make. */
static int count_shared(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t size = 0;
	int len = 0;

	while (maps && getline(&line, &size, maps) > 0) {
		const char *mode = strchr(line, ' '); /* " rw-s " */

		len += mode && mode[2] == 'w' && mode[4] == 's';
	}
	free(line);
	if (maps)
		fclose(maps);
	return len;
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

static const char *find_unsuitable(void)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	/* One that has been joined may need a moment to be gone. */
	for (int i = 0; i < 5 && count_threads() != 1; i++)
		(void)nanosleep(&moment, NULL);
	if (count_threads() != 1)
		return "the application starts threads while it is loaded";
	if (!each_fd(is_no_connection))
		return "the application opens connections while it is loaded";
	if (!each_fd(is_no_file_with_position))
		return "the application keeps a file or an SQLite database open";
	if (count_shared() > loader.shared_at_start + fr_frozen_mappings())
		return "the application shares memory with the processes that it forks";
	return NULL;
}

/* Why a copy of this process would not be as good as the process; NULL: it would. What is garbage
 * is no reason; where there is another one, that will remain. */
static const char *unsuitable(void)
{
	static bool has_collected;
	const char *reason = find_unsuitable();

	if (reason && !has_collected && fr_python_collect())
		reason = find_unsuitable();
	has_collected |= reason != NULL;
	return reason;
}

/* For ps(1) and top(1); 15 bytes at most. */
static void name_process(const char *name)
{
	(void)prctl(PR_SET_NAME, name);
}

/*
 * What is frozen while the edited module is executed, but not for an edit of that one, has read all
 * of it.
 */
static bool split(enum fr_python_moment moment)
{
	static const enum fr_report_kind kinds[] = {
		[FR_PYTHON_ON_WAY] = FR_REPORT_MILESTONE,
		[FR_PYTHON_BEFORE_EDITED] = FR_REPORT_FROZEN,
		[FR_PYTHON_IN_EDITED] = FR_REPORT_INSIDE,
	};
	const char *aside = moment == FR_PYTHON_IN_EDITED ? NULL : fr_uses_aside(load.uses);
	bool has_waited;

	if (aside)
		fr_uses_take_back(load.uses, false);
	has_waited = fr_frozen_split(&load, true, kinds[moment]);
	if (aside && !has_waited)
		(void)fr_uses_set_aside(load.uses, aside);
	return has_waited;
}

/* What is free is nobody's in all that are forked off this process. It takes 50 us. */
static void give_back_memory(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

/*
 * Called by the agent, just before one of the application's own modules is imported, and always
 * before the one that was edited; its bytecode may have been written by somebody who loaded an
 * earlier one in the same second. NULL in the process that goes on at once; in a copy that has
 * waited, the module that it was woken for, or "".
 */
static const char *freeze(enum fr_python_moment moment)
{
	const char *reason = unsuitable();
	bool has_waited = false;

	if (!reason && !fr_uses_is_complete(load.uses))
		reason = "the application runs other programs while it is loaded, or calls "
			 "functions of C by hand";
	if (reason) {
		(void)fr_frozen_tell(&load, load.talk, FR_REPORT_NOT_FROZEN, reason);
	} else {
		(void)each_fd(note_log);
		/* Here, because the slot is shared with the process that goes on at once. */
		fr_rows_save(load.setup->wid);
		give_back_memory();
		has_waited = split(moment);
		/* Of what has not been executed since the start that is not known. */
		load.order.is_slow |= !has_waited && moment == FR_PYTHON_BEFORE_EDITED;
	}
	fr_bytecode_drop(load.order.text);
	if (!has_waited)
		return NULL;
	fr_uses_look_anew(load.uses);
	return load.setup->may_freeze_edited ? load.order.text : "";
}

static bool is_milestone_wanted_before(const char *path)
{
	return load.setup->may_freeze_on_way &&
	       load.setup->uses_hooks->is_watched(load.setup->uses_ctx, path);
}

static bool is_slow(void)
{
	return load.order.is_slow;
}

static void note_slow(void)
{
	load.order.is_slow = true;
	(void)fr_frozen_tell(&load, load.talk, FR_REPORT_SLOW, "");
}

static void note_heavy(const char *name, long ms)
{
	struct fr_report report = {.kind = FR_REPORT_HEAVY, .pid = getpid(), .uses = (uint32_t)ms};

	snprintf(report.reason, sizeof(report.reason), "%s", name);
	(void)send(load.talk, &report, sizeof(report), MSG_NOSIGNAL);
}

static const struct fr_python_hooks python_hooks = {
	.is_watched = is_milestone_wanted_before,
	.freeze = freeze,
	.is_slow = is_slow,
	.note_slow = note_slow,
	.note_heavy = note_heavy,
};

/* The rest of a worker's life is uWSGI's. place: in the order; row: what uwsgi_respawn_worker has
 * made of the slot. */
__attribute__((noreturn)) static void become_worker(uint32_t place, struct uwsgi_worker *row)
{
	int wid = load.order.wids[place];

	name_process(loader.name);
	loader.is_loading = false;
	if (fr_board_get(&fr_board_slot(wid)->ticket) != load.order.tickets[place])
		_exit(0);
	row->pid = getpid();
	row->cheaped = 1; /* if it dies now, nobody respawns it */
	uwsgi.workers[wid] = *row;
	fr_board_set(&fr_board_slot(wid)->is_there, 1);
	close(load.talk);
	fr_rows_restore(wid, 0);
	fr_loop_adopt_orphans();
	fr_loop_use_pages(fr_frozen_worker_pages(), place == 0);
	uwsgi.lazy_apps = 0; /* what there is to load has been loaded */
	uwsgi_run();
	_exit(1);
}

/* Of memory, or of processes: that is not the code's fault. As one that was killed, so that the
 * master tries again. */
__attribute__((noreturn)) static void end_for_want(void)
{
	(void)kill(getpid(), SIGKILL);
	_exit(1);
}

/*
 * They are children of this process, and the master's as soon as it ends. The first one can serve
 * what there is to serve: it has the processors for itself until it has answered once, since where
 * there are few of them each fork takes time from it.
 *
 * uwsgi_respawn_worker writes into the slot that this is a worker in service. The master must never
 * see that, not even for the moment until it is put right: this process may be killed in that
 * moment, and uWSGI would respawn what has never been. So it writes into a copy.
 */
static void fork_workers(void)
{
	const struct fr_order *order = &load.order;
	struct uwsgi_worker *shared = uwsgi.workers;
	size_t rows = (size_t)uwsgi.numproc + 1;
	struct uwsgi_worker *mine = calloc(rows, sizeof(*mine));

	if (!mine)
		end_for_want();
	fr_opens_pause(load.opens);
	give_back_memory();
	memcpy(mine, shared, rows * sizeof(*mine));
	for (uint32_t i = 0; i < order->wids_len; i++) {
		int wid = order->wids[i];
		int is_child;

		if (fr_board_get(&fr_board_slot(wid)->ticket) != order->tickets[i])
			_exit(0); /* the master has given this load up */
		uwsgi.workers = mine;
		is_child = uwsgi_respawn_worker(wid);
		uwsgi.workers = shared;
		if (is_child)
			become_worker(i, &mine[wid]);
		if (mine[wid].pid <= 0)
			end_for_want();
		shared[wid].pid = mine[wid].pid;
		if (i == 0 && order->wids_len > 1)
			fr_board_await_answered(wid, FR_LOADER_FIRST_MS);
	}
	free(mine);
	(void)fr_frozen_tell(&load, load.talk, FR_REPORT_BORN, "");
}

/* What serves from now on can be brought forth again, whatever becomes of the files. Nobody waits
 * for this: the workers are there. */
static void keep_good(void)
{
	if (uwsgi_apps_cnt == 0 || unsuitable() || !fr_frozen_split(&load, false, FR_REPORT_GOOD))
		return;
	fork_workers(); /* in a copy, for an order to respawn */
}

/* An edit of what only the workers read, when they need it (a template, a module that is imported
 * late): then all that is loaded can stay. */
static void keep_what_is_loaded(void)
{
	const char *wanted = load.order.text;

	if (!load.setup->may_freeze_edited || !*wanted)
		return;
	fr_opens_note(load.opens, load.uses);
	if (fr_uses_has(load.uses, wanted) || !fr_frozen_knows_readers(&load, wanted) ||
	    !fr_uses_is_complete(load.uses) || unsuitable())
		return;
	(void)each_fd(note_log);
	(void)fr_frozen_split(&load, false, FR_REPORT_FROZEN);
}

/* What comes of a load that went on from what is outdated says nothing about the code. Somebody
 * who was killed, as the keeper then was, is what the master tries again without. */
static void end_unless_confirmed(void)
{
	if (!fr_frozen_is_confirmed(&load))
		(void)kill(getpid(), SIGKILL);
}

/* exit() in the application's code, or in uWSGI's when it is not content with it. What is
 * registered to run then is the application's, half loaded. */
static void report_exit(int code, void *unused)
{
	struct fr_report report = {.kind = FR_REPORT_EXIT, .pid = getpid(), .uses = (uint32_t)code};

	(void)unused;
	if (!loader.is_loading)
		return;
	end_unless_confirmed();
	fr_census_tell(load.uses, load.talk);
	(void)send(load.talk, &report, sizeof(report), MSG_NOSIGNAL);
	_exit(code);
}

__attribute__((noreturn)) static void finish(void)
{
	const char *reason;

	loader.is_loading = false;

	fr_python_end_load(fr_frozen_tell_imports);
	end_unless_confirmed();
	if ((uint32_t)uwsgi_apps_cnt < load.order.apps) {
		fr_census_tell(load.uses, load.talk);
		(void)fr_frozen_tell(&load, load.talk, FR_REPORT_NO_APP, "");
		_exit(0);
	}
	reason = load.setup->must_be_clean ? unsuitable() : NULL;
	if (reason) {
		(void)fr_frozen_tell(&load, load.talk, FR_REPORT_UNSUITABLE, reason);
		_exit(0);
	}
	fr_rows_save(load.setup->wid);
	keep_what_is_loaded();
	end_unless_confirmed(); /* a copy of this comes back from there, too */
	fork_workers();
	fr_census_tell(load.uses, load.talk);
	keep_good();
	_exit(0);
}

/* uWSGI itself may read files that make up the application (wsgi-file, mount, …), and Python is not
 * asked about those. Our own options name what is watched, which may be a disk that does not
 * answer. */
static void note_files_of_options(void)
{
	for (int i = 0; i < uwsgi.exported_opts_cnt; i++) {
		const char *value = uwsgi.exported_opts[i]->value;
		const char *file = value ? strrchr(value, '=') : NULL;
		bool is_ours = strncmp(uwsgi.exported_opts[i]->key, "fastreload-", 11) == 0;
		char *path = value && !is_ours ? realpath(file ? file + 1 : value, NULL) : NULL;

		if (path && load.setup->uses_hooks->is_watched(load.setup->uses_ctx, path) &&
		    !load.setup->uses_hooks->is_noise(load.setup->uses_ctx, path))
			fr_uses_note(load.uses, path);
		free(path);
	}
}

/* The master's handlers would signal all workers. A loader that is told to end just ends. */
static void reset_signals(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGQUIT};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_DFL);
}

/* What is heavy, and does not depend on the application. A copy waits behind it, so that it is
 * imported once, whatever is edited. */
static void preload(const char *modules)
{
	char error[160];

	if (!modules || fr_python_preload(modules, error, sizeof(error)))
		return;
	(void)fr_frozen_tell(&load, load.talk, FR_REPORT_NOT_PRELOADED, error);
	_exit(0);
}

bool fr_loader_has_read(const char *path)
{
	return load.uses && fr_uses_has_read(load.uses, path);
}

void fr_loader_run(const struct fr_loader_setup *given, const struct fr_order *first, int talk)
{
	bool may_freeze;

	load.setup = given;
	load.order = *first;
	load.talk = talk;
	(void)prctl(PR_GET_NAME, loader.name);
	name_process(FR_LOADER_NAME);
	/* Nothing that it says would be heard any more. Its own children are not bound by that. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	reset_signals();
	uwsgi.need_app = 0; /* as in a worker: see cycle.c, watch_need_app */
	fr_output_redirect(load.order.wids[0]);
	fr_python_after_fork();
	fr_rows_enter(given->wid);
	fr_rows_begin(given->wid);
	(void)each_fd(note_fd);
	loader.shared_at_start = count_shared();
	if (fr_uses_new(given->uses_hooks, given->uses_ctx, &load.uses) < 0)
		_exit(1);
	load.opens = fr_opens_new(given->tree);
	note_files_of_options();
	may_freeze =
		fr_python_note_uses(load.uses) &&
		(given->may_freeze_edited || given->may_freeze_on_way) &&
		fr_python_freeze(given->may_freeze_edited ? load.order.text : "", &python_hooks);
	fr_census_begin();
	loader.is_loading = true;
	(void)on_exit(report_exit, NULL);
	if (may_freeze)
		preload(given->preload);
	uwsgi_init_all_apps();
	finish();
}
