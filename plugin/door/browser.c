/*
 * browser: looks after the hub, and tells it what happens. See browser.h.
 */
#include <time.h>

#include <uwsgi.h>

#include "browser/hub.h"
#include "browser/visit.h"
#include "child.h"
#include "decide/assets.h"
#include "decide/plan.h"
#include "decide/reactions.h"
#include "door/browser.h"
#include "door/door.h"
#include "door/say.h"
#include "door/settings.h"
#include "reload/slots.h"
#include "reload/visitors.h"
#include "report/traceback.h"
#include "watch/changes.h"
#include "watch/push_socket.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

/* A hub that ends at once again and again is started ever more rarely. */
#define FR_BROWSER_FIRST_PAUSE_MS 100
#define FR_BROWSER_LAST_PAUSE_MS  10000
#define FR_BROWSER_HEALTHY_MS     60000

#define FR_BROWSER_RETRY_MS 50

static struct {
	struct fr_hub hub;
	int way[2];         /* see fr_visit_open; -1: not open */
	int fd;             /* the hub's ear; -1: there is no hub */
	pid_t pid;          /* 0: there is no hub */
	bool is_starting;   /* it is being forked */
	bool is_joined;     /* the master's loop has begun */
	bool is_known;      /* the first workers serve */
	bool is_after_exec; /* the next outcome is that of the reload by which this image came */
	bool is_broken;     /* then `broken` says how */
	bool must_tell;     /* how things stand: it could not be told */
	bool must_reload;   /* pages have missed something */
	int64_t started_ms, start_at_ms, pause_ms;
	int64_t told;   /* the last generation of which pages were told when it began */
	time_t good_at; /* when the code that serves came into service */
	struct fr_news news, broken;
} browser = {.way = {-1, -1}, .fd = -1, .hub = {.listener_fd = -1, .way_fd = -1}};

/* ---- start ---- */

static bool complain(const char *option, const char *value, const char *reason)
{
	if (!uwsgi.is_a_reload)
		fr_settings_refuse(option, value, reason);
	fr_log("--%s: \"%s\" %s\n", option, value, reason);
	return false;
}

static bool read_address(const char *value, struct fr_push_address *ret_address)
{
	static const char option[] = "fastreload-livereload";
	char reason[256];

	if (strchr(value, '/'))
		return complain(option, value, "is a path; write HOST:PORT, as in 127.0.0.1:35729");
	if (fr_push_address_parse(value, ret_address, reason, sizeof(reason)) < 0)
		return complain(option, value, reason);
	if (ret_address->is_open && !fr_settings.is_browser_forced)
		return complain(option, value,
				"can be reached from other hosts, and shows them what is wrong "
				"with the code; write 127.0.0.1:PORT, or fastreload-browser=force "
				"if that is fine");
	return true;
}

void fr_browser_listen(void)
{
	const char *value = fr_settings.livereload_text;
	int inherited = fr_door.handover.livereload_fd, fd;
	struct fr_push_address address;
	char reason[256];

	fr_door.handover.livereload_fd = 0;
	if (!fr_settings.has_browser || !value || !read_address(value, &address))
		return;
	if (inherited > 2 && fr_push_socket_is_at(inherited, &address)) {
		fd = inherited;
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	} else {
		fd = fr_push_socket_listen(&address, reason, sizeof(reason));
		if (fd < 0) {
			(void)complain("fastreload-livereload", value, reason);
			return;
		}
	}
	uwsgi_add_safe_fd(fd); /* as for the watcher's: uWSGI closes what it does not know */
	browser.hub.listener_fd = fd;
}

/* A Unix socket, or an address of loopback. */
static bool is_of_this_host(int fd)
{
	struct sockaddr_storage storage;
	const struct sockaddr_in *in4 = (struct sockaddr_in *)&storage;
	const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
	socklen_t len = sizeof(storage);

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&storage, &len) < 0)
		return true; /* none, or none any more */
	if (storage.ss_family == AF_INET)
		return ntohl(in4->sin_addr.s_addr) >> 24 == 127;
	if (storage.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
	return true;
}

static void check_socket(int fd, const char *name)
{
	if (is_of_this_host(fd))
		return;
	(void)complain(
		"fastreload-browser", name,
		"can be reached from other hosts, and they would be shown what is wrong with "
		"the code; listen on 127.0.0.1 or on a Unix socket, or write "
		"fastreload-browser=force if that is fine");
	fr_settings.has_browser = false;
}

void fr_browser_check_sockets(void)
{
	if (!fr_settings.has_browser || fr_settings.is_browser_forced)
		return;
	for (struct uwsgi_socket *socket = uwsgi.sockets; socket; socket = socket->next)
		check_socket(socket->fd, socket->name);
	for (struct uwsgi_socket *socket = uwsgi.shared_sockets; socket; socket = socket->next)
		check_socket(socket->fd, socket->name);
	for (struct uwsgi_gateway_socket *socket = uwsgi.gateway_sockets; socket;
	     socket = socket->next)
		check_socket(socket->fd, socket->name);
}

static int gather_names(struct fr_origin_names *ret_names)
{
	const char **names;
	struct uwsgi_string_list *usl;
	size_t len = 0;

	uwsgi_foreach(usl, fr_settings.browser_hosts) len++;
	names = calloc(len + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	ret_names->names = names;
	ret_names->len = len;
	uwsgi_foreach(usl, fr_settings.browser_hosts) *names++ = usl->value;
	return 0;
}

/*
 * Returns what the first generation of this image is called. Pages tell by the name whether they
 * are of the code that serves, and those of an instance that was started before are not: so it is
 * the time, in ms, which no generation counted from an earlier start has reached.
 */
static int64_t first_generation(void)
{
	struct timespec now;

	if (fr_door.handover.generation > 0)
		return fr_door.handover.generation + 1;
	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return 1;
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void begin_generation(void);

int fr_browser_open(void)
{
	struct fr_visitors visitors = {.path = fr_settings.browser_path};
	int error;

	if (!fr_settings.has_browser)
		return 0;
	browser.is_after_exec = fr_door.handover.what[0];
	error = gather_names(&browser.hub.names);
	if (!error)
		error = fr_visit_open(browser.way);
	if (error)
		return error;
	visitors.names = browser.hub.names;
	visitors.way_fd = browser.way[0];
	visitors.begins = begin_generation;
	browser.hub.way_fd = browser.way[1];
	return fr_visitors_open(&visitors, first_generation());
}

/* ---- the hub ---- */

static bool is_open(void)
{
	return browser.way[0] >= 0;
}

int fr_browser_pid(void)
{
	return browser.pid;
}

static bool tell_as(struct fr_news *news, int64_t number)
{
	bool is_told;

	news->generation = fr_visitors_generation();
	news->number = number;
	is_told = browser.fd >= 0 && fr_hub_tell(browser.fd, news) == 0;
	fr_visitors_note_news(number);
	return is_told;
}

static bool tell(struct fr_news *news)
{
	return tell_as(news, fr_visitors_news() + fr_news_is_numbered(news->kind));
}

/* A short piece of news. */
static struct fr_news *news_of(enum fr_news_kind kind, const char *reason)
{
	browser.news.kind = kind;
	browser.news.text_len = 0;
	snprintf(browser.news.reason, sizeof(browser.news.reason), "%s", reason);
	return &browser.news;
}

static bool tell_kind(enum fr_news_kind kind, const char *reason)
{
	return tell(news_of(kind, reason));
}

/* How things stand, and what pages have missed. */
static void tell_state(void)
{
	if (!browser.is_known)
		return;
	browser.must_tell =
		!(browser.is_broken ? tell(&browser.broken) : tell_kind(FR_NEWS_SERVING, ""));
	if (!browser.must_tell && browser.must_reload)
		browser.must_reload = !tell_kind(FR_NEWS_RELOAD, "code");
}

static void tell_reload(const char *reason)
{
	if (!tell_kind(FR_NEWS_RELOAD, reason))
		browser.must_tell = browser.must_reload = true;
}

/* Each page that this image has served is of the code that it is about: it has no number of its
 * own, and only those who know none hear it as news. */
static void tell_reload_of_exec(void)
{
	if (!tell_as(news_of(FR_NEWS_RELOAD, "code"), fr_visitors_news()))
		browser.must_tell = browser.must_reload = true;
}

static void start_hub(int64_t now_ms)
{
	pid_t pid;

	browser.start_at_ms = now_ms + browser.pause_ms;
	browser.is_starting = true; /* its descriptors are not to be closed in it */
	pid = fr_hub_start(&browser.hub, &browser.fd);
	browser.is_starting = false;
	if (pid < 0) {
		fr_log("open pages are told nothing: no process for that can be started: %s\n",
		       strerror(-pid));
		return;
	}
	browser.pid = pid;
	browser.started_ms = now_ms;
	browser.must_tell = browser.is_known;
}

static void bury_hub(int64_t now_ms)
{
	char how[64];

	if (!fr_child_has_ended(browser.pid, how, sizeof(how)))
		return;
	if (!uwsgi_instance_is_dying && !uwsgi_instance_is_reloading)
		fr_log("the process that tells open pages (pid %d) has ended%s: a new one does, "
		       "and they connect again\n",
		       (int)browser.pid, how);
	close(browser.fd);
	browser.fd = -1;
	browser.pid = 0;
	if (now_ms - browser.started_ms >= FR_BROWSER_HEALTHY_MS)
		browser.pause_ms = FR_BROWSER_FIRST_PAUSE_MS;
	browser.start_at_ms = browser.started_ms + browser.pause_ms;
	browser.pause_ms = browser.pause_ms * 2 > FR_BROWSER_LAST_PAUSE_MS
				   ? FR_BROWSER_LAST_PAUSE_MS
				   : browser.pause_ms * 2;
}

void fr_browser_join(void)
{
	if (!is_open())
		return;
	browser.is_joined = true;
	browser.pause_ms = FR_BROWSER_FIRST_PAUSE_MS;
	start_hub(fr_door_now_ms());
}

int64_t fr_browser_turn(int64_t now_ms)
{
	if (!browser.is_joined || uwsgi_instance_is_dying)
		return -1;
	if (browser.pid > 0)
		bury_hub(now_ms);
	if (browser.pid == 0 && now_ms >= browser.start_at_ms)
		start_hub(now_ms);
	if (browser.must_tell && browser.fd >= 0)
		tell_state();
	if (browser.pid == 0)
		return browser.start_at_ms;
	return browser.must_tell ? now_ms + FR_BROWSER_RETRY_MS : -1;
}

/* ---- what happens ---- */

static void note_good(void)
{
	browser.is_broken = false;
	browser.good_at = time(NULL);
}

void fr_browser_first_load(bool has_app)
{
	if (!is_open() || browser.is_known)
		return;
	browser.is_known = true;
	if (has_app)
		note_good();
	else
		fr_browser_broken("the application did not load", "");
	tell_state();
}

/*
 * The old workers answer no more, and the new ones wait for this. Pages of the new generation are
 * newer than the news, and so none of them is loaded twice; and none of an old one is older than it
 * looks.
 */
static void begin_generation(void)
{
	if (!browser.is_known || !fr_slots_have_app())
		return; /* the outcome is what there is to tell */
	note_good();
	tell_reload("code");
	browser.told = fr_visitors_generation();
}

/* Of new workers in the place of the old ones there are numbers now; those of a swap had theirs
 * before they began, and after an exec all did. */
void fr_browser_outcome(bool is_swap, bool has_app)
{
	bool is_after_exec = browser.is_after_exec;

	if (!is_open())
		return;
	if (!is_swap && !is_after_exec) {
		fr_visitors_next_generation();
		fr_visitors_join_all();
	}
	browser.is_after_exec = false;
	browser.is_known = true;
	if (!has_app) {
		browser.good_at = 0;
		fr_browser_broken("the application did not load", "");
		return;
	}
	note_good();
	if (is_after_exec)
		tell_reload_of_exec();
	else if (browser.told != fr_visitors_generation())
		tell_reload("code");
}

static void find_place(struct fr_news *news, const char *output)
{
	struct fr_traceback traceback;

	if (!fr_traceback_find(output, fr_say_is_own_file, NULL, &traceback))
		return;
	if (traceback.error_len > 0)
		snprintf(news->error, sizeof(news->error), "%.*s", (int)traceback.error_len,
			 traceback.error);
	if (traceback.file_len == 0 || traceback.file_len >= sizeof(news->path))
		return;
	snprintf(news->path, sizeof(news->path), "%.*s", (int)traceback.file_len, traceback.file);
	snprintf(news->file, sizeof(news->file), "%s",
		 fr_watcher_relative(fr_door.watcher, news->path));
	news->line = traceback.line;
	if (!fr_say_is_own_file(NULL, traceback.file, traceback.file_len))
		news->path[0] = '\0'; /* its lines are nobody's business here */
}

static void note_output(struct fr_news *news, const char *output)
{
	size_t len = strlen(output);

	if (len > FR_NEWS_TEXT) {
		output += len - FR_NEWS_TEXT;
		while ((*output & 0xc0) == 0x80) /* not from the middle of a character */
			output++;
		len = strlen(output);
	}
	memcpy(news->text, output, len);
	news->text_len = (uint32_t)len;
}

void fr_browser_broken(const char *error, const char *output)
{
	struct fr_news *news = &browser.broken;
	struct tm when;

	if (!is_open())
		return;
	memset(news, 0, offsetof(struct fr_news, text));
	news->kind = FR_NEWS_BROKEN;
	snprintf(news->error, sizeof(news->error), "%s", error);
	find_place(news, output);
	note_output(news, output);
	if (browser.good_at && localtime_r(&browser.good_at, &when))
		(void)strftime(news->serving, sizeof(news->serving),
			       "the code of %Y-%m-%d %H:%M:%S", &when);
	browser.is_broken = true;
	browser.must_tell = !browser.is_known || !tell(news);
}

void fr_browser_restored(void)
{
	if (!is_open() || !browser.is_broken)
		return;
	browser.is_broken = false;
	if (!tell_kind(FR_NEWS_RESTORED, ""))
		browser.must_tell = browser.must_reload = true;
}

/* Is it what this file's change does? */
static bool is_for_pages(const char *path)
{
	const struct fr_reaction *reaction = fr_reactions_find(
		fr_settings.reactions, fr_watcher_relative(fr_door.watcher, path));

	return reaction ? reaction->action == FR_ACTION_BROWSER
			: fr_asset_of(path) != FR_ASSET_NONE;
}

/*
 * Names that do not fit, and files that cannot be exchanged, mean that pages are loaded again. What
 * a page has loaded is named before: its browser may have it in a cache, from which it has to go
 * first.
 */
void fr_browser_changes(const struct fr_changes *changes)
{
	struct fr_news *news = &browser.news;
	const char *reason = NULL;

	if (!is_open())
		return;
	news->text_len = 0;
	for (size_t i = 0; i < changes->len; i++) {
		const char *name = fr_watcher_relative(fr_door.watcher, changes->paths[i]);
		size_t size = strlen(name) + 1;
		enum fr_asset asset = fr_asset_of(name);

		if (!is_for_pages(changes->paths[i]))
			continue;
		if (asset != FR_ASSET_EXCHANGED || news->text_len + size > FR_NEWS_TEXT)
			reason = asset == FR_ASSET_LOADED ? "script" : "template";
		if (asset == FR_ASSET_TEMPLATE || news->text_len + size > FR_NEWS_TEXT)
			continue;
		memcpy(news->text + news->text_len, name, size);
		news->text_len += (uint32_t)size;
	}
	if (news->text_len > 0) {
		news->kind = FR_NEWS_ASSETS;
		if (!tell(news))
			browser.must_tell = browser.must_reload = true;
	}
	if (reason)
		tell_reload(reason);
}

/* ---- the end ---- */

void fr_browser_close_in_child(void)
{
	if (!is_open() || browser.is_starting)
		return;
	close(browser.way[1]);
	if (browser.fd >= 0)
		close(browser.fd);
	if (browser.hub.listener_fd >= 0)
		close(browser.hub.listener_fd);
}

void fr_browser_leave(void)
{
	int listener = browser.hub.listener_fd;

	fr_door.handover.generation = fr_visitors_generation();
	fr_door.handover.livereload_fd = 0;
	if (browser.fd >= 0)
		close(browser.fd);
	browser.fd = -1;
	if (listener < 0)
		return;
	(void)fcntl(listener, F_SETFD, 0);
	uwsgi_add_safe_fd(listener);
	fr_door.handover.livereload_fd = listener;
}
