/*
 * tell: what happens goes from here to whoever wants to know. See tell.h.
 */
#include <uwsgi.h>

#include "decide/batch.h"
#include "decide/plan.h"
#include "decide/rules.h"
#include "door/browser.h"
#include "door/cycle.h"
#include "door/door.h"
#include "door/publish.h"
#include "door/settings.h"
#include "door/tell.h"
#include "reload/reload.h"
#include "report/events.h"
#include "report/journal.h"
#include "report/json.h"
#include "report/lines.h"
#include "report/status.h"
#include "report/tally.h"
#include "watch/changes.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

/* Where there are several backends, so often is counted what each watches. */
#define FR_TELL_COUNT_MS 5000

static struct {
	struct fr_lines *events; /* NULL: nobody wants them */
	bool is_comparing;       /* events were lost, and not all is compared yet */
	bool is_held;
	bool is_last_failed;
	int64_t since_ms, last_at_ms;
	char last_what[200], last_error[512];
	int64_t counted_ms;
	struct fr_status_backend backends[FR_STATUS_MAX_BACKENDS];
	size_t backends_len;
} told;

static char line[FR_EVENTS_LINE_SIZE];

static struct fr_tally *tally(void)
{
	return &fr_door.handover.tally;
}

static int64_t clock_ms(void)
{
	return (int64_t)(uwsgi_micros() / 1000);
}

/* ---- events ---- */

static void begin_event(struct fr_json *json, const char *event)
{
	fr_events_begin(json, line, clock_ms(), event);
}

static void write_event(struct fr_json *json)
{
	size_t len = fr_events_end(json);

	if (!json->is_full)
		fr_lines_write(told.events, line, len);
}

/* An event that has nothing else to say. */
static void write_plain(const char *event)
{
	struct fr_json json;

	if (!told.events)
		return;
	begin_event(&json, event);
	write_event(&json);
}

static const char *kind_of(void *ctx, size_t i)
{
	const struct fr_changes *changes = ctx;

	return fr_change_word(changes->kinds[i]);
}

static void write_batch(const struct fr_changes *changes)
{
	struct fr_json json;

	if (!told.events)
		return;
	begin_event(&json, "batch");
	fr_json_number(&json, "id", tally()->batches);
	fr_events_changes(&json, changes->paths, changes->len, kind_of, (void *)changes);
	write_event(&json);
}

static void write_decision(const char *action, const char *reason)
{
	struct fr_json json;

	if (!told.events)
		return;
	begin_event(&json, "decision");
	fr_json_number(&json, "id", tally()->batches);
	fr_json_string(&json, "action", action);
	fr_json_string(&json, "reason", reason);
	write_event(&json);
}

static void write_outcome(const struct fr_events_outcome *outcome)
{
	struct fr_json json;

	if (!told.events)
		return;
	begin_event(&json, "outcome");
	fr_json_number(&json, "id", tally()->batches);
	fr_events_outcome(&json, outcome);
	write_event(&json);
}

/* ---- start ---- */

void fr_tell_open(void)
{
	const char *value = fr_settings.events_text;
	char reason[256];
	int fds[FR_LINES_MAX_FDS];

	told.since_ms = clock_ms();
	if (!value)
		return;
	if (fr_lines_open(value, sizeof(line), &told.events, reason, sizeof(reason)) < 0) {
		if (!uwsgi.is_a_reload)
			fr_settings_refuse("fastreload-events", value, reason);
		fr_log("--fastreload-events: \"%s\" %s\n", value, reason);
		return;
	}
	/* As for the watcher's: uWSGI closes what it does not know. */
	for (size_t i = 0, len = fr_lines_fds(told.events, fds); i < len; i++)
		uwsgi_add_safe_fd(fds[i]);
}

void fr_tell_start(const struct fr_plan *plan)
{
	struct fr_json json;
	char steps[1024];

	fr_plan_describe(plan, steps, sizeof(steps));
	fr_publish_note("start", NULL, steps);
	if (!told.events)
		return;
	begin_event(&json, "start");
	fr_json_number(&json, "pid", getpid());
	fr_json_number(&json, "folders", (int64_t)fr_watcher_folders(fr_door.watcher));
	fr_json_number(&json, "files", (int64_t)fr_watcher_files(fr_door.watcher));
	fr_json_string(&json, "action", steps);
	fr_json_string(&json, "reason", plan->reason);
	write_event(&json);
}

/* ---- raw events ---- */

static const char *relative(const char *path)
{
	return fr_watcher_relative(fr_door.watcher, path);
}

void fr_tell_hint(const char *path, enum fr_hint hint)
{
	static const char *const words[] = {
		[FR_HINT_WRITING] = "writing",
		[FR_HINT_WRITTEN] = "written",
		[FR_HINT_ATTRIB] = "attributes",
		[FR_HINT_GONE] = "gone",
	};

	if (told.is_comparing && hint != FR_HINT_WRITING)
		tally()->recovered++;
	fr_publish_note(words[hint], relative(path), told.is_comparing ? "by comparing" : NULL);
}

void fr_tell_skipped(const char *path, const struct fr_verdict *verdict)
{
	char rule[256];

	tally()->ignored++;
	if (!verdict->pattern)
		snprintf(rule, sizeof(rule), "no pattern says that it counts");
	else
		snprintf(rule, sizeof(rule), "\"%s\" (%s)", verdict->pattern, verdict->origin);
	fr_publish_note("ignored", relative(path), rule);
}

void fr_tell_lost(void)
{
	tally()->lost++;
	told.is_comparing = true;
	fr_publish_note("lost", NULL, "events were lost, everything is compared");
	write_plain("lost");
}

void fr_tell_missed(const char *path)
{
	tally()->missed++;
	tally()->recovered++;
	fr_publish_note("missed", relative(path), "no event has told");
}

void fr_tell_compared(void)
{
	told.is_comparing = false;
}

/* ---- decisions ---- */

static void note_changes(const struct fr_changes *changes)
{
	/* Of a checkout the first few tell enough, and the journal is short. */
	for (size_t i = 0; i < changes->len && i < 16; i++)
		fr_publish_note(fr_change_word(changes->kinds[i]), relative(changes->paths[i]),
				NULL);
}

void fr_tell_decision(const struct fr_changes *changes, const struct fr_plan *plan,
		      const char *what)
{
	char steps[1024];

	fr_plan_describe(plan, steps, sizeof(steps));
	told.is_held = false;
	tally()->batches++;
	note_changes(changes);
	fr_publish_note("decided", NULL, steps);
	snprintf(told.last_what, sizeof(told.last_what), "%s", what);
	write_batch(changes);
	write_decision(steps, plan->reason);
}

void fr_tell_unchanged(const struct fr_changes *changes)
{
	told.is_held = false;
	for (size_t i = 0; i < changes->items_len && i < 16; i++)
		fr_publish_note("unchanged", relative(changes->items[i].path), NULL);
}

void fr_tell_loop(const struct fr_changes *changes)
{
	static const char reason[] = "the application writes these files whenever it is loaded";

	tally()->batches++;
	tally()->held++;
	note_changes(changes);
	fr_publish_note("held", NULL, reason);
	write_batch(changes);
	write_decision("none", reason);
}

void fr_tell_held(const char *why, size_t files)
{
	struct fr_json json;

	if (told.is_held)
		return;
	told.is_held = true;
	tally()->held++;
	fr_publish_note("held", NULL, why);
	if (!told.events)
		return;
	begin_event(&json, "held");
	fr_json_string(&json, "reason", why);
	fr_json_number(&json, "files", (int64_t)files);
	write_event(&json);
}

/* ---- outcomes ---- */

/* The image before this one may have decided. */
static void note_outcome(bool is_failed, const char *error)
{
	told.last_at_ms = clock_ms();
	told.is_last_failed = is_failed;
	snprintf(told.last_error, sizeof(told.last_error), "%s", error ? error : "");
	if (!told.last_what[0])
		snprintf(told.last_what, sizeof(told.last_what), "%s", fr_door.handover.what);
	if (is_failed) {
		tally()->failures++;
		fr_publish_note("failed", NULL, error);
		fr_tell_journal(true);
	} else {
		fr_publish_note("reloaded", NULL, NULL);
	}
	fr_journal_settle(fr_publish_journal());
}

void fr_tell_outcome(const struct fr_reload_times *times, bool has_app)
{
	static const char error[] = "the application did not load";
	struct fr_events_outcome outcome = {
		.is_reloaded = has_app,
		.total_ms = times->done_ms - times->event_ms,
		.settle_ms = times->decided_ms - times->event_ms,
		.leave_ms = times->is_swap ? -1 : times->gone_ms - times->decided_ms,
		.load_ms = times->done_ms - (times->is_swap ? times->decided_ms : times->gone_ms),
		.error = has_app ? NULL : error,
		.has_app = has_app,
	};

	if (has_app)
		fr_tally_reload(tally(), outcome.total_ms);
	note_outcome(!has_app, outcome.error);
	write_outcome(&outcome);
	fr_browser_outcome(times->is_swap, has_app);
}

void fr_tell_failure(const char *why)
{
	const struct fr_events_outcome outcome = {
		.total_ms = -1,
		.settle_ms = -1,
		.leave_ms = -1,
		.load_ms = -1,
		.error = why,
		.has_app = true,
	};

	note_outcome(true, why);
	write_outcome(&outcome);
}

void fr_tell_pause(bool is_paused)
{
	told.is_held = false;
	fr_publish_note(is_paused ? "paused" : "resumed", NULL, NULL);
	write_plain(is_paused ? "pause" : "resume");
}

/* ---- what is asked ---- */

static void count_backends(bool is_exact)
{
	struct fr_watcher_backend backends[FR_WATCHER_MAX_SOURCES];
	int64_t now = fr_door_now_ms();

	if (told.backends_len > 1 && !is_exact && now - told.counted_ms < FR_TELL_COUNT_MS)
		return;
	told.counted_ms = now;
	told.backends_len = fr_watcher_backends(fr_door.watcher, backends);
	for (size_t i = 0; i < told.backends_len; i++) {
		snprintf(told.backends[i].name, sizeof(told.backends[i].name), "%s",
			 backends[i].name);
		told.backends[i].folders = backends[i].folders;
		told.backends[i].files = backends[i].files;
	}
}

void fr_tell_status(struct fr_status *ret_status, bool is_exact)
{
	struct fr_plan plan;

	fr_cycle_usual_plan(&plan);
	*ret_status = (struct fr_status){
		.tally = *tally(),
		.since_ms = told.since_ms,
		.last_at_ms = told.last_at_ms,
		.pid = getpid(),
		.is_paused = fr_door.handover.is_paused,
		.is_reloading = fr_reload_is_running(NULL),
		.is_last_failed = told.is_last_failed,
		.waiting = fr_cycle_waiting(),
		.events_dropped = told.events ? fr_lines_dropped(told.events) : 0,
	};
	snprintf(ret_status->action, sizeof(ret_status->action), "%s", fr_action_name(plan.action));
	snprintf(ret_status->reason, sizeof(ret_status->reason), "%s", plan.reason);
	snprintf(ret_status->last_what, sizeof(ret_status->last_what), "%s", told.last_what);
	snprintf(ret_status->last_error, sizeof(ret_status->last_error), "%s", told.last_error);
	count_backends(is_exact);
	ret_status->backends_len = told.backends_len;
	memcpy(ret_status->backends, told.backends, sizeof(told.backends));
}

void fr_tell_journal(bool only_new)
{
	const struct fr_journal *journal = fr_publish_journal();
	char text[FR_JOURNAL_LINE_SIZE];

	for (uint64_t i = fr_journal_first(journal, only_new); i < journal->next; i++)
		fr_log("journal: %s\n", fr_journal_text(journal, i, text, sizeof(text)));
}

void fr_tell_turn(void)
{
	struct fr_status status;

	if (told.events)
		fr_lines_flush(told.events);
	if (!fr_publish_is_wanted())
		return;
	fr_tell_status(&status, false);
	fr_publish_status(&status);
}

/* ---- the end ---- */

void fr_tell_close_in_child(void)
{
	int fds[FR_LINES_MAX_FDS];

	if (!told.events)
		return;
	for (size_t i = 0, len = fr_lines_fds(told.events, fds); i < len; i++)
		close(fds[i]);
}

/* A file is opened again by the next image; what was inherited is handed on. */
void fr_tell_leave(void)
{
	int fd = told.events ? fr_lines_inherited(told.events) : -1;

	fr_lines_free(told.events);
	told.events = NULL;
	if (fd < 0)
		return;
	(void)fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) & ~FD_CLOEXEC);
	uwsgi_add_safe_fd(fd);
}
