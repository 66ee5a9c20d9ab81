/*
 * listen: joins push to the watcher, the log and the master's loop. See listen.h.
 */
#include <uwsgi.h>

#include "door/door.h"
#include "door/listen.h"
#include "door/settings.h"
#include "reload/wake.h"
#include "report/sentence.h"
#include "watch/push.h"
#include "watch/tree.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

/* Which sockets the image before has left: numbers, not secrets. */
#define FR_LISTEN_ENV "FASTRELOAD_LISTEN"

static struct fr_push *push; /* NULL: nobody listens */

/* ---- what push asks ---- */

static bool is_watched(void *ctx, const char *path)
{
	(void)ctx;
	return fr_watcher_relative(fr_door.watcher, path) != path;
}

static bool is_folder(void *ctx, const char *path)
{
	char entry[PATH_MAX + 2];

	(void)ctx;
	snprintf(entry, sizeof(entry), "%s/.", path);
	return fr_tree_folder_of(fr_watcher_tree(fr_door.watcher), entry) != NULL;
}

static void look(void *ctx, const char *path)
{
	(void)ctx;
	(void)fr_watcher_look(fr_door.watcher, path);
}

static void look_everywhere(void *ctx)
{
	(void)ctx;
	fr_watcher_rescan(fr_door.watcher);
}

static const char *folder(void *ctx, size_t i)
{
	const struct fr_node *root = fr_tree_roots(fr_watcher_tree(fr_door.watcher));

	(void)ctx;
	for (; root; root = root->next) {
		if (root->kind == FR_NODE_FOLDER && i-- == 0)
			return root->name;
	}
	return NULL;
}

static void say(void *ctx, const char *who, const char *sentence, const char *what)
{
	char text[512];

	(void)ctx;
	if (what)
		fr_log("%s %s: \"%s\"\n", who, sentence,
		       fr_sentence_path(what, text, sizeof(text)));
	else
		fr_log("%s is not understood: %s\n", who, sentence);
}

static const struct fr_push_hooks hooks = {
	.is_watched = is_watched,
	.is_folder = is_folder,
	.look = look,
	.look_everywhere = look_everywhere,
	.folder = folder,
	.say = say,
};

/* ---- start ---- */

/* What was right when uWSGI started is no reason to end what runs. */
static void complain(const char *option, const char *value, const char *reason)
{
	char text[512];

	if (!uwsgi.is_a_reload)
		fr_settings_refuse(option, value, reason);
	fr_log("--%s: \"%s\" %s\n", option, fr_sentence_path(value, text, sizeof(text)), reason);
}

/* Watched folders are known by their resolved paths, and people name them as they like. */
static void add_map(const char *value)
{
	const char *to = strstr(value, "=/");
	char *resolved = to ? realpath(to + 1, NULL) : NULL;
	char reason[256], text[2 * PATH_MAX + 2];
	bool fits = resolved && (size_t)snprintf(text, sizeof(text), "%.*s=%s", (int)(to - value),
						 value, resolved) < sizeof(text);

	free(resolved);
	if (fr_push_add_map(push, fits ? text : value, reason, sizeof(reason)) < 0)
		complain("fastreload-map", value, reason);
}

/* A folder that was named by way of a link is named so by others, too. */
static void add_map_of_folder(const char *name)
{
	char text[2 * PATH_MAX + 2];

	if (name[0] == '/' &&
	    (size_t)snprintf(text, sizeof(text), "%s=%s", name, name) < sizeof(text))
		add_map(text);
}

static void listen_at(const char *value)
{
	char reason[256];

	if (fr_push_listen(push, value, reason, sizeof(reason)) < 0)
		complain("fastreload-listen", value, reason);
	else if (!uwsgi.is_a_reload)
		fr_log("listening on %s: another host can say there what changed\n", value);
}

static void take_over(void)
{
	const char *left = getenv(FR_LISTEN_ENV);

	if (left && push && uwsgi.is_a_reload)
		(void)fr_push_take(push, left);
	unsetenv(FR_LISTEN_ENV);
}

/* Without the token that was asked for nobody is listened to. Of what was given, only the name of a
 * file goes into the log. */
static bool use_token(void)
{
	const char *value = fr_settings.token_text;
	char reason[256];

	if (!value || fr_push_use_token(push, value, reason, sizeof(reason)) == 0)
		return true;
	complain("fastreload-token", strchr(value, '/') ? value : "...", reason);
	return false;
}

void fr_listen_prepare(void)
{
	struct uwsgi_string_list *usl;
	char reason[256];

	if (!fr_settings.listen)
		return;
	if (fr_push_new(&hooks, NULL, &push) < 0)
		fr_door_out_of_memory();
	if (!use_token()) {
		fr_push_free(push);
		push = NULL;
		return;
	}
	uwsgi_foreach(usl, fr_settings.maps) add_map(usl->value);
	uwsgi_foreach(usl, fr_settings.dirs) add_map_of_folder(usl->value);
	uwsgi_foreach(usl, fr_settings.listen)
	{
		if (!uwsgi.is_a_reload &&
		    fr_push_check(push, usl->value, reason, sizeof(reason)) < 0)
			fr_settings_refuse("fastreload-listen", usl->value, reason);
	}
}

void fr_listen_open(void)
{
	struct uwsgi_string_list *usl;
	int fds[FR_PUSH_MAX_FDS];

	take_over();
	if (!push)
		return;
	uwsgi_foreach(usl, fr_settings.listen) listen_at(usl->value);
	/* As for the watcher's: uWSGI closes what it does not know. */
	for (size_t i = 0, len = fr_push_fds(push, fds); i < len; i++)
		uwsgi_add_safe_fd(fds[i]);
}

/* ---- the master's loop ---- */

void fr_listen_join(void)
{
	if (push)
		fr_wake_watch_output(fr_push_fd(push));
}

int64_t fr_listen_step(int64_t now_ms, bool is_busy)
{
	return push ? fr_push_step(push, now_ms, is_busy) : -1;
}

void fr_listen_close_in_child(void)
{
	int fds[FR_PUSH_MAX_FDS];

	if (!push)
		return;
	for (size_t i = 0, len = fr_push_fds(push, fds); i < len; i++)
		close(fds[i]);
}

void fr_listen_leave(void)
{
	char text[FR_PUSH_LEFT_SIZE];
	int fds[FR_PUSH_MAX_FDS];

	if (!push)
		return;
	fr_push_leave(push, text);
	if (setenv(FR_LISTEN_ENV, text, 1) < 0)
		return;
	for (size_t i = 0, len = fr_push_fds(push, fds); i < len; i++)
		uwsgi_add_safe_fd(fds[i]);
	close(fr_push_fd(push)); /* the next image makes its own */
}
