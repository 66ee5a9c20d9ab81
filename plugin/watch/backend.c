/*
 * backend: which source watches which folder. See backend.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch/audit.h"
#include "watch/backend.h"
#include "watch/mounts.h"
#include "watch/tree.h"
#include "watch/watcher.h"

/* A source that ended is tried again after this, twice this, and so on. */
#define FR_BACKEND_RETRY_MS     60000
#define FR_BACKEND_MAX_RETRY_MS 3600000

/* The first audit after the start, and how much longer each pause is than the one before. */
#define FR_BACKEND_AUDIT_MS     15000
#define FR_BACKEND_AUDIT_FACTOR 4
#define FR_BACKEND_MAX_AUDIT_MS 3600000

/*
 * All sources, in the order in which they are tried: a folder gets the first that can see what
 * happens there, and when that one ends, the next. One that is not for auto is for those who ask
 * for it.
 */
static const struct backend {
	const struct fr_source_ops *ops;
	bool is_for_auto;
	bool sees_remote; /* what another host does, too */
	bool is_audited;  /* it believes in events, which may not come */
	bool says_back;   /* it says itself when it is of use again */
} table[] = {
	{.ops = &fr_push_ops, .sees_remote = true},
	{.ops = &fr_watchman_ops, .is_audited = true, .says_back = true},
	{.ops = &fr_inotify_ops, .is_for_auto = true, .is_audited = true},
	{.ops = &fr_fanotify_ops, .is_for_auto = true, .is_audited = true},
	{.ops = &fr_poll_ops, .is_for_auto = true, .sees_remote = true},
};

#define BACKENDS (sizeof(table) / sizeof(*table))

struct folder {
	char *path; /* owned */
	const struct fr_source_ops *wanted;
	const struct backend *preferred; /* what it should have, and gets back */
	const struct backend *now;
	bool is_mount;         /* found below another one */
	int error;             /* that its source met; 0: none */
	bool is_limited;       /* what it should have has no room for it */
	bool is_deaf;          /* its source says nothing of what happens */
	int64_t retry_ms;      /* when to try `preferred` again; 0: never */
	int64_t retry_wait_ms; /* the last pause */
};

struct fr_backends {
	struct fr_watcher *watcher;
	const struct fr_backend_hooks *hooks;
	void *ctx;
	struct folder *folders;
	size_t len;
	struct fr_mounts mounts;
	int mountfd;            /* /proc/self/mountinfo, which tells of changes, or -1 */
	bool is_begun;          /* fr_backends_step has been called */
	struct fr_audit *audit; /* under way, or NULL */
	int64_t audit_ms, audit_wait_ms;
	unsigned audited; /* the source that was audited last */
};

/* ---- names ---- */

static int refuse(const char *name, char *error, size_t error_size)
{
	size_t used = (size_t)snprintf(error, error_size,
				       "names no backend (\"%.40s\"); there are auto", name);

	for (size_t i = 0; i < BACKENDS && used < error_size; i++)
		used += (size_t)snprintf(error + used, error_size - used, "%s%s",
					 i + 1 < BACKENDS ? ", " : " and ", table[i].ops->name);
	return -EINVAL;
}

int fr_backend_parse(const char *name, const struct fr_source_ops **ret_ops, char *error,
		     size_t error_size)
{
	if (strcmp(name, "auto") == 0) {
		*ret_ops = NULL;
		return 0;
	}
	for (size_t i = 0; i < BACKENDS; i++) {
		if (strcmp(name, table[i].ops->name) == 0) {
			*ret_ops = table[i].ops;
			return 0;
		}
	}
	return refuse(name, error, error_size);
}

int fr_backend_parse_folder(char *value, const struct fr_source_ops *by_default,
			    const struct fr_source_ops **ret_ops, char *error, size_t error_size)
{
	static const char key[] = ",backend=";
	char *at = NULL;
	int result;

	for (char *next = strstr(value, key); next; next = strstr(next + 1, key))
		at = next;
	if (!at || strchr(at, '/')) {
		*ret_ops = by_default;
		return 0;
	}
	result = fr_backend_parse(at + strlen(key), ret_ops, error, error_size);
	if (result == 0)
		*at = '\0';
	return result;
}

/* ---- the choice ---- */

static const struct backend *backend_of(const struct fr_source_ops *ops)
{
	size_t i = 0;

	while (table[i].ops != ops)
		i++;
	return &table[i];
}

/* The first from a place on that sees what happens on the mount. The last one sees everything. */
static const struct backend *first_from(const struct backend *from, bool is_remote)
{
	while (from < &table[BACKENDS - 1] &&
	       (!from->is_for_auto || (is_remote && !from->sees_remote)))
		from++;
	return from;
}

static const char *verb_of(const struct backend *backend)
{
	return backend->ops == &fr_poll_ops ? "is polled" : "is watched by ";
}

__attribute__((format(printf, 4, 5))) static void say(const struct fr_backends *backends,
						      const struct folder *folder, bool is_usual,
						      const char *format, ...)
{
	char text[900];
	int used = snprintf(text, sizeof(text), "%s%s: ", verb_of(folder->now),
			    folder->now->ops == &fr_poll_ops ? "" : folder->now->ops->name);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text + used, sizeof(text) - (size_t)used, format, args);
	va_end(args);
	backends->hooks->say(backends->ctx, folder->path, text, is_usual);
}

static void choose(const struct fr_backends *backends, struct folder *folder)
{
	const struct fr_mount *mount = fr_mounts_of(&backends->mounts, folder->path);
	bool is_remote = mount && fr_mount_is_remote(mount);

	folder->preferred =
		folder->wanted ? backend_of(folder->wanted) : first_from(table, is_remote);
	folder->now = folder->preferred;
	if (folder->wanted)
		say(backends, folder, true, "as the configuration says");
	else if (!mount)
		say(backends, folder, true, "there is no mount table to ask (/proc)");
	else if (is_remote)
		say(backends, folder, false,
		    "it is on %s, mounted at %s, where changes come from elsewhere", mount->type,
		    mount->point);
	else
		say(backends, folder, true, "it is on %s, of this host", mount->type);
}

static struct folder *new_folder(struct fr_backends *backends, const char *path)
{
	struct folder *larger = realloc(backends->folders, (backends->len + 1) * sizeof(*larger));
	char *copy = strdup(path);

	if (larger)
		backends->folders = larger;
	if (!larger || !copy) {
		free(copy);
		return NULL;
	}
	backends->folders[backends->len] = (struct folder){.path = copy};
	return &backends->folders[backends->len++];
}

/* Takes a sentence about a limit that the source of the folder has met, or a failure of it. */
static void explain(const struct fr_backends *backends, const struct backend *backend, int error,
		    char *text, size_t size)
{
	fr_watcher_explain(backends->watcher, backend->ops, error, text, size);
}

static int add(struct fr_backends *backends, const char *path, const struct fr_source_ops *ops,
	       bool is_mount)
{
	struct folder *folder = new_folder(backends, path);
	const struct backend *failed = NULL; /* the first one */
	char text[512];
	int error;

	if (!folder)
		return -ENOMEM;
	folder->wanted = ops;
	folder->is_mount = is_mount;
	choose(backends, folder);
	while ((error = fr_watcher_add_root(backends->watcher, path, folder->now->ops)) < 0) {
		if (error == -ENOMEM || folder->now == &table[BACKENDS - 1])
			return error;
		if (!failed) {
			failed = folder->now;
			explain(backends, failed, error, text, sizeof(text));
		}
		folder->now = first_from(folder->now + 1, false);
	}
	if (failed)
		say(backends, folder, false, "%s has failed: %s", failed->ops->name, text);
	return 0;
}

static struct folder *find(const struct fr_backends *backends, const char *path)
{
	for (size_t i = 0; i < backends->len; i++) {
		if (strcmp(backends->folders[i].path, path) == 0)
			return &backends->folders[i];
	}
	return NULL;
}

/* Mounted file systems below a folder of which its source would see nothing. */
static int add_mounts_below(struct fr_backends *backends, size_t at)
{
	for (size_t i = 0; i < backends->mounts.len; i++) {
		const struct fr_mount *mount = &backends->mounts.list[i];
		const struct folder *folder = &backends->folders[at];
		int error;

		if (folder->wanted || folder->now->sees_remote ||
		    !fr_mounts_is_below(&backends->mounts, mount, folder->path) ||
		    !fr_mount_is_remote(mount) || find(backends, mount->point))
			continue;
		error = add(backends, mount->point, NULL, true);
		if (error)
			return error;
	}
	return 0;
}

int fr_backends_add(struct fr_backends *backends, const char *path, const struct fr_source_ops *ops)
{
	struct folder *known = find(backends, path);
	int error;

	if (known && !known->is_mount)
		return 0;
	if (known && ops && ops != known->now->ops) { /* found before it was named */
		known->wanted = ops;
		known->now = known->preferred = backend_of(ops);
		known->is_mount = false;
		return fr_watcher_move_root(backends->watcher, path, ops);
	}
	error = known ? 0 : add(backends, path, ops, false);
	return error ? error : add_mounts_below(backends, backends->len - 1);
}

/* ---- what goes wrong ---- */

/* The innermost folder that the path is in. */
static struct folder *folder_of(const struct fr_backends *backends, const char *path)
{
	struct folder *best = NULL;

	for (size_t i = 0; i < backends->len; i++) {
		struct folder *folder = &backends->folders[i];
		size_t len = strlen(folder->path);

		if (strncmp(folder->path, path, len) == 0 &&
		    (path[len] == '/' || path[len] == '\0' || len == 1) &&
		    (!best || len > strlen(best->path)))
			best = folder;
	}
	return best;
}

bool fr_backends_trouble(struct fr_backends *backends, const char *path, int error)
{
	struct folder *folder = folder_of(backends, path);

	if (!folder || folder->now == &table[BACKENDS - 1] ||
	    (error != -ENOSPC && error != -EMFILE && error != -ENFILE && error != -ENOTSUP))
		return false;
	folder->error = error;
	return true;
}

void fr_backends_failed(struct fr_backends *backends, const struct fr_source_ops *ops, int error)
{
	for (size_t i = 0; i < backends->len; i++) {
		if (backends->folders[i].now->ops == ops)
			backends->folders[i].error = error;
	}
}

void fr_backends_back(struct fr_backends *backends, const struct fr_source_ops *ops)
{
	for (size_t i = 0; i < backends->len; i++) {
		struct folder *folder = &backends->folders[i];

		if (folder->preferred->ops == ops && folder->now->ops != ops && !folder->is_deaf)
			folder->retry_ms = 1; /* a time long ago: with the next step */
	}
}

static bool move(struct fr_backends *backends, struct folder *folder, const struct backend *to)
{
	if (fr_watcher_move_root(backends->watcher, folder->path, to->ops) < 0)
		return false;
	folder->now = to;
	return true;
}

/* A limit is not tried again: each time costs as much as the first. Whoever raises it reloads. */
static void note_retry(struct folder *folder, int error, int64_t now)
{
	folder->is_limited |= error == -ENOSPC || error == -EMFILE || error == -ENFILE;
	folder->retry_wait_ms =
		folder->retry_wait_ms ? folder->retry_wait_ms * 2 : FR_BACKEND_RETRY_MS;
	if (folder->retry_wait_ms > FR_BACKEND_MAX_RETRY_MS)
		folder->retry_wait_ms = FR_BACKEND_MAX_RETRY_MS;
	folder->retry_ms = folder->is_limited || folder->preferred->says_back
				   ? 0
				   : now + folder->retry_wait_ms;
}

static void fall_back(struct fr_backends *backends, struct folder *folder, int64_t now)
{
	const struct backend *failed = folder->now;
	int error = folder->error;
	char text[512];

	explain(backends, failed, error, text, sizeof(text)); /* while its folders count */
	folder->error = 0;
	for (const struct backend *next = failed + 1; next < table + BACKENDS; next++) {
		/* What the kernel does not tell one, it does not tell the other. */
		if (!next->is_for_auto || (folder->is_deaf && next->is_audited) ||
		    !move(backends, folder, next))
			continue;
		if (!folder->is_deaf)
			note_retry(folder, error, now);
		if (folder->is_deaf)
			say(backends, folder, false,
			    "%s has not told of changes there that a look at the disk has found",
			    failed->ops->name);
		else
			say(backends, folder, false, "%s has failed: %s", failed->ops->name, text);
		return;
	}
	folder->error = error; /* no memory, no descriptor: in the next turn */
}

static void go_back(struct fr_backends *backends, struct folder *folder, int64_t now)
{
	folder->retry_ms = 0;
	if (move(backends, folder, folder->preferred))
		say(backends, folder, false, "trying it again");
	else
		note_retry(folder, 0, now);
}

/* ---- mounts ---- */

/* Was anything mounted or unmounted at the folder, above it or below it? */
static bool concerns(const struct fr_mounts *before, const struct fr_mounts *after,
		     const char *path)
{
	const struct fr_mounts *both[] = {before, after};
	unsigned sums[2] = {0};

	for (int side = 0; side < 2; side++) {
		const struct fr_mount *on = fr_mounts_of(both[side], path);

		for (size_t i = 0; i < both[side]->len; i++) {
			const struct fr_mount *mount = &both[side]->list[i];

			if (mount == on || fr_mounts_is_below(both[side], mount, path))
				sums[side] += 1 + (unsigned)strlen(mount->point) * 31 +
					      (unsigned)mount->type[0] * 1021;
		}
	}
	return sums[0] != sums[1];
}

/* The mount table has changed. A mount over a watched folder makes no event, inotify(7). */
static void see_mounts(struct fr_backends *backends)
{
	struct fr_mounts fresh, before = backends->mounts;
	size_t len = backends->len;

	if (fr_mounts_read(&fresh) < 0)
		return;
	backends->mounts = fresh;
	for (size_t i = 0; i < len; i++) {
		struct folder *folder = &backends->folders[i];

		if (!concerns(&before, &fresh, folder->path))
			continue;
		if (!folder->wanted && fr_mounts_are_remote(folder->path) &&
		    !folder->now->sees_remote) {
			choose(backends, folder);
			(void)move(backends, folder, folder->now);
		}
		(void)add_mounts_below(backends, i);
		(void)fr_watcher_look(backends->watcher, backends->folders[i].path);
	}
	fr_mounts_clear(&before);
}

/* proc(5), mounts: a change is an exceptional condition, told once to each descriptor. Not by
 * epoll(7) in another one, which asks, and so forgets, before we do. */
static bool are_mounts_new(const struct fr_backends *backends)
{
	struct pollfd table_fd = {.fd = backends->mountfd, .events = POLLPRI};

	return backends->mountfd >= 0 && poll(&table_fd, 1, 0) > 0;
}

/* ---- the audit ---- */

/* Does the folder have a source that may be deaf? */
static bool is_audited(const struct fr_backends *backends, unsigned source)
{
	const struct fr_node *root = fr_tree_roots(fr_watcher_tree(backends->watcher));

	for (; root; root = root->next) {
		const struct folder *folder =
			root->kind == FR_NODE_FOLDER ? find(backends, root->name) : NULL;

		if (folder && root->source == source && folder->now->is_audited)
			return true;
	}
	return false;
}

static void begin_audit(struct fr_backends *backends, int64_t now)
{
	backends->audit_wait_ms *= FR_BACKEND_AUDIT_FACTOR;
	if (backends->audit_wait_ms > FR_BACKEND_MAX_AUDIT_MS)
		backends->audit_wait_ms = FR_BACKEND_MAX_AUDIT_MS;
	backends->audit_ms = now + backends->audit_wait_ms;
	/* One kind after the other has its turn. */
	for (unsigned i = 0; i < FR_WATCHER_MAX_SOURCES; i++) {
		backends->audited = (backends->audited + 1) % FR_WATCHER_MAX_SOURCES;
		if (!is_audited(backends, backends->audited))
			continue;
		(void)fr_audit_start(fr_watcher_tree(backends->watcher),
				     fr_watcher_rules(backends->watcher),
				     fr_watcher_ignorefiles(backends->watcher), backends->audited,
				     &backends->audit);
		return;
	}
}

/* What the audit found, and no event has told meanwhile, is looked at; its folder is deaf. */
static void judge(struct fr_backends *backends)
{
	const char *path;

	while ((path = fr_audit_take_unannounced(backends->audit,
						 fr_watcher_tree(backends->watcher)))) {
		struct folder *folder = folder_of(backends, path);

		if (backends->hooks->missed)
			backends->hooks->missed(backends->ctx, path);
		(void)fr_watcher_look(backends->watcher, path);
		if (!folder || !folder->now->is_audited)
			continue;
		folder->error = -EIO;
		folder->is_deaf = true;
	}
	fr_audit_free(backends->audit);
	backends->audit = NULL;
}

static void step_audit(struct fr_backends *backends, int64_t now, bool is_quiet)
{
	if (!backends->audit) {
		if (now >= backends->audit_ms)
			begin_audit(backends, now);
		return;
	}
	if (!fr_audit_step(backends->audit, fr_watcher_tree(backends->watcher), now))
		return;
	if (!is_quiet) /* what is held back was announced: another time */
		fr_audit_forget(backends->audit);
	judge(backends);
}

/* ---- what others call ---- */

int fr_backends_new(struct fr_watcher *watcher, const struct fr_backend_hooks *hooks, void *ctx,
		    struct fr_backends **ret_backends)
{
	struct fr_backends *backends = calloc(1, sizeof(*backends));

	if (!backends)
		return -ENOMEM;
	*backends = (struct fr_backends){
		.watcher = watcher,
		.hooks = hooks,
		.ctx = ctx,
		.mountfd = -1,
		.audit_wait_ms = FR_BACKEND_AUDIT_MS,
	};
	backends->mountfd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	(void)are_mounts_new(backends);
	(void)fr_mounts_read(&backends->mounts); /* without it everything is local */
	*ret_backends = backends;
	return 0;
}

void fr_backends_free(struct fr_backends *backends)
{
	if (!backends)
		return;
	for (size_t i = 0; i < backends->len; i++)
		free(backends->folders[i].path);
	free(backends->folders);
	fr_mounts_clear(&backends->mounts);
	fr_audit_free(backends->audit);
	if (backends->mountfd >= 0)
		close(backends->mountfd);
	free(backends);
}

size_t fr_backends_fds(const struct fr_backends *backends, int fds[FR_BACKENDS_MAX_FDS])
{
	size_t len = 0;

	if (!backends)
		return 0;
	if (backends->mountfd >= 0)
		fds[len++] = backends->mountfd;
	if (backends->audit && fr_audit_fd(backends->audit) >= 0)
		fds[len++] = fr_audit_fd(backends->audit);
	return len;
}

void fr_backends_step(struct fr_backends *backends, int64_t now, bool is_quiet)
{
	if (!backends->is_begun)
		backends->audit_ms = now + backends->audit_wait_ms;
	backends->is_begun = true;
	if (are_mounts_new(backends))
		see_mounts(backends);
	for (size_t i = 0; i < backends->len; i++) {
		struct folder *folder = &backends->folders[i];

		if (folder->error)
			fall_back(backends, folder, now);
		else if (folder->retry_ms && now >= folder->retry_ms)
			go_back(backends, folder, now);
	}
	step_audit(backends, now, is_quiet);
}

int fr_backends_pid(const struct fr_backends *backends)
{
	return backends->audit ? fr_audit_pid(backends->audit) : 0;
}
