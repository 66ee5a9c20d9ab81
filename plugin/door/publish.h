/*
 * publish: what every process of the instance may read: the status and the journal, in shared
 * memory, written by the master; and there are uWSGI's metrics, and its RPC for the application.
 *
 * It knows how to show, not what there is to show: see tell.
 */
#ifndef FR_PUBLISH_H
#define FR_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

struct fr_journal;
struct fr_status;
struct uwsgi_plugin;

/* What an application has asked for. */
struct fr_wishes {
	bool pause, resume, reload;
};

/* Makes the shared memory; before anything is noted or forked (init). 0 or a negative errno. */
int fr_publish_open(void);

/* Registers uWSGI's metrics, if they are enabled; before uWSGI gives each metric its place
 * (post_init; core/metrics.c, uwsgi_setup_metrics). */
void fr_publish_register_metrics(void);

/* Registers the RPC functions, if --fastreload-rpc says so, with the plugin whose hook is
 * fr_publish_rpc; when uWSGI's tables are complete (preinit_apps). */
void fr_publish_register_rpc(struct uwsgi_plugin *plugin);

/* For struct uwsgi_plugin: answers an RPC call, in a worker. */
uint64_t fr_publish_rpc(void *name, uint8_t argc, char **argv, uint16_t argvs[], char **ret_text);

/* In the master. */
void fr_publish_note(const char *word, const char *path, const char *detail);
void fr_publish_status(const struct fr_status *status);

/* Does anybody read what fr_publish_status shows? */
bool fr_publish_is_wanted(void);

/* The journal itself, for the master, which alone writes to it. */
struct fr_journal *fr_publish_journal(void);

/* The journal goes on across an exec: writes it to fd, and reads it from there. 0 or -EIO. */
int fr_publish_leave(int fd);
int fr_publish_take(int fd);

/* Takes what workers have asked for since the last call. */
struct fr_wishes fr_publish_take_wishes(void);

#endif
