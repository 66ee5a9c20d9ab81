/*
 * settings: the plugin's options: their table, what they say, and what is understood of it.
 *
 * A new option is a field of struct fr_settings, a line of the table in settings.c, and the place
 * there that reads its value. How a value is written is decide/config's business; what follows from
 * it is everybody else's.
 */
#ifndef FR_SETTINGS_H
#define FR_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/plan.h"

struct fr_ignorefiles;
struct fr_reactions;
struct fr_rules;
struct uwsgi_option;
struct uwsgi_string_list;

/* --fastreload-on among the patterns: all are tried in the order in which they were given. */
#define FR_SETTINGS_ON 100

struct fr_settings {
	/* As the options say; NULL: not given. uWSGI owns the texts, and writes the lists. */
	struct uwsgi_string_list *dirs;     /* custom_ptr: the source that was asked for, or NULL */
	struct uwsgi_string_list *patterns; /* custom: enum fr_rule_kind, or FR_SETTINGS_ON */
	struct uwsgi_string_list *holds;    /* lock files */
	struct uwsgi_string_list *ignore_files;
	struct uwsgi_string_list *preloads; /* modules of Python */
	struct uwsgi_string_list *listen, *maps;
	char *token_text;
	char *action_text, *settle_text, *mercy_text, *timeout_text, *snapshots_text, *broken_text,
		*strategy_text, *memory_text, *backend_text, *config, *dry_run, *control_text,
		*events_text, *browser_text, *browser_path_text, *livereload_text;
	struct uwsgi_string_list *browser_hosts;
	int is_verbose, has_no_gitignore, has_rpc;
	int dry_run_fd;

	/* As they were understood, by fr_settings_read. */
	struct fr_rules *rules;
	struct fr_ignorefiles *ignorefiles;
	struct fr_reactions *reactions;
	enum fr_action action;
	const char *action_argument; /* what the action has after the colon, or NULL */
	int64_t settle_ms, mercy_ms, timeout_ms;
	enum fr_pin pin; /* what the action does not say of how it is done */
	int snapshots;
	int64_t memory_kib;       /* of all snapshots together */
	char *preload;            /* the modules, a line each; NULL: none */
	bool has_broken_page;     /* browsers are shown the traceback while the code is broken */
	bool has_browser;         /* open pages follow the code */
	bool is_browser_forced;   /* also where other hosts can see them */
	const char *browser_path; /* of their URLs, without a "/" at its end */
	const char **own_files;   /* absolute paths of the instance's own configuration */
	size_t own_files_len;
};

extern struct fr_settings fr_settings;

/* For struct uwsgi_plugin: ends with UWSGI_END_OF_OPTIONS. */
extern struct uwsgi_option fr_settings_options[];

/*
 * Understands what the options say, once all of them are known (init). Returns whether there is
 * anything to watch. Ends the process with one line where a value is wrong, and after a dry run.
 */
bool fr_settings_read(void);

/*
 * What stands in the way of this value of an option beyond its form: what uWSGI would have to have
 * for an action, or that there is no such backend. browser: what the option of that name says, or
 * NULL. NULL: nothing. The text stays until the next call.
 */
const char *fr_settings_find_obstacle(const char *key, const char *value, const char *browser);

/* Is this one of the actions that a change may lead to? */
bool fr_settings_have_action(enum fr_action action);

/* Bad input ends the start with one line: "--option: "value" reason". Never called later. */
__attribute__((noreturn)) void fr_settings_refuse(const char *option, const char *value,
						  const char *reason);

#endif
