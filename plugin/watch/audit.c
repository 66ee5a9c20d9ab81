/*
 * audit: has anything changed of which no event told? See audit.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch/audit.h"
#include "watch/content.h"
#include "watch/outpost.h"
#include "watch/tree.h"

/* More than that are not needed to know that nobody tells of them; who takes over finds the rest.
 */
#define FR_AUDIT_FINDINGS 64

#define FR_AUDIT_WAIT_MS 5000 /* for events that are late */
#define FR_AUDIT_SHARE   20   /* of one core, in parts of a thousand */

struct found {
	char *path; /* owned */
	bool is_gone, was_known;
	struct fr_stamp stamp;  /* unless it is gone */
	struct fr_stamp before; /* as the tree had it, if it was known */
};

struct fr_audit {
	pid_t pid; /* 0: it has ended */
	int fd;    /* -1: all is said */
	struct fr_pulse *pulse;
	struct found found[FR_AUDIT_FINDINGS];
	size_t len, next;
	int64_t ended_ms;
};

int fr_audit_start(struct fr_tree *tree, const struct fr_rules *rules, struct fr_ignorefiles *files,
		   unsigned source, struct fr_audit **ret_audit)
{
	struct fr_audit *audit = calloc(1, sizeof(*audit));
	struct fr_outpost outpost = {
		.tree = tree,
		.rules = rules,
		.files = files,
		.source = source,
		.parts = 1,
		.share = FR_AUDIT_SHARE,
		.is_audit = true,
	};

	if (!audit)
		return -ENOMEM;
	outpost.pulse = audit->pulse = fr_outpost_map();
	audit->pid = audit->pulse ? fr_outpost_start(&outpost, &audit->fd) : -ENOMEM;
	if (audit->pid < 0) {
		int error = audit->pid;

		fr_outpost_unmap(audit->pulse);
		free(audit);
		return error;
	}
	*ret_audit = audit;
	return 0;
}

static void hang_up(struct fr_audit *audit)
{
	if (audit->fd >= 0)
		close(audit->fd);
	audit->fd = -1;
}

static void reap(struct fr_audit *audit)
{
	if (audit->pid > 0 && waitpid(audit->pid, NULL, WNOHANG) != 0)
		audit->pid = 0;
}

void fr_audit_free(struct fr_audit *audit)
{
	if (!audit)
		return;
	if (audit->pid > 0 && audit->fd >= 0)
		(void)kill(audit->pid, SIGKILL);
	hang_up(audit);
	reap(audit);
	fr_audit_forget(audit);
	fr_outpost_unmap(audit->pulse);
	free(audit);
}

int fr_audit_fd(const struct fr_audit *audit)
{
	return audit->fd;
}

pid_t fr_audit_pid(const struct fr_audit *audit)
{
	return audit->pid;
}

/* Times of the inode alone are no change: a second name of a file moves them, and nobody tells. */
static bool is_same(const struct fr_stamp *a, const struct fr_stamp *b)
{
	return a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static void keep(struct fr_audit *audit, const struct fr_tree *tree,
		 const struct fr_finding *finding)
{
	struct fr_stamp known = {0};
	bool was_known = fr_tree_stamp(tree, finding->path, &known);
	bool is_gone = finding->error != 0;

	if (audit->len == FR_AUDIT_FINDINGS || finding->error == -ESTALE ||
	    finding->hint == FR_HINT_KNOWN)
		return;
	if (is_gone ? !was_known : was_known && is_same(&known, &finding->stamp))
		return; /* it was announced since the process began */
	audit->found[audit->len] = (struct found){
		.path = strdup(finding->path),
		.is_gone = is_gone,
		.was_known = was_known,
		.stamp = finding->stamp,
		.before = known,
	};
	audit->len += audit->found[audit->len].path != NULL; /* no memory: nothing is sure */
}

bool fr_audit_step(struct fr_audit *audit, const struct fr_tree *tree, int64_t now)
{
	struct fr_finding finding;
	int result = 0;

	while (audit->fd >= 0 && (result = fr_outpost_hear(audit->fd, &finding)) > 0)
		keep(audit, tree, &finding);
	if (result < 0) {
		hang_up(audit);
		audit->ended_ms = now;
	}
	reap(audit);
	return audit->fd < 0 && (audit->len == 0 || now >= audit->ended_ms + FR_AUDIT_WAIT_MS);
}

void fr_audit_forget(struct fr_audit *audit)
{
	for (size_t i = 0; i < audit->len; i++)
		free(audit->found[i].path);
	audit->len = audit->next = 0;
}

/* Is the disk as it was found to be, and the tree as it was then? */
static bool is_unannounced(const struct found *found, const struct fr_tree *tree)
{
	struct fr_stamp known, now;
	bool is_known = fr_tree_stamp(tree, found->path, &known);
	int error = fr_content_stamp(-1, found->path, false, &now);

	if (found->is_gone ? error != -ENOENT : error || !is_same(&now, &found->stamp))
		return false;
	return found->was_known ? is_known && is_same(&known, &found->before) : !is_known;
}

const char *fr_audit_take_unannounced(struct fr_audit *audit, const struct fr_tree *tree)
{
	while (audit->next < audit->len) {
		const struct found *found = &audit->found[audit->next++];

		if (is_unannounced(found, tree))
			return found->path;
	}
	return NULL;
}
