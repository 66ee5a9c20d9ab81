/*
 * settings: the options, read and checked. See settings.h.
 *
 * All of this runs once, before anything is watched or forked.
 */
#include <uwsgi.h>

#include "browser/origin.h"
#include "decide/assets.h"
#include "decide/config.h"
#include "decide/reactions.h"
#include "decide/rules.h"
#include "door/control.h"
#include "door/door.h"
#include "door/settings.h"
#include "door/settings_file.h"
#include "report/sentence.h"
#include "watch/backend.h"
#include "watch/explain.h"
#include "watch/ignorefiles.h"

extern struct uwsgi_server uwsgi;

#define FR_DEFAULT_SETTLE_MS  10
#define FR_DEFAULT_SNAPSHOTS  "3"
#define FR_DEFAULT_MEMORY_MIB "256"
#define FR_DEFAULT_MERCY_S    "5"
#define FR_DEFAULT_TIMEOUT_S  "60"
#define FR_DEFAULT_BROWSER    "/__fastreload__"
#define FR_IGNORE_COMPLAINTS  20

struct fr_settings fr_settings;

/* ---- the table ---- */

static void opt_pattern(char *option, char *value, void *kind)
{
	(void)option;
	uwsgi_string_new_list(&fr_settings.patterns, value)->custom = (uint64_t)(uintptr_t)kind;
}

/* The answer is for whoever asks; later, standard output may be a log file. */
static void opt_dry_run(char *option, char *value, void *unused)
{
	(void)option;
	(void)unused;
	fr_settings.dry_run = value;
	fr_settings.dry_run_fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
}

struct uwsgi_option fr_settings_options[] = {
	{"fastreload-dir", required_argument, 0,
	 "reload when a source file in this folder, or in one below it, changes (repeatable)",
	 uwsgi_opt_add_string_list, &fr_settings.dirs, 0},
	{"fastreload-include", required_argument, 0,
	 "count files that match this gitignore-style pattern, too (repeatable)", opt_pattern,
	 (void *)FR_RULE_INCLUDE, 0},
	{"fastreload-exclude", required_argument, 0,
	 "do not count files that match this gitignore-style pattern (repeatable)", opt_pattern,
	 (void *)FR_RULE_EXCLUDE, 0},
	{"fastreload-ignore-file", required_argument, 0,
	 "do not count what this file of gitignore patterns names, relative to each watched folder "
	 "(repeatable)",
	 uwsgi_opt_add_string_list, &fr_settings.ignore_files, 0},
	{"fastreload-no-gitignore", no_argument, 0,
	 "count files whatever .gitignore and .git/info/exclude say of them", uwsgi_opt_true,
	 &fr_settings.has_no_gitignore, 0},
	{"fastreload-action", required_argument, 0,
	 "what a change does: auto (default), swap, reload, workers, chain or touch:FILE",
	 uwsgi_opt_set_str, &fr_settings.action_text, 0},
	{"fastreload-strategy", required_argument, 0,
	 "how it is done: auto (default), full, workers, swap, warm or checkpoint",
	 uwsgi_opt_set_str, &fr_settings.strategy_text, 0},
	{"fastreload-on", required_argument, 0,
	 "what a change of the files that match a gitignore-style pattern does: \"PATTERN "
	 "ACTION\", "
	 "with an action as above, or mules, spoolers, signal:N, exec:COMMAND, browser, log or "
	 "ignore "
	 "(repeatable, the last match decides)",
	 opt_pattern, (void *)FR_SETTINGS_ON, 0},
	{"fastreload-settle", required_argument, 0,
	 "milliseconds of quiet before acting on a change (default 10)", uwsgi_opt_set_str,
	 &fr_settings.settle_text, 0},
	{"fastreload-hold", required_argument, 0,
	 "hold changes back while this file exists, absolute or in a watched folder (repeatable)",
	 uwsgi_opt_add_string_list, &fr_settings.holds, 0},
	{"fastreload-mercy", required_argument, 0,
	 "seconds that old workers have to finish their requests (default " FR_DEFAULT_MERCY_S ")",
	 uwsgi_opt_set_str, &fr_settings.mercy_text, 0},
	{"fastreload-timeout", required_argument, 0,
	 "seconds that new workers have to load the application (default " FR_DEFAULT_TIMEOUT_S ")",
	 uwsgi_opt_set_str, &fr_settings.timeout_text, 0},
	{"fastreload-snapshots", required_argument, 0,
	 "how many copies of the half-loaded application may wait, each just before a module that "
	 "was edited (default " FR_DEFAULT_SNAPSHOTS ", 0: none)",
	 uwsgi_opt_set_str, &fr_settings.snapshots_text, 0},
	{"fastreload-memory", required_argument, 0,
	 "MiB of memory that these copies may have of their own, all together "
	 "(default " FR_DEFAULT_MEMORY_MIB ")",
	 uwsgi_opt_set_str, &fr_settings.memory_text, 0},
	{"fastreload-preload", required_argument, 0,
	 "a module of Python that is imported before the application, and stays: something heavy "
	 "that does not depend on the application (repeatable)",
	 uwsgi_opt_add_string_list, &fr_settings.preloads, 0},
	{"fastreload-broken", required_argument, 0,
	 "what browsers get while the new code does not load: old (default), the last good code's "
	 "pages, or page, one that shows the traceback",
	 uwsgi_opt_set_str, &fr_settings.broken_text, 0},
	{"fastreload-browser", optional_argument, 0,
	 "open pages follow the code: a script in them loads them again, exchanges style sheets, "
	 "and shows what does not load (=force: also where other hosts can reach the instance)",
	 uwsgi_opt_set_str, &fr_settings.browser_text, 0},
	{"fastreload-browser-path", required_argument, 0,
	 "the path below which pages reach the plugin (default " FR_DEFAULT_BROWSER ")",
	 uwsgi_opt_set_str, &fr_settings.browser_path_text, 0},
	{"fastreload-browser-host", required_argument, 0,
	 "a name of this instance beside localhost and addresses, by which pages may reach the "
	 "plugin (repeatable)",
	 uwsgi_opt_add_string_list, &fr_settings.browser_hosts, 0},
	{"fastreload-livereload", required_argument, 0,
	 "listen on HOST:PORT (usually 127.0.0.1:35729) for what speaks LiveReload",
	 uwsgi_opt_set_str, &fr_settings.livereload_text, 0},
	{"fastreload-backend", required_argument, 0,
	 "how folders are watched: auto (default), by what they are on, inotify, fanotify, poll, "
	 "push or watchman; of one folder: fastreload-dir = FOLDER,backend=NAME",
	 uwsgi_opt_set_str, &fr_settings.backend_text, 0},
	{"fastreload-config", required_argument, 0,
	 "a file of JSON with these options, without \"fastreload-\"", uwsgi_opt_set_str,
	 &fr_settings.config, 0},
	{"fastreload-listen", required_argument, 0,
	 "listen on HOST:PORT, or on a Unix socket, where another host says what changed, by "
	 "fswatch or inotifywait through nc, or by JSON (repeatable)",
	 uwsgi_opt_add_string_list, &fr_settings.listen, 0},
	{"fastreload-map", required_argument, 0,
	 "translate the paths that come in: THEIRS=OURS, as in /Users/me/code=/vagrant "
	 "(repeatable)",
	 uwsgi_opt_add_string_list, &fr_settings.maps, 0},
	{"fastreload-token", required_argument, 0,
	 "a file with the token that whoever says what changed has to show first, or the token",
	 uwsgi_opt_set_str, &fr_settings.token_text, 0},
	{"fastreload-control", required_argument, 0,
	 "answer status, pause, resume, reload, explain and journal, as JSON lines, on this Unix "
	 "socket, for this user and root",
	 uwsgi_opt_set_str, &fr_settings.control_text, 0},
	{"fastreload-ctl", required_argument, 0,
	 "ask at the control socket SOCKET, print the answer, and exit: SOCKET status (or pause, "
	 "resume, reload, explain PATH, journal)",
	 fr_control_ask, NULL, UWSGI_OPT_IMMEDIATE},
	{"fastreload-events", required_argument, 0,
	 "write each batch, decision and outcome as a line of JSON to this file or named pipe, or "
	 "to fd:N",
	 uwsgi_opt_set_str, &fr_settings.events_text, 0},
	{"fastreload-rpc", no_argument, 0,
	 "register the commands of the control socket as RPC functions (fastreload_status, ...)",
	 uwsgi_opt_true, &fr_settings.has_rpc, 0},
	{"fastreload-verbose", no_argument, 0, "log what was looked at and found unchanged, too",
	 uwsgi_opt_true, &fr_settings.is_verbose, 0},
	{"fastreload-dry-run", required_argument, 0,
	 "say whether a change of this path would count, and by which rule, and exit", opt_dry_run,
	 NULL, 0},
	UWSGI_END_OF_OPTIONS};

/* ---- reading ---- */

void fr_settings_refuse(const char *option, const char *value, const char *reason)
{
	char text[1024], origin[1024];

	uwsgi_log("[fastreload] %s: \"%s\" %s\n",
		  fr_settings_file_origin(option, value, origin, sizeof(origin)),
		  fr_sentence_path(value, text, sizeof(text)), reason);
	exit(1);
}

/* Each worker loads the application itself: by the user's wish, not by ours, as it may be later. */
static bool is_lazy;

static const char no_browser[] = "is for open pages, and they do not follow; add "
				 "\"fastreload-browser = true\"";

/* What uWSGI has to have for an action. Returns what it lacks, or NULL. */
static const char *find_obstacle(enum fr_action action)
{
	switch (action) {
	case FR_ACTION_WORKERS:
	case FR_ACTION_CHAIN:
		return is_lazy ? NULL
			       : "needs lazy-apps: without it the workers come back with the code "
				 "that the master loaded; add \"lazy-apps = true\", or use "
				 "\"auto\"";
	case FR_ACTION_MULES:
		return uwsgi.mules_cnt > 0 ? NULL : "needs mules, and there are none";
	case FR_ACTION_SPOOLERS:
		return uwsgi.spoolers ? NULL : "needs spoolers, and there are none";
	case FR_ACTION_BROWSER:
		return fr_settings.has_browser ? NULL : no_browser;
	default:
		return NULL;
	}
}

/* What is wrong with the value of an option that names a backend, or NULL. */
static const char *find_backend_fault(const char *key, const char *value)
{
	static char reason[256];
	const struct fr_source_ops *ops;
	char *copy = uwsgi_str((char *)(uintptr_t)value);
	bool is_dir = strcmp(key, "dir") == 0;
	int r = is_dir ? fr_backend_parse_folder(copy, NULL, &ops, reason, sizeof(reason))
		       : fr_backend_parse(copy, &ops, reason, sizeof(reason));

	free(copy);
	return r < 0 ? reason : NULL;
}

static bool is_browser_on(const char *text)
{
	static const char *const words[] = {"", "true", "1", "on", "force", NULL};

	for (size_t i = 0; text && words[i]; i++) {
		if (strcmp(text, words[i]) == 0)
			return true;
	}
	return false;
}

const char *fr_settings_find_obstacle(const char *key, const char *value, const char *browser)
{
	struct fr_reaction reaction = {FR_ACTION_AUTO, NULL};
	const char *argument, *at = value;
	char error[256];

	if (strcmp(key, "dir") == 0 || strcmp(key, "backend") == 0)
		return find_backend_fault(key, value);
	if (strcmp(key, "strategy") == 0 && strcmp(value, fr_pin_name(FR_PIN_WORKERS)) == 0) {
		reaction.action = FR_ACTION_WORKERS;
	} else if (strcmp(key, "action") == 0) {
		(void)fr_config_parse_action(value, &reaction.action, &argument, error,
					     sizeof(error));
	} else if (strcmp(key, "on") == 0) {
		while (*at && *at != ' ')
			at += *at == '\\' && at[1] ? 2 : 1;
		(void)fr_config_parse_reaction(at + strspn(at, " "), &reaction, error,
					       sizeof(error));
	}
	if (reaction.action == FR_ACTION_BROWSER)
		return is_browser_on(browser) ? NULL : no_browser;
	return find_obstacle(reaction.action);
}

/* A file that something follows from counts, unless that is to ignore it. */
static void read_reaction(const char *text)
{
	const char *pattern, *reason;
	char error[512];
	bool ignores;

	if (fr_reactions_add(fr_settings.reactions, text, &pattern, &ignores, error,
			     sizeof(error)) < 0)
		fr_settings_refuse("fastreload-on", text, error);
	for (int action = 0; action < FR_ACTIONS; action++) {
		reason = find_obstacle((enum fr_action)action);
		if (reason && fr_reactions_have(fr_settings.reactions, (enum fr_action)action))
			fr_settings_refuse("fastreload-on", text, reason);
	}
	if (fr_rules_add_from(fr_settings.rules, ignores ? FR_RULE_EXCLUDE : FR_RULE_INCLUDE,
			      pattern, "--fastreload-on", &reason) < 0)
		fr_settings_refuse("fastreload-on", text, reason);
}

static void read_rules(void)
{
	struct uwsgi_string_list *usl;
	const char *reason;

	if (fr_rules_new(&fr_settings.rules) < 0 || fr_reactions_new(&fr_settings.reactions) < 0)
		fr_door_out_of_memory();
	for (size_t i = 0; fr_settings.has_browser && fr_asset_pattern(i); i++) {
		if (fr_rules_add_from(fr_settings.rules, FR_RULE_INCLUDE, fr_asset_pattern(i),
				      "--fastreload-browser", &reason) < 0)
			fr_door_out_of_memory();
	}
	uwsgi_foreach(usl, fr_settings.patterns)
	{
		enum fr_rule_kind kind = (enum fr_rule_kind)usl->custom;

		if (usl->custom == FR_SETTINGS_ON)
			read_reaction(usl->value);
		else if (fr_rules_add(fr_settings.rules, kind, usl->value, &reason) < 0)
			fr_settings_refuse(kind == FR_RULE_INCLUDE ? "fastreload-include"
								   : "fastreload-exclude",
					   usl->value, reason);
	}
}

bool fr_settings_have_action(enum fr_action action)
{
	return fr_settings.action == action || fr_reactions_have(fr_settings.reactions, action);
}

/* For .gitignore as git does, quietly; what was written for us is worth a line, but not a thousand.
 */
static void complain_of_ignorefile(void *ctx, const char *file, unsigned line, const char *reason)
{
	static unsigned said;
	const char *name = strrchr(file, '/');
	char text[1024], place[16] = "";

	(void)ctx;
	if (strcmp(name ? name + 1 : file, ".reloadignore") != 0 && !fr_settings.is_verbose)
		return;
	if (said++ >= FR_IGNORE_COMPLAINTS)
		return;
	if (line > 0)
		snprintf(place, sizeof(place), ":%u", line);
	fr_log("%s%s is ignored: %s%s\n", fr_sentence_path(file, text, sizeof(text)), place, reason,
	       said == FR_IGNORE_COMPLAINTS ? " (no more of these will be said)" : "");
}

static void read_ignorefiles(void)
{
	struct uwsgi_string_list *usl;
	char reason[1024];

	if (fr_ignorefiles_new(!fr_settings.has_no_gitignore, complain_of_ignorefile, NULL,
			       &fr_settings.ignorefiles) < 0)
		fr_door_out_of_memory();
	uwsgi_foreach(usl, fr_settings.ignore_files)
	{
		int error = fr_ignorefiles_add(fr_settings.ignorefiles, usl->value, reason,
					       sizeof(reason));

		if (error == -ENOMEM)
			fr_door_out_of_memory();
		if (error < 0 && !uwsgi.is_a_reload)
			fr_settings_refuse("fastreload-ignore-file", usl->value, reason);
		/* It was good when uWSGI started; what has become of it is no reason to end what
		 * runs. */
		if (error < 0)
			fr_log("--fastreload-ignore-file: \"%s\" %s\n", usl->value, reason);
	}
}

static void read_backends(void)
{
	const struct fr_source_ops *by_default = NULL, *ops;
	const char *text = fr_settings.backend_text;
	struct uwsgi_string_list *usl;
	char reason[256];

	if (text && fr_backend_parse(text, &by_default, reason, sizeof(reason)) < 0)
		fr_settings_refuse("fastreload-backend", text, reason);
	uwsgi_foreach(usl, fr_settings.dirs)
	{
		/* uWSGI's own text is read again at a reload. */
		char *folder = uwsgi_str(usl->value);

		if (fr_backend_parse_folder(folder, by_default, &ops, reason, sizeof(reason)) < 0)
			fr_settings_refuse("fastreload-dir", usl->value, reason);
		usl->value = folder;
		usl->custom_ptr = (void *)(uintptr_t)ops;
	}
}

static void read_action(void)
{
	const char *text = fr_settings.action_text;
	char reason[256];

	if (text && fr_config_parse_action(text, &fr_settings.action, &fr_settings.action_argument,
					   reason, sizeof(reason)) < 0)
		fr_settings_refuse("fastreload-action", text, reason);
}

static void read_settle(void)
{
	const char *text = fr_settings.settle_text;
	char reason[256];

	fr_settings.settle_ms = FR_DEFAULT_SETTLE_MS;
	if (text &&
	    fr_config_parse_settle(text, &fr_settings.settle_ms, reason, sizeof(reason)) < 0)
		fr_settings_refuse("fastreload-settle", text, reason);
}

static void read_snapshots(void)
{
	const char *text =
		fr_settings.snapshots_text ? fr_settings.snapshots_text : FR_DEFAULT_SNAPSHOTS;
	char reason[256];

	if (fr_config_parse_snapshots(text, &fr_settings.snapshots, reason, sizeof(reason)) < 0)
		fr_settings_refuse("fastreload-snapshots", text, reason);
}

static void read_memory(void)
{
	const char *text =
		fr_settings.memory_text ? fr_settings.memory_text : FR_DEFAULT_MEMORY_MIB;
	char reason[256];

	if (fr_config_parse_memory(text, &fr_settings.memory_kib, reason, sizeof(reason)) < 0)
		fr_settings_refuse("fastreload-memory", text, reason);
}

static void read_preload(void)
{
	struct uwsgi_string_list *usl;
	char reason[256];
	size_t size = 1;

	uwsgi_foreach(usl, fr_settings.preloads)
	{
		if (fr_config_check_module(usl->value, reason, sizeof(reason)) < 0)
			fr_settings_refuse("fastreload-preload", usl->value, reason);
		size += usl->len + 1;
	}
	if (!fr_settings.preloads)
		return;
	fr_settings.preload = calloc(1, size);
	if (!fr_settings.preload)
		fr_door_out_of_memory();
	uwsgi_foreach(usl, fr_settings.preloads)
	{
		if (fr_settings.preload[0])
			strcat(fr_settings.preload, "\n");
		strcat(fr_settings.preload, usl->value);
	}
}

/* After the action and the snapshots, which it may contradict. */
static void read_strategy(void)
{
	const char *text = fr_settings.strategy_text;
	char reason[256];

	if (text && (fr_config_parse_strategy(text, &fr_settings.pin, reason, sizeof(reason)) < 0 ||
		     fr_config_pin(fr_settings.pin, fr_settings.snapshots, &fr_settings.action,
				   reason, sizeof(reason)) < 0))
		fr_settings_refuse("fastreload-strategy", text, reason);
}

/* In place, each worker has to load the application itself. */
static void check_lazy_apps(void)
{
	const char *option =
		fr_settings.pin == FR_PIN_WORKERS ? "fastreload-strategy" : "fastreload-action";
	const char *obstacle = find_obstacle(fr_settings.action);

	if (obstacle)
		fr_settings_refuse(option, fr_action_name(fr_settings.action), obstacle);
}

static void read_broken(void)
{
	const char *text = fr_settings.broken_text;

	fr_settings.has_broken_page = text && strcmp(text, "page") == 0;
	if (text && !fr_settings.has_broken_page && strcmp(text, "old") != 0)
		fr_settings_refuse("fastreload-broken", text, "is unknown; there are old and page");
}

/* Without what would have to be escaped in a page, or be decoded in a request. */
static bool is_url_path(const char *path)
{
	size_t len = strlen(path);

	return len > 1 && len <= 128 && path[0] == '/' && path[len - 1] != '/' &&
	       !strstr(path, "//") && !strstr(path, "/.") &&
	       strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    "/_-.~") == len;
}

/* What was right when uWSGI started is no reason to end what runs: then pages do not follow. */
static void refuse_browser(const char *option, const char *value, const char *reason)
{
	if (!uwsgi.is_a_reload)
		fr_settings_refuse(option, value, reason);
	fr_log("--%s: \"%s\" %s\n", option, value, reason);
	fr_settings.has_browser = false;
}

static void read_browser(void)
{
	static const char *const off[] = {"false", "0", "off", NULL};
	const char *text = fr_settings.browser_text, *reason;
	struct uwsgi_string_list *usl;

	fr_settings.browser_path =
		fr_settings.browser_path_text ? fr_settings.browser_path_text : FR_DEFAULT_BROWSER;
	fr_settings.has_browser = is_browser_on(text);
	for (size_t i = 0; text && !fr_settings.has_browser && off[i]; i++)
		text = strcmp(text, off[i]) == 0 ? NULL : text;
	if (text && !fr_settings.has_browser)
		refuse_browser("fastreload-browser", text,
			       "is unknown; write true, or force where other hosts may see it");
	fr_settings.is_browser_forced = fr_settings.has_browser && strcmp(text, "force") == 0;
	if (!is_url_path(fr_settings.browser_path))
		refuse_browser(
			"fastreload-browser-path", fr_settings.browser_path,
			"is no path for URLs; write letters, digits, \"-\", \"_\" and "
			"\"/\", with a \"/\" first and none at the end, as in " FR_DEFAULT_BROWSER);
	uwsgi_foreach(usl, fr_settings.browser_hosts)
	{
		if (!fr_origin_is_name(usl->value, &reason))
			refuse_browser("fastreload-browser-host", usl->value, reason);
	}
	if (!fr_settings.browser_text && (fr_settings.browser_path_text ||
					  fr_settings.browser_hosts || fr_settings.livereload_text))
		refuse_browser("fastreload-browser", "",
			       "is missing; without it open pages do not follow the code");
}

static void read_seconds(const char *option, const char *text, const char *by_default,
			 int64_t *ret_ms)
{
	const char *value = text ? text : by_default;
	char reason[256];

	if (fr_config_parse_seconds(value, ret_ms, reason, sizeof(reason)) < 0)
		fr_settings_refuse(option, value, reason);
}

/* A file of the configuration as the option names it, which may be "name:section": its absolute
 * path (the caller frees it), or NULL. */
static char *resolve_own_file(const char *value)
{
	char path[PATH_MAX], *colon;

	snprintf(path, sizeof(path), "%s%s%s", value[0] == '/' ? "" : uwsgi.cwd,
		 value[0] == '/' ? "" : "/", value);
	colon = strrchr(path, ':');
	if (colon && access(path, F_OK) < 0)
		*colon = '\0';
	return realpath(path, NULL);
}

/* The files that this instance reads its configuration from. */
static void find_own_files(void)
{
	static const char *const kinds[] = {"ini", "yaml", "yml", "json", "xml", "config"};

	fr_settings.own_files =
		calloc((size_t)uwsgi.exported_opts_cnt + 2, sizeof(*fr_settings.own_files));
	if (fr_settings.own_files && fr_settings_file_path())
		fr_settings.own_files[fr_settings.own_files_len++] = fr_settings_file_path();
	for (int i = 0; fr_settings.own_files && i < uwsgi.exported_opts_cnt; i++) {
		const struct uwsgi_opt *option = uwsgi.exported_opts[i];
		char *path;

		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
			if (!option->value || strcmp(option->key, kinds[kind]) != 0)
				continue;
			path = resolve_own_file(option->value);
			if (path)
				fr_settings.own_files[fr_settings.own_files_len++] = path;
		}
	}
}

__attribute__((noreturn)) static void dry_run(void)
{
	struct uwsgi_string_list *usl;
	char path[PATH_MAX], reason[256];
	FILE *out = fdopen(fr_settings.dry_run_fd, "w");
	char *root;

	if (!out)
		fr_door_out_of_memory();
	fr_explain_absolute(fr_settings.dry_run, path, sizeof(path));
	uwsgi_foreach(usl, fr_settings.dirs)
	{
		if (fr_config_resolve_folder(usl->value, &root, reason, sizeof(reason)) < 0)
			fr_settings_refuse("fastreload-dir", usl->value, reason);
		if (fr_explain_path(fr_settings.rules, fr_settings.ignorefiles, root, path, out)) {
			fclose(out);
			exit(0);
		}
		free(root);
	}
	fprintf(out, "%s: does not count: it is in no --fastreload-dir\n", path);
	fclose(out);
	exit(0);
}

/* Has anything been asked for that makes no sense without a folder? */
static bool has_any_option(void)
{
	return fr_settings.patterns || fr_settings.holds || fr_settings.ignore_files ||
	       fr_settings.action_text || fr_settings.settle_text || fr_settings.mercy_text ||
	       fr_settings.timeout_text || fr_settings.snapshots_text || fr_settings.broken_text ||
	       fr_settings.strategy_text || fr_settings.memory_text || fr_settings.backend_text ||
	       fr_settings.preloads || fr_settings.config || fr_settings.dry_run ||
	       fr_settings.listen || fr_settings.maps || fr_settings.token_text ||
	       fr_settings.control_text || fr_settings.events_text || fr_settings.has_rpc ||
	       fr_settings.browser_text || fr_settings.browser_path_text ||
	       fr_settings.browser_hosts || fr_settings.livereload_text;
}

/* It is one of the instance's own files, and counts where it lies in a watched folder. */
static void count_config(void)
{
	const char *path = fr_settings_file_path(), *reason;
	struct uwsgi_string_list *usl;

	uwsgi_foreach(usl, fr_settings.dirs)
	{
		char *root = path ? realpath(usl->value, NULL) : NULL, *pattern, *at;
		size_t len = root && strcmp(root, "/") != 0 ? strlen(root) : 0;

		if (root && strncmp(path, root, len) == 0 && path[len] == '/') {
			pattern = at = uwsgi_malloc(2 * strlen(path) + 1);
			for (const char *from = path + len; *from; from++) {
				if (strchr("\\*?[ ", *from))
					*at++ = '\\';
				*at++ = *from;
			}
			*at = '\0';
			if (fr_rules_add_from(fr_settings.rules, FR_RULE_INCLUDE, pattern,
					      "--fastreload-config", &reason) < 0)
				fr_settings_refuse("fastreload-config", path, reason);
			free(pattern);
		}
		free(root);
	}
}

bool fr_settings_read(void)
{
	is_lazy = uwsgi.lazy_apps || uwsgi.lazy;
	fr_settings_file_read();
	if (!fr_settings.dirs) {
		if (has_any_option())
			fr_settings_refuse("fastreload-dir", "",
					   "is missing; name the folder to watch, as in \".\"");
		return false;
	}
	read_browser();
	read_rules();
	read_backends(); /* takes what is not the path off the folders */
	count_config();
	read_ignorefiles();
	read_action();
	read_settle();
	read_snapshots();
	read_memory();
	read_preload();
	read_strategy();
	check_lazy_apps();
	read_broken();
	read_seconds("fastreload-mercy", fr_settings.mercy_text, FR_DEFAULT_MERCY_S,
		     &fr_settings.mercy_ms);
	read_seconds("fastreload-timeout", fr_settings.timeout_text, FR_DEFAULT_TIMEOUT_S,
		     &fr_settings.timeout_ms);
	if (!fr_settings.listen && (fr_settings.maps || fr_settings.token_text))
		fr_settings_refuse("fastreload-listen", "",
				   "is missing; name the address, as in 127.0.0.1:9001");
	if (fr_settings.dry_run)
		dry_run();
	if (!uwsgi.master_process)
		fr_settings_refuse(
			"fastreload-dir", fr_settings.dirs->value,
			"needs the master process, which does the watching; add \"master = true\"");
	find_own_files();
	return true;
}
