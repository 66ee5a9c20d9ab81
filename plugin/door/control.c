/*
 * control: what can be asked of the master from outside. See control.h.
 */
#include <uwsgi.h>

#include <getopt.h>

#include "decide/judge.h"
#include "door/control.h"
#include "door/cycle.h"
#include "door/door.h"
#include "door/learn.h"
#include "door/publish.h"
#include "door/settings.h"
#include "door/tell.h"
#include "reload/wake.h"
#include "report/client.h"
#include "report/journal.h"
#include "report/json.h"
#include "report/request.h"
#include "report/server.h"
#include "report/status.h"
#include "watch/explain.h"
#include "watch/push_socket.h"
#include "watch/tree.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

#define FR_CONTROL_TEXT_SIZE (96 * 1024)

static struct fr_server *server; /* NULL: nobody listens */
static struct fr_push_address address;

/* ---- what is asked ---- */

static const char *const pause_text =
	"paused: changes are held back until \"resume\"; \"reload\" reloads all the same\n";
static const char *const resume_text = "resumed: what was held back is acted on\n";
static const char *const reload_text =
	"a reload was asked for; \"status\" tells what became of it\n";

static void set_pause(bool is_paused)
{
	if (fr_door.handover.is_paused == is_paused)
		return;
	fr_door.handover.is_paused = is_paused;
	fr_cycle_pause(is_paused);
	fr_log("%s, as somebody has asked for\n", is_paused ? "paused" : "resumed");
	fr_tell_pause(is_paused);
}

static void answer_status(bool is_for_people, struct fr_json *json)
{
	char text[FR_STATUS_TEXT_SIZE];
	struct fr_status status;

	fr_tell_status(&status, true);
	if (is_for_people)
		fr_json_string(json, "text", fr_status_text(&status, text, sizeof(text)));
	else
		fr_status_json(&status, json, "status");
}

/* The newest that fit. */
static void answer_journal_for_people(struct fr_json *json)
{
	static char text[FR_CONTROL_TEXT_SIZE];
	const struct fr_journal *journal = fr_publish_journal();
	uint64_t first = fr_journal_first(journal, false), i = journal->next;
	char line[FR_JOURNAL_LINE_SIZE];
	size_t at = sizeof(text) - 1;

	text[at] = '\0';
	while (i > first) {
		size_t len = strlen(fr_journal_text(journal, --i, line, sizeof(line)));

		if (len + 1 > at)
			break;
		text[--at] = '\n';
		at -= len;
		memcpy(text + at, line, len);
	}
	fr_json_string(json, "text", text + at);
}

static void answer_journal(bool is_for_people, struct fr_json *json)
{
	if (is_for_people)
		answer_journal_for_people(json);
	else
		fr_journal_json(fr_publish_journal(), json, "journal");
	fr_tell_journal(false);
	fr_journal_settle(fr_publish_journal());
}

static bool is_master(void)
{
	return uwsgi.mywid == 0;
}

static const char *find(const char *path, struct fr_explanation *ret_explanation)
{
	const char *rest;
	const struct fr_node *root = fr_tree_root_of(fr_watcher_tree(fr_door.watcher), path, &rest);
	const struct fr_judge *judge = fr_watcher_judge(fr_door.watcher);
	struct fr_ignorefiles *files = NULL;
	bool may_look = true;

	if (!root || root->kind != FR_NODE_FOLDER || !*rest)
		return "it is in no watched folder";
	/* In the master the ignore files are as they were read last, because nothing may change by
	 * a question; a worker has only what it was born with, and reads them. */
	if (is_master()) {
		may_look = fr_watcher_looks_itself(fr_door.watcher, path);
	} else {
		files = fr_settings.ignorefiles;
		fr_learn_in_worker(path);
	}
	if (!fr_explain_judge(judge, files, may_look, root->name, path, ret_explanation))
		return "there is not enough memory";
	return NULL;
}

const char *fr_control_explain(const char *path, struct fr_json *json)
{
	struct fr_explanation explanation;
	char text[FR_EXPLAIN_TEXT_SIZE];
	const char *error = find(path, &explanation);

	if (error)
		return error;
	fr_json_string(json, "path", path);
	fr_json_bool(json, "counts", explanation.verdict.counts);
	fr_json_bool(json, "loaded", explanation.verdict.is_loaded);
	fr_json_string(json, "pattern", explanation.verdict.pattern);
	fr_json_string(json, "origin", explanation.verdict.origin);
	fr_json_number(json, "line", explanation.verdict.line);
	fr_json_string(json, "sentence", fr_explain_text(&explanation, text));
	return NULL;
}

static const char *answer_explain(const struct fr_request *request, struct fr_json *json)
{
	struct fr_explanation explanation;
	char text[FR_EXPLAIN_TEXT_SIZE + 2];
	const char *error;

	if (!request->is_for_people)
		return fr_control_explain(request->path, json);
	error = find(request->path, &explanation);
	if (error)
		return error;
	fr_explain_text(&explanation, text);
	strcat(text, "\n");
	fr_json_string(json, "text", text);
	return NULL;
}

static const char *answer(void *ctx, const struct fr_request *request, struct fr_json *json)
{
	const char *text = NULL;

	(void)ctx;
	switch (request->command) {
	case FR_COMMAND_STATUS:
		answer_status(request->is_for_people, json);
		break;
	case FR_COMMAND_JOURNAL:
		answer_journal(request->is_for_people, json);
		break;
	case FR_COMMAND_EXPLAIN:
		return answer_explain(request, json);
	case FR_COMMAND_PAUSE:
		set_pause(true);
		text = pause_text;
		break;
	case FR_COMMAND_RESUME:
		set_pause(false);
		text = resume_text;
		break;
	default:
		if (uwsgi_instance_is_reloading || uwsgi_instance_is_dying)
			return "the instance is ending or reloading already";
		fr_cycle_ask();
		text = reload_text;
	}
	if (text && request->is_for_people)
		fr_json_string(json, "text", text);
	return NULL;
}

static void say_refused(void *ctx, uid_t uid)
{
	static int64_t said_ms;
	int64_t now = fr_door_now_ms();

	(void)ctx;
	if (said_ms && now - said_ms < 10000)
		return;
	said_ms = now;
	fr_log("--fastreload-control: a process of user %ld was turned away\n", (long)uid);
}

static const struct fr_server_hooks hooks = {.answer = answer, .refused = say_refused};

/* ---- start ---- */

static bool complain(const char *value, const char *reason)
{
	if (!uwsgi.is_a_reload)
		fr_settings_refuse("fastreload-control", value, reason);
	fr_log("--fastreload-control: \"%s\" %s\n", value, reason);
	return false;
}

static bool read_address(const char *value)
{
	char reason[256];

	if (!strchr(value, '/'))
		return complain(value, "is no path; name a Unix socket with a \"/\" in it, as in "
				       "/run/user/1000/mysite.sock");
	if (fr_push_address_parse(value, &address, reason, sizeof(reason)) < 0)
		return complain(value, reason);
	if (address.is_open)
		return complain(value, "is in a folder where other users may replace it; name one "
				       "in a folder that belongs to the user of uWSGI or to root");
	return true;
}

/* The socket of the image before, if it is that of the option still; else a new one, or -1. */
static int find_listener(const char *value)
{
	int inherited = fr_door.handover.control_fd;
	char reason[256];
	int fd;

	fr_door.handover.control_fd = 0;
	if (inherited > 2 && fr_push_socket_is_at(inherited, &address)) {
		(void)fcntl(inherited, F_SETFD, FD_CLOEXEC);
		return inherited;
	}
	fd = fr_push_socket_listen(&address, reason, sizeof(reason));
	if (fd < 0)
		(void)complain(value, reason);
	return fd;
}

void fr_control_open(void)
{
	const char *value = fr_settings.control_text;
	int fd, fds[FR_SERVER_MAX_FDS];

	if (fr_door.handover.is_paused)
		fr_cycle_pause(true);
	if (!value || !read_address(value))
		return;
	fd = find_listener(value);
	if (fd < 0)
		return;
	if (fr_server_new(fd, geteuid(), &hooks, NULL, &server) < 0)
		fr_door_out_of_memory();
	/* As for the watcher's: uWSGI closes what it does not know. */
	for (size_t i = 0, len = fr_server_fds(server, fds); i < len; i++)
		uwsgi_add_safe_fd(fds[i]);
}

/* ---- the master's loop ---- */

void fr_control_join(void)
{
	if (server)
		fr_wake_watch_output(fr_server_fd(server));
}

static void grant(const struct fr_wishes *wishes)
{
	if (wishes->pause || wishes->resume)
		set_pause(wishes->pause);
	if (wishes->reload && !uwsgi_instance_is_reloading && !uwsgi_instance_is_dying)
		fr_cycle_ask();
}

int64_t fr_control_turn(int64_t now_ms)
{
	struct fr_wishes wishes = fr_publish_take_wishes();

	grant(&wishes);
	return server ? fr_server_step(server, now_ms) : -1;
}

/* ---- the end ---- */

void fr_control_close_in_child(void)
{
	int fds[FR_SERVER_MAX_FDS];

	if (!server)
		return;
	for (size_t i = 0, len = fr_server_fds(server, fds); i < len; i++)
		close(fds[i]);
}

void fr_control_leave(void)
{
	int fds[FR_SERVER_MAX_FDS];
	int listener = server ? fr_server_listener(server) : -1;

	if (!server)
		return;
	for (size_t i = 0, len = fr_server_fds(server, fds); i < len; i++) {
		if (fds[i] != listener)
			close(fds[i]);
	}
	(void)fcntl(listener, F_SETFD, 0);
	uwsgi_add_safe_fd(listener);
	fr_door.handover.control_fd = listener;
	server = NULL; /* the process is about to become another */
}

void fr_control_end(void)
{
	if (server)
		(void)unlink(address.to.un.sun_path);
}

/* ---- --fastreload-ctl ---- */

__attribute__((noreturn)) static void refuse_command(const char *word)
{
	fprintf(stderr,
		"[fastreload] --fastreload-ctl SOCKET COMMAND: \"%s\" is no command; there are "
		"status, pause, resume, reload, explain PATH and journal\n",
		word);
	exit(1);
}

/*
 * uWSGI calls this for an option of the kind "immediate" while getopt_long(3) stands behind it
 * (core/init.c, uwsgi_commandline_config), so the words that follow are still where they were
 * written. In a configuration file there are none: the command is a status then.
 */
void fr_control_ask(char *option, char *value, void *unused)
{
	struct fr_request request = {.is_for_people = true};
	bool is_on_command_line = value && value == optarg;
	char *const *word = is_on_command_line ? uwsgi.argv + optind : NULL;

	(void)option;
	(void)unused;
	if (word && *word) {
		request.command = fr_command_of(*word);
		if (request.command == FR_COMMANDS)
			refuse_command(*word);
		word++;
	}
	if (request.command == FR_COMMAND_EXPLAIN) {
		if (!word || !*word)
			refuse_command("explain without a PATH");
		fr_explain_absolute(*word, request.path, sizeof(request.path));
	}
	exit(fr_client_ask(value, &request, stdout, stderr));
}
