/*
 * say: the lines in the log, and the page for browsers. See say.h.
 */
#include <uwsgi.h>

#include "decide/batch.h"
#include "decide/plan.h"
#include "door/browser.h"
#include "door/door.h"
#include "door/say.h"
#include "door/settings.h"
#include "door/tell.h"
#include "reload/broken.h"
#include "reload/command.h"
#include "reload/generation.h"
#include "reload/nursery.h"
#include "reload/reload.h"
#include "reload/slots.h"
#include "report/page.h"
#include "report/sentence.h"
#include "report/traceback.h"
#include "watch/changes.h"
#include "watch/hold.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

#define FR_SHOWN_CHANGES 2 /* named in the log line; the others are counted */

void fr_say_hello(const struct fr_plan *plan)
{
	char steps[1024];

	fr_log("watching %zu folders, in which %zu files count; a change does: %s (%s)\n",
	       fr_watcher_folders(fr_door.watcher), fr_watcher_files(fr_door.watcher),
	       fr_plan_describe(plan, steps, sizeof(steps)), plan->reason);
	if (plan->action == FR_ACTION_RELOAD && uwsgi.max_fd > 1048576)
		fr_verbose("the limit of open files is very high (%lu): uWSGI would close them all "
			   "one by one at each reload; that is cut short\n",
			   (unsigned long)uwsgi.max_fd);
}

void fr_say_baseline(bool was_reading)
{
	static bool is_said;

	if (is_said || fr_door.baseline)
		return;
	is_said = true;
	fr_verbose("baseline of %zu files is known%s\n", fr_watcher_files(fr_door.watcher),
		   was_reading ? "" : " already");
}

void fr_say_changes(const struct fr_changes *changes, char *text, size_t text_size)
{
	const char *shown[FR_SHOWN_CHANGES] = {NULL}, *words[FR_SHOWN_CHANGES] = {NULL};
	size_t i;

	if (changes->len == 0) {
		snprintf(text, text_size, "asked for");
		return;
	}
	for (i = 0; i < FR_SHOWN_CHANGES && i < changes->len; i++) {
		shown[i] = fr_watcher_relative(fr_door.watcher, changes->paths[i]);
		words[i] = fr_change_word(changes->kinds[i]);
	}
	fr_sentence_changes(shown, words, i, changes->len, text, text_size);
}

void fr_say_action(const struct fr_plan *plan)
{
	char steps[1024], text[1024];

	fr_log("%s: %s (%s)\n", fr_door.handover.what,
	       fr_sentence_path(fr_plan_describe(plan, steps, sizeof(steps)), text, sizeof(text)),
	       plan->reason);
}

void fr_say_bad_config(const char *error)
{
	char text[1024];

	fr_log("%s: %s; the old rules stay\n", fr_settings.config,
	       fr_sentence_path(error, text, sizeof(text)));
}

void fr_say_step_failure(const struct fr_reaction *step, int error)
{
	if (step->action == FR_ACTION_SIGNAL && error == -ENOENT)
		fr_log("signal:%s went nowhere: the application has registered no handler for it\n",
		       step->argument);
	else
		fr_log("%s%s%s failed: %s\n", fr_action_name(step->action),
		       step->argument ? ":" : "", step->argument ? step->argument : "",
		       strerror(-error));
}

void fr_say_unchanged(const struct fr_changes *changes)
{
	char text[1024];

	if (changes->items_len == 1)
		fr_verbose("%s was written to and has not changed\n",
			   fr_sentence_path(
				   fr_watcher_relative(fr_door.watcher, changes->items[0].path),
				   text, sizeof(text)));
	else
		fr_verbose("%zu files were written to and have not changed\n", changes->items_len);
}

void fr_say_hold(const char *file, size_t changes_len)
{
	char text[1024];

	fr_log("held: %zu %s so far, while %s is there\n", changes_len,
	       changes_len == 1 ? "change" : "changes", fr_sentence_path(file, text, sizeof(text)));
}

void fr_say_stale_lock(const char *file)
{
	char text[1024];

	fr_log("%s has been there for %d s, and nothing has changed since: it is taken for one "
	       "that was left behind, and holds nothing back any more\n",
	       fr_sentence_path(file, text, sizeof(text)), FR_HOLD_STALE_MS / 1000);
}

void fr_say_loop(const struct fr_changes *changes)
{
	char text[1024];

	fr_sentence_path(fr_watcher_relative(fr_door.watcher, changes->paths[0]), text,
			 sizeof(text));
	fr_log("loop: %s%s changes each time the application is loaded, and at no other time, so "
	       "it "
	       "is the application that writes it: what it writes while it is loaded reloads "
	       "nothing from now on (to leave it out for good: --fastreload-exclude)\n",
	       text, changes->len > 1 ? " (and others)" : "");
}

bool fr_say_is_own_file(void *ctx, const char *file, size_t file_len)
{
	char path[PATH_MAX];

	(void)ctx;
	if (file_len >= sizeof(path))
		return false;
	memcpy(path, file, file_len);
	path[file_len] = '\0';
	return fr_watcher_relative(fr_door.watcher, path) != path;
}

/* "pages/views.py, line 3: SyntaxError: invalid syntax", or "" */
static char *name_culprit(const char *output, char *text, size_t text_size)
{
	char file[PATH_MAX], error[512], shown_file[256], shown_error[512];
	struct fr_traceback traceback;

	text[0] = '\0';
	if (!fr_traceback_find(output, fr_say_is_own_file, NULL, &traceback) ||
	    !traceback.error_len)
		return text;
	snprintf(file, sizeof(file), "%.*s", (int)traceback.file_len, traceback.file);
	snprintf(error, sizeof(error), "%.*s", (int)traceback.error_len, traceback.error);
	fr_sentence_path(error, shown_error, sizeof(shown_error));
	fr_sentence_path(fr_watcher_relative(fr_door.watcher, file), shown_file,
			 sizeof(shown_file));
	if (traceback.file_len > 0)
		snprintf(text, text_size, "%s, line %ld: %s", shown_file, traceback.line,
			 shown_error);
	else
		snprintf(text, text_size, "%s", shown_error);
	return text;
}

static void show_page(const char *headline, const char *output)
{
	static char html[FR_BROKEN_MAX_BYTES];

	fr_browser_broken(headline, output);
	fr_broken_show(html, fr_page_write(headline, output, html, sizeof(html)));
}

/* Each line of what a command printed is one of ours. */
static void say_output(const char *output)
{
	while (*output) {
		size_t len = strcspn(output, "\n");
		char line[512], text[1024];

		snprintf(line, sizeof(line), "%.*s", (int)len, output);
		fr_log("  %s\n", fr_sentence_path(line, text, sizeof(text)));
		output += len + (output[len] == '\n');
	}
}

/* "ended with status 1" */
static void describe_end(const struct fr_command_result *result, char *text, size_t text_size)
{
	if (result->is_lost)
		snprintf(text, text_size, "was ended by somebody else");
	else if (result->is_timeout)
		snprintf(text, text_size, "was ended: it may take %lld s (--fastreload-timeout)",
			 (long long)fr_settings.timeout_ms / 1000);
	else if (WIFSIGNALED(result->status))
		snprintf(text, text_size, "was ended by signal %d", WTERMSIG(result->status));
	else
		snprintf(text, text_size, "ended with status %d", WEXITSTATUS(result->status));
}

void fr_say_command(const struct fr_reaction *command, const struct fr_command_result *result,
		    int64_t took_ms)
{
	static bool has_page; /* of a command that failed */
	char end[128], name[256], headline[512];

	fr_sentence_path(command->argument, name, sizeof(name));
	say_output(result->output);
	if (!result->is_lost && !result->is_timeout && result->status == 0) {
		fr_log("exec:%s succeeded in %lld ms\n", name, (long long)took_ms);
		if (has_page) {
			fr_broken_hide();
			fr_browser_restored();
		}
		has_page = false;
		return;
	}
	describe_end(result, end, sizeof(end));
	snprintf(headline, sizeof(headline), "exec:%s %s", name, end);
	show_page(headline, result->output);
	has_page = true;
	fr_log("not reloaded: %s after %lld ms; the last good code goes on serving, and the next "
	       "save is tried\n",
	       headline, (long long)took_ms);
}

void fr_say_failure(void)
{
	char culprit[1024];

	name_culprit(fr_generation_failure_output(), culprit, sizeof(culprit));
	show_page(culprit[0] ? culprit : fr_generation_failure(), fr_generation_failure_output());
	fr_log("not reloaded: %s%s%s%s; the last good code goes on serving, and the next save is "
	       "tried\n",
	       fr_generation_failure(), culprit[0] ? " (" : "", culprit, culprit[0] ? ")" : "");
	fr_tell_failure(culprit[0] ? culprit : fr_generation_failure());
}

/* Once for each module, so that it is no news any more. */
static void advise_preload(void)
{
	static char last[160];
	int ms;
	const char *name = fr_nursery_heaviest(&ms);

	if (!name || strcmp(name, last) == 0)
		return;
	snprintf(last, sizeof(last), "%s", name);
	fr_log("%d ms of that went to the import of %s, behind what was edited. If it does not "
	       "depend on the application: fastreload-preload = %s\n",
	       ms, name, name);
}

void fr_say_outcome(const struct fr_reload_times *times)
{
	const char *note = fr_slots_have_app()
				   ? ""
				   : ", but the application did not load: its traceback is "
				     "above, and the next save is awaited";

	fr_broken_hide();
	if (times->is_swap) {
		char resumed[64] = "from the beginning";

		if (fr_generation_resumed_at() > 0)
			snprintf(resumed, sizeof(resumed), "from behind the first %zu files%s",
				 fr_generation_resumed_at(),
				 fr_nursery_resumed_inside() ? ", inside the module" : "");
		fr_log("reloaded in %lld ms%s (%lld to settle, %lld to load, %s)\n",
		       (long long)(times->done_ms - times->event_ms), note,
		       (long long)(times->decided_ms - times->event_ms),
		       (long long)(times->done_ms - times->decided_ms), resumed);
		advise_preload();
		if (fr_nursery_frozen() > 0)
			fr_verbose("%d processes are frozen, and had %lld MiB of memory of their "
				   "own\n",
				   fr_nursery_frozen(), (long long)fr_nursery_memory() / 1024);
		if (fr_nursery_reason()[0])
			fr_verbose("no short cut: %s\n", fr_nursery_reason());
		return;
	}
	fr_log("reloaded in %lld ms%s (%lld to settle, %lld for the old workers to leave, %lld to "
	       "load)\n",
	       (long long)(times->done_ms - times->event_ms), note,
	       (long long)(times->decided_ms - times->event_ms),
	       (long long)(times->gone_ms - times->decided_ms),
	       (long long)(times->done_ms - times->gone_ms));
}
