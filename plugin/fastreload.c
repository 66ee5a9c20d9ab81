/*
 * fastreload: saved code is served at once, by uWSGI's master.
 *
 *	plugin = fastreload
 *	fastreload-dir = .
 *
 * This is the door: uWSGI's hooks, and the order in which things start and end. What stands behind
 * it in door/ joins the rooms: settings (the options), start (what is set up once), cycle (one turn
 * of the master's loop: watch, what happened -> decide, does it matter, what follows -> reload,
 * does it) and say (-> report, says it).
 */
#include <uwsgi.h>

#include <pthread.h>

#include "door/act.h"
#include "door/browser.h"
#include "door/control.h"
#include "door/cycle.h"
#include "door/door.h"
#include "door/listen.h"
#include "door/publish.h"
#include "door/say.h"
#include "door/settings.h"
#include "door/settings_file.h"
#include "door/start.h"
#include "door/tell.h"
#include "emperor/monitor.h"
#include "reload/broken.h"
#include "reload/command.h"
#include "reload/generation.h"
#include "reload/loop.h"
#include "reload/nursery.h"
#include "reload/output.h"
#include "reload/reload.h"
#include "reload/spare.h"
#include "reload/strategy.h"
#include "reload/wake.h"
#include "watch/backend.h"
#include "watch/baseline.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

extern struct uwsgi_plugin fastreload_plugin __attribute__((visibility("default")));

/* ---- start ---- */

/*
 * uWSGI's structures differ from version to version, and this plugin was compiled with those of
 * one. The flags that uWSGI was built with name its version; its own structures are not safe to
 * look at before that is known.
 */
static void check_version(void)
{
	const char *flags = uwsgi_get_cflags();
	const char *at = strstr(flags, "-DUWSGI_VERSION=\"");
	const char *running, *end;

	if (!at)
		return;
	running = at + strcspn(at, "=") + 1;
	running += strspn(running, "\"\\");
	end = running + strcspn(running, "\"\\");
	if ((size_t)(end - running) == strlen(UWSGI_VERSION) &&
	    strncmp(running, UWSGI_VERSION, strlen(UWSGI_VERSION)) == 0)
		return;
	uwsgi_log("[fastreload] this plugin was built for uWSGI %s and cannot run in uWSGI %.*s; "
		  "build it again with \"uwsgi --build-plugin\" of the uWSGI that loads it\n",
		  UWSGI_VERSION, (int)(end - running), running);
	exit(1);
}

static void on_load(void)
{
	check_version();
	fr_monitor_register();
}

/*
 * Runs before the application is loaded (core/uwsgi.c, uwsgi_start), so the watch is armed and
 * everything stamped before the first import: there is no moment in which an edit could be lost. It
 * runs after `chdir`, too, so relative folders are relative to that.
 */
static int init(void)
{
	if (!fr_settings_read())
		return 0;
	if (fr_cycle_open() < 0 || fr_publish_open() < 0)
		fr_door_out_of_memory();
	fr_listen_prepare();
	fr_start_watching();
	if (fr_door.watcher) {
		fr_act_open();
		fr_listen_open();
		fr_tell_open();
		fr_control_open();
		fr_browser_listen();
	}
	if (fr_door.watcher && uwsgi.is_a_reload)
		uwsgi.need_app = 0; /* see cycle.c, watch_need_app */
	return 0;
}

/*
 * Generations need more worker slots than the user asked for, before uWSGI makes its tables and
 * after the language plugins have noted how many workers there are.
 */
static void post_init(void)
{
	if (!fr_door.watcher)
		return;
	fr_browser_check_sockets();
	fr_start_generations();
	fr_start_reading();
	fr_publish_register_metrics();
}

static void preinit_apps(void)
{
	if (!fr_door.watcher)
		return;
	fr_spare_end_preinit();
	fr_publish_register_rpc(&fastreload_plugin);
}

/* In each worker, before it loads the application. */
static void post_fork(void)
{
	if (!fr_door.watcher || uwsgi.mywid <= 0)
		return;
	uwsgi.need_app = 0; /* see cycle.c, watch_need_app */
	fr_spare_enter_worker();
	fr_loop_begin_load();
}

/* In a process that will not read them. Async-signal-safe. */
static void close_watcher(void)
{
	int fds[FR_WATCHER_MAX_FDS];

	for (size_t i = 0, len = fr_watcher_fds(fr_door.watcher, fds); i < len; i++)
		close(fds[i]);
	for (size_t i = 0, len = fr_backends_fds(fr_door.backends, fds); i < len; i++)
		close(fds[i]);
}

/* Workers, mules, spoolers, gateways and daemons have no use for what is the master's, and uWSGI
 * tells plugins of our kind of workers only. */
static void leave_descriptors_to_master(void)
{
	static bool is_child;

	if (is_child ||
	    !fr_door.watcher) /* a child of a child: those numbers may be anybody's by now */
		return;
	is_child = true;
	fr_wake_close_in_child();
	fr_output_close_in_child();
	fr_command_close_in_child();
	fr_nursery_close_in_child();
	fr_listen_close_in_child();
	fr_control_close_in_child();
	fr_tell_close_in_child();
	fr_browser_close_in_child();
	close_watcher();
}

static void close_in_children(void)
{
	static bool is_set;

	if (!is_set)
		pthread_atfork(NULL, NULL, leave_descriptors_to_master);
	is_set = true;
}

/* Before the first worker is forked. With daemonize2 the process that goes on as the master is
 * itself a forked child, later. */
static void postinit_apps(void)
{
	int error;

	if (!fr_door.watcher)
		return;
	error = fr_reload_open();
	if (!error && fr_settings.has_broken_page)
		error = fr_broken_open();
	if (!error)
		error = fr_browser_open();
	if (error) {
		uwsgi_log("[fastreload] no descriptors are left to wake the master: %s\n",
			  strerror(-error));
		exit(1);
	}
	if (!uwsgi.daemonize2)
		close_in_children();
}

/* ---- the master's loop ---- */

static void enter_loop(void)
{
	struct fr_plan plan;
	int error;

	fr_door.is_in_loop = true;
	close_in_children();
	fr_generation_enter_loop();
	fr_watcher_own(fr_door.watcher);
	error = fr_wake_join(fr_watcher_fd(fr_door.watcher));
	if (error)
		fr_log("the master cannot be woken by changes, it looks once a second: %s\n",
		       strerror(-error));
	fr_listen_join();
	fr_control_join();
	fr_browser_join();
	fr_cycle_plan(&plan);
	fr_tell_start(&plan);
	if (!uwsgi.is_a_reload)
		fr_say_hello(&plan);
}

static void master_cycle(void)
{
	if (!fr_door.watcher)
		return;
	if (!fr_door.is_in_loop)
		enter_loop();
	fr_cycle_turn();
}

/* In a worker that has loaded its application and is about to accept. */
static void hijack_worker(void)
{
	if (fr_door.watcher && uwsgi.mywid > 0)
		fr_loop_take_over();
}

/* ---- end ---- */

/* The last that runs in this image: after all workers have gone, and just before the exec if there
 * is one. */
static void master_cleanup(void)
{
	int fd;

	if (!fr_door.watcher)
		return;
	if (!uwsgi_instance_is_reloading) {
		fr_control_end();
		return;
	}
	fr_reload_note_gone(fr_door_now_ms());
	if (!fr_reload_is_running(&fr_door.handover.times))
		fr_door.handover.what[0] = '\0'; /* somebody else's reload */
	fr_watcher_save(fr_door.watcher, fr_door.handover.sources);
	fr_control_leave();
	fr_tell_leave();
	fr_browser_leave();
	fd = fr_handover_leave(&fr_door.handover);
	if (fd >= 0 && fr_publish_leave(fd) == 0)
		(void)fr_baseline_save(fr_watcher_tree(fr_door.watcher), fd);
	fr_settings_file_leave();
	fr_listen_leave();
	fr_full_shorten_closing();
	/* uWSGI was told to keep their descriptors, and close-on-exec may be lifted; and a process
	 * that waits for a disk would not notice that we have gone. */
	fr_backends_free(fr_door.backends);
	fr_watcher_free(fr_door.watcher);
	fr_door.backends = NULL;
	fr_door.watcher = NULL;
}

__attribute__((visibility("default"))) struct uwsgi_plugin fastreload_plugin = {
	.name = "fastreload",
	.on_load = on_load,
	.options = fr_settings_options,
	.init = init,
	.post_init = post_init,
	.post_fork = post_fork,
	.preinit_apps = preinit_apps,
	.postinit_apps = postinit_apps,
	.master_cycle = master_cycle,
	.hijack_worker = hijack_worker,
	.master_cleanup = master_cleanup,
	.rpc = fr_publish_rpc,
};
