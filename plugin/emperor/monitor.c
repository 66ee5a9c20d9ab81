/*
 * monitor: the imperial monitor "fastreload". See monitor.h.
 *
 * It decides when to look, and has uWSGI look: uwsgi_imperial_monitor_directory and ..._glob
 * (core/emperor.c, the same in 2.0.21 to 2.0.28) know what kinds of files there are, whom a vassal
 * belongs to, what is on demand, and this file must not know it a second time. Notifications say
 * when; what they miss (another host's changes, a limit of the system) the look every
 * --emperor-freq seconds finds, which uWSGI's own monitors rely on alone.
 *
 * uWSGI compares the times of files in whole seconds, and only forwards. So what has really changed
 * is found out here, and uWSGI is told by the time that it remembers of a vassal.
 *
 * Everything here runs in the Emperor's process, once in each turn of its loop.
 */
#include <uwsgi.h>

#include <glob.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "decide/batch.h"
#include "emperor/lookout.h"
#include "emperor/monitor.h"
#include "emperor/roll.h"
#include "emperor/route.h"
#include "report/sentence.h"

extern struct uwsgi_server uwsgi;

/* Of core/emperor.c, and not in uwsgi.h: the list of vassals, and the end of a vassal's throttling.
 */
extern struct uwsgi_instance *ui;
void uwsgi_emperor_blacklist_remove(char *id);

#define FR_MONITOR_SCHEME "fastreload"

#define FR_MONITOR_SETTLE_MS 10
/* A vassal must not be started before the file that names its socket is there, too. */
#define FR_MONITOR_ON_DEMAND_SETTLE_MS 100
#define FR_MONITOR_GONE_MS             100 /* editors move the old file out of the way for a moment */
#define FR_MONITOR_WRITING_MS          1000 /* a slow writer that has not closed its file yet */
#define FR_MONITOR_BOUND_MS            2000 /* one that never does holds nothing back for longer */
/* How long a vassal that has been started, or told to reload, has to say that it accepts, before it
 * is told again all the same. See is_ready. */
#define FR_MONITOR_UNHEARD_S 3
/* How often a vassal is forgiven, and one that is not ready looked at again. */
#define FR_MONITOR_REPEAT_MS 1000
/* How often to look whether a vassal that is to start anew has ended. */
#define FR_MONITOR_RETURN_MS 50
/* How long not to listen when nothing of interest was heard: a log file beside a vassal's must not
 * keep the Emperor busy. */
#define FR_MONITOR_MUTE_MS 20

struct monitor {
	struct uwsgi_emperor_scanner *scanner;
	bool is_pattern;
	struct fr_lookout *lookout; /* NULL: there is none, and the looks must do */
	struct fr_batch *batch;
	struct fr_roll roll;
	int epoll_fd, timer_fd; /* the timer and the lookout, in what the Emperor waits on */
	int64_t looked_ms;      /* when last; -1: never */
	size_t vassals_len;     /* how many there were then */
	bool is_postponed;      /* some vassal is to be told to reload a little later */
	bool is_muted;
	bool is_missing;    /* the folder was not there last time */
	int last_error;     /* of the lookout, as it was last said */
	unsigned noted_len; /* by the step at hand */
};

#define fr_log(...) uwsgi_log_verbose("[fastreload] " __VA_ARGS__)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what is heard ---- */

static bool is_on_demand_name(const char *name)
{
	size_t name_len = strlen(name), ext_len;

	if (!uwsgi.emperor_on_demand_extension)
		return false;
	ext_len = strlen(uwsgi.emperor_on_demand_extension);
	return name_len > ext_len &&
	       strcmp(name + name_len - ext_len, uwsgi.emperor_on_demand_extension) == 0;
}

/* A name that came with nothing behind it to be written: a link, symbolic or hard. */
static bool is_complete_at_birth(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 &&
	       (S_ISLNK(st.st_mode) || (S_ISREG(st.st_mode) && st.st_nlink > 1));
}

/*
 * What a hint means for the wait. An unknown hidden file is as good as one still being written:
 * many programs write one and rename it when it is complete, and some keep the ending of the real
 * name (Ansible: .ansible_tmpXXXXshop.ini). An unknown file that goes needs no waiting for its
 * return.
 */
static enum fr_batch_hint translate(const char *path, const char *name, enum fr_hint hint,
				    bool is_newcomer)
{
	switch (hint) {
	case FR_HINT_GONE:
		return is_newcomer ? FR_BATCH_WRITTEN : FR_BATCH_GONE;
	case FR_HINT_ATTRIB:
		return FR_BATCH_ATTRIB;
	case FR_HINT_WRITING:
		if (!is_complete_at_birth(path))
			return FR_BATCH_WRITING;
		break;
	default:
		break;
	}
	return is_newcomer && name[0] == '.' ? FR_BATCH_WRITING : FR_BATCH_WRITTEN;
}

/* Nobody knows what has changed. */
static void note_all(struct monitor *monitor)
{
	fr_batch_note(monitor->batch, "", FR_BATCH_WRITTEN, now_ms());
}

static void hear(void *ctx, const char *folder, const char *name, enum fr_hint hint)
{
	struct monitor *monitor = ctx;
	char path[PATH_MAX];
	bool is_home = folder && !monitor->is_pattern && strcmp(folder, monitor->scanner->arg) == 0;

	monitor->noted_len++;
	if (!folder) {
		note_all(monitor);
		return;
	}
	if (is_home && !uwsgi_emperor_is_valid((char *)name) && !is_on_demand_name(name)) {
		monitor->noted_len--;
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fr_batch_note(monitor->batch, path,
		      translate(path, name, hint, is_home && !fr_roll_find(&monitor->roll, name)),
		      now_ms());
}

static void set_muted(struct monitor *monitor, bool is_muted)
{
	struct epoll_event event = {.events = is_muted ? 0 : EPOLLIN};

	if (monitor->is_muted != is_muted)
		(void)epoll_ctl(monitor->epoll_fd, EPOLL_CTL_MOD, fr_lookout_fd(monitor->lookout),
				&event);
	monitor->is_muted = is_muted;
}

static void listen_to_lookout(struct monitor *monitor)
{
	struct epoll_event events[2];
	int ready = epoll_wait(monitor->epoll_fd, events, 2, 0);
	uint64_t expirations;

	if (read(monitor->timer_fd, &expirations, sizeof(expirations)) > 0)
		ready--;
	if (!monitor->lookout)
		return;
	monitor->noted_len = 0;
	(void)fr_lookout_step(monitor->lookout, hear, monitor);
	set_muted(monitor, ready > 0 && monitor->noted_len == 0);
}

/* ---- the vassals ---- */

static size_t count_vassals(const struct monitor *monitor)
{
	size_t len = 0;

	for (struct uwsgi_instance *vassal = ui->ui_next; vassal; vassal = vassal->ui_next)
		len += vassal->scanner == monitor->scanner;
	return len;
}

/*
 * May it be told to reload? A worker that has only just been forked misses the signal to end, and
 * holds the reload up until uWSGI's mercy is over; and what is not read stays in the vassal's pipe,
 * and uWSGI gives a vassal up when that is full (emperor_respawn). A vassal says at each start when
 * its first worker accepts.
 */
static bool is_ready(const struct uwsgi_instance *vassal)
{
	return vassal->accepting || vassal->pid == -1 ||
	       uwsgi_now() - vassal->last_run >= FR_MONITOR_UNHEARD_S;
}

/* uWSGI throttles a vassal that fails, for minutes in the end. A changed file is a new attempt: it
 * is not made to wait, once a second at most. */
static void forgive(struct monitor *monitor, struct fr_roll_entry *entry, int64_t now)
{
	if (entry->forgave_ms && now - entry->forgave_ms < FR_MONITOR_REPEAT_MS) {
		monitor->is_postponed = true;
		return;
	}
	entry->is_changed = false;
	entry->forgave_ms = now;
	uwsgi_emperor_blacklist_remove(entry->name);
}

/*
 * Lets uWSGI's comparison, "is the file younger than what I remember?", come out as the roll's.
 * Another monitor's vassal is left as it is. So is one on its way out; that its file has changed is
 * kept for when it has gone, so that it starts anew at once even if it had failed.
 */
static void prepare(struct monitor *monitor, struct fr_roll_entry *entry, int64_t now)
{
	struct uwsgi_instance *vassal = emperor_get(entry->name);

	if (!vassal) {
		if (entry->is_changed)
			forgive(monitor, entry, now);
		return;
	}
	if (vassal->scanner != monitor->scanner)
		entry->is_changed = false;
	if (vassal->scanner != monitor->scanner || vassal->status > 0)
		return;
	/* Only ever raised where nothing is to be done: another monitor may have a file of that
	 * name. */
	if (vassal->last_mod < entry->mtime_s)
		vassal->last_mod = entry->mtime_s;
	if (!entry->is_changed)
		return;
	if (!is_ready(vassal)) {
		monitor->is_postponed = true;
		return;
	}
	vassal->last_mod = entry->mtime_s - 1;
	entry->is_changed = false;
}

/* ---- looking ---- */

static void post(void *ctx, const char *folder, const char *name, bool is_pattern)
{
	const struct monitor *monitor = ctx;
	char path[PATH_MAX];

	if (folder[0] == '/') {
		fr_lookout_post(monitor->lookout, folder, name, is_pattern);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", uwsgi.cwd, folder);
	fr_lookout_post(monitor->lookout, path, name, is_pattern);
}

/* uWSGI takes hidden files for vassals in a folder, and not where a pattern names them. */
static void post_home(struct monitor *monitor)
{
	fr_lookout_post(monitor->lookout, monitor->scanner->arg, "*", true);
	fr_lookout_post(monitor->lookout, monitor->scanner->arg, ".*", true);
}

/* Adds what uWSGI would take for a vassal's file to the roll. Where it is a link, what it leads to
 * is watched first, so that nothing can happen in between. */
static int enroll(struct monitor *monitor, struct fr_roll *roll, char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (!uwsgi_emperor_is_valid(name) || lstat(name, &st) < 0)
		return 0;
	if (S_ISLNK(st.st_mode) && !uwsgi.emperor_nofollow) {
		snprintf(path, sizeof(path), "%s/%s",
			 monitor->is_pattern ? uwsgi.cwd : monitor->scanner->arg, name);
		if (monitor->lookout)
			(void)fr_route_walk(name[0] == '/' ? name : path, post, monitor);
		if (stat(name, &st) < 0)
			return 0;
	}
	return S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) ? fr_roll_add(roll, name, &st) : 0;
}

static int list_folder(struct monitor *monitor, struct fr_roll *roll)
{
	DIR *dir = opendir(".");
	struct dirent *entry;
	int error = 0;

	if (!dir)
		return -errno;
	while (!error && (entry = readdir(dir)))
		error = enroll(monitor, roll, entry->d_name);
	closedir(dir);
	return error;
}

static int list_pattern(struct monitor *monitor, struct fr_roll *roll)
{
	glob_t found;
	int error = 0;

	if (glob(monitor->scanner->arg, GLOB_MARK | GLOB_NOCHECK, NULL, &found) == 0) {
		for (size_t i = 0; !error && i < found.gl_pathc; i++)
			error = enroll(monitor, roll, found.gl_pathv[i]);
	}
	globfree(&found);
	return error;
}

/* A change is worth a line, and the same state again is not. */
static void say_lookout(struct monitor *monitor, int error, unsigned long wanted)
{
	char text[1024], reason[512];

	if (error == monitor->last_error)
		return;
	monitor->last_error = error;
	if (!error) {
		fr_log("changes of \"%s\" are seen at once again\n",
		       fr_sentence_path(monitor->scanner->arg, text, sizeof(text)));
		return;
	}
	fr_inotify_ops.explain(error, wanted, reason, sizeof(reason));
	fr_log("changes of \"%s\" are not all seen at once, but every %d seconds: %s\n",
	       fr_sentence_path(monitor->scanner->arg, text, sizeof(text)), uwsgi.emperor_freq,
	       reason);
}

static void open_lookout(struct monitor *monitor)
{
	struct epoll_event event = {.events = EPOLLIN};
	int error;

	if (monitor->lookout)
		return;
	error = fr_lookout_new(&fr_inotify_ops, &monitor->lookout);
	if (!error && epoll_ctl(monitor->epoll_fd, EPOLL_CTL_ADD, fr_lookout_fd(monitor->lookout),
				&event) < 0) {
		error = -errno;
		fr_lookout_free(monitor->lookout);
		monitor->lookout = NULL;
	}
	if (error)
		say_lookout(monitor, error, 1);
}

/* Is the folder there? uWSGI's monitor lets the vassals of one that is missing be, and so do we;
 * where it will come back is watched. */
static bool enter(struct monitor *monitor)
{
	char text[1024];
	int error = 0;

	if (chdir(monitor->is_pattern ? uwsgi.cwd : monitor->scanner->arg) < 0 ||
	    (!monitor->is_pattern && faccessat(AT_FDCWD, ".", R_OK, AT_EACCESS) < 0))
		error = errno;
	if (!error && monitor->is_missing)
		fr_log("\"%s\" is there again\n",
		       fr_sentence_path(monitor->scanner->arg, text, sizeof(text)));
	if (error && !monitor->is_missing)
		fr_log("\"%s\" cannot be read: %s; the vassals go on, and it is awaited\n",
		       fr_sentence_path(monitor->scanner->arg, text, sizeof(text)),
		       strerror(error));
	if (monitor->is_missing != (error != 0))
		note_all(monitor);
	monitor->is_missing = error != 0;
	return !error;
}

/* Watches, lists, and finds out what has changed; in this order. 0 or a negative errno: the list is
 * not complete, and nothing was found out. */
static int take_roll(struct monitor *monitor)
{
	struct fr_roll roll = {0};
	unsigned long wanted = 0;
	int error = 0, lookout_error = 0;

	open_lookout(monitor);
	if (monitor->lookout) {
		fr_lookout_begin(monitor->lookout);
		if (monitor->is_missing)
			(void)fr_route_walk(monitor->scanner->arg, post, monitor);
		else if (monitor->is_pattern)
			(void)fr_route_pattern(monitor->scanner->arg, post, monitor);
		else
			post_home(monitor);
	}
	if (!monitor->is_missing)
		error = monitor->is_pattern ? list_pattern(monitor, &roll)
					    : list_folder(monitor, &roll);
	if (monitor->lookout) {
		lookout_error = fr_lookout_end(monitor->lookout, &wanted);
		say_lookout(monitor, lookout_error, wanted);
	}
	if (error || monitor->is_missing) {
		fr_roll_clear(&roll);
		return error;
	}
	fr_roll_follow(&roll, &monitor->roll);
	monitor->roll = roll;
	return 0;
}

static void look(struct monitor *monitor, int64_t now)
{
	struct fr_batch_item *items;
	bool is_overflowed;
	size_t len = fr_batch_take(monitor->batch, &items, &is_overflowed);
	int error;

	fr_batch_items_free(items, len);
	monitor->looked_ms = now;
	monitor->is_postponed = false;
	error = take_roll(monitor);
	if (!error && !monitor->is_missing) {
		for (size_t i = 0; i < monitor->roll.len; i++)
			prepare(monitor, &monitor->roll.entries[i], now);
	}
	/* uWSGI's own does not survive a folder that it cannot list. */
	if (!monitor->is_missing && (!error || error == -ENOMEM)) {
		if (monitor->is_pattern)
			uwsgi_imperial_monitor_glob(monitor->scanner);
		else
			uwsgi_imperial_monitor_directory(monitor->scanner);
	}
	monitor->vassals_len = count_vassals(monitor);
}

/* ---- when ---- */

/*
 * While something is being written, everything waits for its end, which fr_batch bounds. Else a
 * vassal that has gone is looked for at once: uWSGI starts one whose file came back meanwhile.
 */
static bool is_due(const struct monitor *monitor, int64_t now)
{
	int64_t deadline = fr_batch_deadline_ms(monitor->batch);

	if (deadline >= 0)
		return deadline <= now;
	return monitor->is_postponed || monitor->looked_ms < 0 ||
	       now - monitor->looked_ms >= (int64_t)uwsgi.emperor_freq * 1000 ||
	       count_vassals(monitor) < monitor->vassals_len;
}

/* Is a vassal on its way out whose file is there, so that it is to start anew? Nothing wakes the
 * Emperor when it has ended, and it would notice a second later, or three. */
static bool has_one_returning(const struct monitor *monitor)
{
	for (struct uwsgi_instance *vassal = ui->ui_next; vassal; vassal = vassal->ui_next) {
		if (vassal->scanner == monitor->scanner && vassal->status > 0 &&
		    fr_roll_find(&monitor->roll, vassal->name))
			return true;
	}
	return false;
}

static void earliest(int64_t *at_ms, int64_t other_ms)
{
	if (*at_ms < 0 || other_ms < *at_ms)
		*at_ms = other_ms;
}

/* Sets the timer for what the Emperor's own rhythm, a turn after each --emperor-freq seconds
 * without an event, would be late for. */
static void set_timer(const struct monitor *monitor, int64_t now, bool has_looked)
{
	int64_t at_ms = fr_batch_deadline_ms(monitor->batch);
	struct itimerspec timer = {.it_value = {0}};

	if (monitor->is_muted)
		earliest(&at_ms, now + FR_MONITOR_MUTE_MS);
	if (monitor->is_postponed)
		earliest(&at_ms, now + FR_MONITOR_REPEAT_MS);
	if (has_one_returning(monitor))
		earliest(&at_ms, now + FR_MONITOR_RETURN_MS);
	if (!has_looked && uwsgi.emperor_freq > 0)
		earliest(&at_ms, monitor->looked_ms + (int64_t)uwsgi.emperor_freq * 1000);
	if (at_ms >= 0) {
		if (at_ms <= now)
			at_ms = now + 1;
		timer.it_value.tv_sec = at_ms / 1000;
		timer.it_value.tv_nsec = at_ms % 1000 * 1000000;
	}
	(void)timerfd_settime(monitor->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

/* uWSGI calls this in each turn of the Emperor's loop, whatever has woken it. The working folder is
 * where a vassal's file is looked for when it starts, so each monitor enters its own each time. */
static void monitor_turn(struct uwsgi_emperor_scanner *scanner)
{
	struct monitor *monitor = scanner->data;
	bool is_looking;
	int64_t now;

	listen_to_lookout(monitor);
	(void)enter(monitor);
	now = now_ms();
	is_looking = is_due(monitor, now);
	if (is_looking)
		look(monitor, now);
	set_timer(monitor, now, is_looking);
}

/* The turn that follows at once does the work. */
static void monitor_woken(struct uwsgi_emperor_scanner *scanner)
{
	(void)scanner;
}

/* ---- start ---- */

__attribute__((noreturn)) static void refuse(const char *path, const char *reason)
{
	char text[1024];

	uwsgi_log("[fastreload] --emperor: \"" FR_MONITOR_SCHEME "://%s\" %s\n",
		  fr_sentence_path(path, text, sizeof(text)), reason);
	exit(1);
}

static struct monitor *monitor_new(struct uwsgi_emperor_scanner *scanner)
{
	const struct fr_batch_times times = {
		.settle_ms = uwsgi.emperor_on_demand_extension ? FR_MONITOR_ON_DEMAND_SETTLE_MS
							       : FR_MONITOR_SETTLE_MS,
		.gone_ms = FR_MONITOR_GONE_MS,
		.writing_ms = FR_MONITOR_WRITING_MS,
		.bound_ms = FR_MONITOR_BOUND_MS,
	};
	struct monitor *monitor = uwsgi_calloc(sizeof(*monitor));
	struct epoll_event event = {.events = EPOLLIN};

	monitor->scanner = scanner;
	monitor->looked_ms = -1;
	monitor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	monitor->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fr_batch_new(&times, &monitor->batch) < 0 || monitor->epoll_fd < 0 ||
	    monitor->timer_fd < 0 ||
	    epoll_ctl(monitor->epoll_fd, EPOLL_CTL_ADD, monitor->timer_fd, &event) < 0)
		refuse(scanner->arg, "cannot be watched: no memory or no descriptors are left");
	return monitor;
}

/* Runs in the Emperor's process, before its loop. */
static void monitor_init(struct uwsgi_emperor_scanner *scanner)
{
	struct monitor *monitor;
	struct stat st;

	scanner->arg += strlen(FR_MONITOR_SCHEME "://");
	if (chdir(uwsgi.cwd) < 0) /* a monitor before this one may have left for its folder */
		refuse(scanner->arg, "cannot be looked up: the folder that uWSGI was started in is "
				     "gone");
	monitor = monitor_new(scanner);
	if (stat(scanner->arg, &st) < 0) {
		monitor->is_pattern = strpbrk(scanner->arg, "*?[") != NULL;
		if (!monitor->is_pattern)
			refuse(scanner->arg, "is not there; name the folder of the vassals' files, "
					     "or a pattern that matches them");
	} else {
		monitor->is_pattern = !S_ISDIR(st.st_mode);
	}
	if (monitor->is_pattern)
		uwsgi_imperial_monitor_glob_init(scanner);
	else
		uwsgi_imperial_monitor_directory_init(scanner);
	scanner->data = monitor;
	scanner->fd = monitor->epoll_fd;
	scanner->event_func = monitor_woken;
	event_queue_add_fd_read(uwsgi.emperor_queue, scanner->fd);
}

void fr_monitor_register(void)
{
	static char scheme[] = FR_MONITOR_SCHEME;

	uwsgi_register_imperial_monitor(scheme, monitor_init, monitor_turn);
}
