/*
 * act: carries out all of a plan but the load of new code. See act.h.
 */
#include <uwsgi.h>

#include "decide/reactions.h"
#include "door/act.h"
#include "door/browser.h"
#include "door/door.h"
#include "door/say.h"
#include "door/settings.h"
#include "reload/command.h"
#include "reload/reload.h"
#include "report/notice.h"
#include "watch/changes.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

#define FR_ACT_FOLDER_ENV "FASTRELOAD_CHANGES"

/* A command gets no more paths than this, nor more bytes of them: execve(2) has limits. */
#define FR_ACT_MAX_PATHS 1000
#define FR_ACT_MAX_BYTES 65536

static struct {
	struct fr_plan plan;
	const struct fr_changes *changes; /* NULL: there is no plan */
	int64_t event_ms, command_began_ms;
	size_t next_command;
	struct fr_notice *notice; /* NULL: nobody is to get a signal */
	char file[PATH_MAX];      /* of the notice */
	pid_t owner;              /* who removes it */
} act;

/* ---- the notice ---- */

static void remove_notice(void)
{
	if (getpid() != act.owner)
		return;
	(void)unlink(act.file);
	*strrchr(act.file, '/') = '\0';
	(void)rmdir(act.file);
}

/* A folder of our own, or the one of the image before this. */
static bool make_folder(char *file, size_t file_size)
{
	const char *before = uwsgi.is_a_reload ? getenv(FR_ACT_FOLDER_ENV) : NULL;
	const char *parent = getenv("TMPDIR");
	struct stat st;

	if (before && strrchr(before, '/') && strlen(before) < file_size) {
		strcpy(file, before);
		*strrchr(file, '/') = '\0';
		if (lstat(file, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
			return true;
	}
	return (size_t)snprintf(file, file_size, "%s/fastreload-XXXXXX",
				parent && *parent ? parent : "/tmp") < file_size &&
	       mkdtemp(file);
}

void fr_act_open(void)
{
	char folder[PATH_MAX - 32];

	if (!fr_reactions_have(fr_settings.reactions, FR_ACTION_SIGNAL))
		return;
	if (!make_folder(folder, sizeof(folder))) {
		fr_log("signals will tell nobody what changed: no folder for it can be made: %s\n",
		       strerror(errno));
		return;
	}
	snprintf(act.file, sizeof(act.file), "%s/changes.json", folder);
	if (fr_notice_new(act.file, &act.notice) < 0 || setenv(FR_ACT_FOLDER_ENV, act.file, 1) < 0)
		fr_door_out_of_memory();
	act.owner = getpid();
	(void)atexit(remove_notice);
}

static const struct fr_reaction *reaction_of(const char *path)
{
	return fr_reactions_find(fr_settings.reactions, fr_watcher_relative(fr_door.watcher, path));
}

/* All that a signal of this plan is about. */
static void write_notice(void)
{
	const struct fr_changes *changes = act.changes;
	struct fr_notice_change *noticed = calloc(changes->len + 1, sizeof(*noticed));
	size_t len = 0;
	int error = -ENOMEM;

	for (size_t i = 0; noticed && i < changes->len; i++) {
		const struct fr_reaction *reaction = reaction_of(changes->paths[i]);

		if (reaction && reaction->action == FR_ACTION_SIGNAL)
			noticed[len++] = (struct fr_notice_change){
				.path = changes->paths[i],
				.word = fr_change_word(changes->kinds[i]),
				.signal = atoi(reaction->argument),
			};
	}
	if (noticed)
		error = fr_notice_write(act.notice, noticed, len);
	if (error)
		fr_log("%s cannot be written: %s\n", act.file, strerror(-error));
	free(noticed);
}

/* ---- what is done besides ---- */

static void do_besides(void)
{
	bool is_noticed = !act.notice;

	for (size_t i = 0; i < act.plan.besides_len; i++) {
		const struct fr_reaction *step = &act.plan.besides[i];
		int error;

		if (step->action == FR_ACTION_BROWSER) {
			fr_browser_changes(act.changes);
			continue;
		}
		if (step->action == FR_ACTION_SIGNAL && !is_noticed) {
			write_notice();
			is_noticed = true;
		}
		error = fr_reload_start(step->action, &(struct fr_reload_request){
							      .argument = step->argument,
							      .event_ms = act.event_ms,
							      .now_ms = fr_door_now_ms(),
						      });
		if (error)
			fr_say_step_failure(step, error);
	}
}

/* ---- commands ---- */

static bool is_about(const struct fr_reaction *command, const char *path)
{
	const struct fr_reaction *reaction = reaction_of(path);

	return reaction && reaction->action == FR_ACTION_EXEC &&
	       strcmp(reaction->argument, command->argument) == 0;
}

/* The paths that the command is about, as many as may be; *ret_total: of all that there are. */
static size_t gather_paths(const struct fr_reaction *command, const char **paths, size_t *ret_total)
{
	size_t len = 0, bytes = 0;

	*ret_total = 0;
	for (size_t i = 0; i < act.changes->len; i++) {
		const char *path = act.changes->paths[i];

		if (!is_about(command, path))
			continue;
		bytes += strlen(path) + 1;
		if (len < FR_ACT_MAX_PATHS && bytes < FR_ACT_MAX_BYTES)
			paths[len++] = path;
		(*ret_total)++;
	}
	return len;
}

/* The environment of uWSGI, FASTRELOAD_PATHS and FASTRELOAD_TOTAL; the first two are to be freed,
 * and so is the list. */
static char **make_environment(const char *const *paths, size_t len, size_t total)
{
	char **list, *text, *at;
	size_t count = 0, size = sizeof("FASTRELOAD_PATHS=");

	while (environ[count])
		count++;
	for (size_t i = 0; i < len; i++)
		size += strlen(paths[i]) + 1;
	list = calloc(count + 3, sizeof(*list));
	text = malloc(size);
	if (!list || !text || asprintf(&list[1], "FASTRELOAD_TOTAL=%zu", total) < 0) {
		free(list);
		free(text);
		return NULL;
	}
	list[0] = text;
	at = stpcpy(text, "FASTRELOAD_PATHS=");
	for (size_t i = 0; i < len; i++)
		at = stpcpy(stpcpy(at, i > 0 ? "\n" : ""), paths[i]);
	memcpy(list + 2, environ, count * sizeof(*list));
	return list;
}

/*
 * One word is a program, and gets the paths as its arguments. More than that is for the shell, in
 * which they are "$@": a command line is whole as it stands ("make messages").
 */
static void make_arguments(const char *text, const char *const *paths, size_t len,
			   const char **argv)
{
	bool is_word = !strpbrk(text, " \t\"'$&|;<>()`\\*?[#~=%!{}\n");
	size_t used = 0;

	if (is_word) {
		argv[used++] = text;
	} else {
		argv[used++] = "/bin/sh";
		argv[used++] = "-c";
		argv[used++] = text;
		argv[used++] = "fastreload";
	}
	memcpy(argv + used, paths, len * sizeof(*paths));
	argv[used + len] = NULL;
}

static int start_command(const struct fr_reaction *command)
{
	static const char *paths[FR_ACT_MAX_PATHS], *argv[FR_ACT_MAX_PATHS + 5];
	size_t total, len = gather_paths(command, paths, &total);
	char **environment = make_environment(paths, len, total);
	int error;

	if (!environment)
		return -ENOMEM;
	make_arguments(command->argument, paths, len, argv);
	act.command_began_ms = fr_door_now_ms();
	error = fr_command_start((char *const *)argv, environment, fr_settings.timeout_ms);
	free(environment[0]);
	free(environment[1]);
	free(environment);
	return error;
}

/* Returns whether it was a success. */
static bool finish_command(const struct fr_command_result *result)
{
	const struct fr_reaction *command = &act.plan.commands[act.next_command++];
	bool is_good = !result->is_lost && !result->is_timeout && result->status == 0;

	fr_say_command(command, result, fr_door_now_ms() - act.command_began_ms);
	return is_good;
}

/* ---- the plan ---- */

void fr_act_begin(const struct fr_plan *plan, const struct fr_changes *changes, int64_t event_ms)
{
	act.plan = *plan;
	act.changes = changes;
	act.event_ms = event_ms;
	act.next_command = 0;
}

bool fr_act_is_open(void)
{
	return act.changes != NULL;
}

void fr_act_stop(void)
{
	fr_command_stop();
	act.changes = NULL;
}

static enum fr_act_state end(enum fr_act_state state)
{
	act.changes = NULL;
	return state;
}

enum fr_act_state fr_act_step(void)
{
	const struct fr_command_result *result;
	int error;

	if (!act.changes)
		return FR_ACT_IDLE;
	if (fr_command_is_running()) {
		if (!fr_command_step(&result))
			return FR_ACT_WAITING;
		if (!finish_command(result))
			return end(FR_ACT_FAILED);
	}
	if (act.next_command < act.plan.commands_len) {
		error = start_command(&act.plan.commands[act.next_command]);
		if (!error)
			return FR_ACT_WAITING;
		fr_say_step_failure(&act.plan.commands[act.next_command], error);
		return end(FR_ACT_FAILED);
	}
	do_besides();
	return end(FR_ACT_DONE);
}
