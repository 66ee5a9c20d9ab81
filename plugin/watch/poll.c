/*
 * poll: the source for file systems of which the kernel cannot tell what happens in them.
 *
 * The master's side: it keeps an outpost for each folder, a process that looks at the disk and says
 * what it finds, and never looks itself. An outpost that ends is replaced by a new fork, which has
 * the tree as the master knows it and so finds what its predecessor did not say; that one answer
 * serves crashes, full memory, and folders that come and go. An outpost that hangs is said to,
 * once.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "decide/ignores.h"
#include "decide/loaded.h"
#include "hash.h"
#include "watch/ignorefiles.h"
#include "watch/outpost.h"
#include "watch/poll.h"
#include "watch/source.h"
#include "watch/tree.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* the same on all architectures since it was added in 5.3 */
#endif

#define FR_POLL_POSTS         16  /* more folders than that share them */
#define FR_POLL_FINDINGS      256 /* of each outpost in one step */
#define FR_POLL_SILENT_MS     5000
#define FR_POLL_STEADY_MS     10000 /* one that lived for so long is replaced at once */
#define FR_POLL_MAX_WAIT_MS   30000
#define FR_POLL_FIRST_BUCKETS 64 /* a power of two */

/* What was said of a file that nobody has asked for yet. */
struct said {
	struct said *next;
	struct fr_stamp stamp;
	enum fr_hint hint;
	int error;
	char path[];
};

struct post {
	pid_t pid; /* 0: there is none */
	int fd;    /* our end of its socket, or -1 */
	int pidfd; /* or -1 */
	struct fr_pulse *pulse;
	uint64_t roots;     /* a hash of those that it has, see roots_of */
	int64_t started_ms; /* when it was forked */
	int64_t retry_ms;   /* not before then */
	int wait_ms;        /* the last pause */
	uint64_t passes;    /* of those before it */
	uint64_t mark;      /* how many there were at fr_poll_mark */
	bool must_look;     /* what it was to look at did not fit in the socket */
	bool is_ending;     /* it was killed, and nothing need be said of that */
	bool is_silent;     /* it was said that the folder does not answer */
	int64_t silent_ms;  /* since when it does not */
};

struct fr_source {
	pid_t owner;
	int queue; /* epoll of all that wakes us */
	struct fr_tree *tree;
	const struct fr_rules *rules;
	struct fr_ignorefiles *files;
	unsigned index;
	struct post posts[FR_POLL_POSTS];
	struct said **buckets;
	size_t buckets_len, said_len;
	bool must_repeat; /* all that was said and not asked for */
};

static struct {
	int gap_ms;
	unsigned share;
} pace = {.gap_ms = 500, .share = FR_POLL_SHARE};

void fr_poll_set_pace(int gap_ms, unsigned share)
{
	pace.gap_ms = gap_ms;
	pace.share = share;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what was said ---- */

static struct said **place_of(const struct fr_source *source, const char *path)
{
	uint64_t hash = fr_hash_text(FR_HASH_START, path);
	struct said **place = &source->buckets[fr_hash_place(hash, source->buckets_len)];

	while (*place && strcmp((*place)->path, path) != 0)
		place = &(*place)->next;
	return place;
}

/* A table that cannot grow is only slower. */
static void grow(struct fr_source *source)
{
	struct said **old = source->buckets, *said;
	size_t old_len = source->buckets_len;
	struct said **larger = calloc(old_len * 2, sizeof(struct said *));

	if (!larger)
		return;
	source->buckets = larger;
	source->buckets_len = old_len * 2;
	for (size_t i = 0; i < old_len; i++) {
		while ((said = old[i])) {
			struct said **place = place_of(source, said->path);

			old[i] = said->next;
			said->next = NULL;
			*place = said;
		}
	}
	free(old);
}

static bool keep(struct fr_source *source, const struct fr_finding *finding)
{
	struct said **place = place_of(source, finding->path), *said = *place;
	size_t size = strlen(finding->path) + 1;

	if (!said) {
		said = malloc(sizeof(*said) + size);
		if (!said)
			return false;
		said->next = NULL;
		memcpy(said->path, finding->path, size);
		*place = said;
		source->said_len++;
	}
	said->stamp = finding->stamp;
	said->hint = finding->hint;
	said->error = finding->error;
	if (source->said_len > source->buckets_len)
		grow(source);
	return true;
}

/* ---- an outpost ---- */

static struct fr_outpost outpost_of(const struct fr_source *source, const struct post *post)
{
	return (struct fr_outpost){
		.tree = source->tree,
		.rules = source->rules,
		.files = source->files,
		.source = source->index,
		.part = (unsigned)(post - source->posts),
		.parts = FR_POLL_POSTS,
		.gap_ms = pace.gap_ms,
		.share = pace.share,
	};
}

/* Who looks at the root; NULL: it is another source's, or a gate. */
static struct post *post_of(struct fr_source *source, const struct fr_node *root)
{
	for (size_t i = 0; root && i < FR_POLL_POSTS; i++) {
		const struct fr_outpost outpost = outpost_of(source, &source->posts[i]);
		unsigned count = 0;

		for (struct fr_node *other = fr_tree_roots(source->tree); other;
		     other = other->next) {
			if (fr_outpost_has_root(&outpost, other, &count) && other == root)
				return &source->posts[i];
		}
	}
	return NULL;
}

/* Which files count although an ignore file names them is one of the things that an outpost knows
 * from its beginning. */
static uint32_t version_of(const struct fr_source *source)
{
	return source->files
		       ? fr_loaded_version(fr_ignores_loaded(fr_ignorefiles_ignores(source->files)))
		       : 0;
}

/* A hash of the names of its roots, and of what else it is to know; 0 where there is none; and the
 * first of them. */
static uint64_t roots_of(const struct fr_source *source, const struct post *post,
			 struct fr_node **ret_first)
{
	const struct fr_outpost outpost = outpost_of(source, post);
	uint64_t hash = 0;
	unsigned count = 0;

	*ret_first = NULL;
	for (struct fr_node *root = fr_tree_roots(source->tree); root; root = root->next) {
		if (!fr_outpost_has_root(&outpost, root, &count))
			continue;
		hash = fr_hash_text(hash ^ FR_HASH_START, root->name) + 1;
		if (!*ret_first)
			*ret_first = root;
	}
	return hash ? hash + version_of(source) : 0;
}

/* What it had said and nobody asked for, the next one finds again. */
static void forget_said(struct fr_source *source, const struct post *post)
{
	for (size_t i = 0; i < source->buckets_len; i++) {
		struct said **link = &source->buckets[i], *said;

		while ((said = *link)) {
			const char *rest;
			const struct fr_node *root =
				fr_tree_root_of(source->tree, said->path, &rest);
			const struct post *its = post_of(source, root);

			if (its && its != post) {
				link = &said->next;
				continue;
			}
			*link = said->next;
			free(said);
			source->said_len--;
		}
	}
}

static void hang_up(struct post *post)
{
	if (post->fd >= 0)
		close(post->fd);
	post->fd = -1;
}

/* The process has ended, or is not ours to ask. */
static void tidy(struct post *post)
{
	hang_up(post);
	if (post->pidfd >= 0)
		close(post->pidfd);
	post->pidfd = -1;
	if (post->pulse)
		post->passes += __atomic_load_n(&post->pulse->passes, __ATOMIC_RELAXED);
	fr_outpost_unmap(post->pulse);
	post->pulse = NULL;
	post->pid = 0;
	post->is_ending = post->is_silent = false;
}

static void add_to_queue(const struct fr_source *source, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	/* At worst it is seen in the next step that comes anyway. */
	if (fd >= 0)
		(void)epoll_ctl(source->queue, EPOLL_CTL_ADD, fd, &event);
}

/* When to try next, if this one ends at once. */
static void note_start(struct post *post, int64_t now)
{
	post->wait_ms = now - post->started_ms > FR_POLL_STEADY_MS ? 0
			: post->wait_ms                            ? post->wait_ms * 2
								   : 500;
	if (post->wait_ms > FR_POLL_MAX_WAIT_MS)
		post->wait_ms = FR_POLL_MAX_WAIT_MS;
	post->started_ms = now;
	post->retry_ms = now + post->wait_ms;
}

static void start(struct fr_source *source, struct post *post, uint64_t roots, int64_t now)
{
	struct fr_outpost outpost = outpost_of(source, post);

	note_start(post, now);
	forget_said(source, post);
	outpost.pulse = post->pulse = fr_outpost_map();
	if (post->pulse)
		post->pid = fr_outpost_start(&outpost, &post->fd);
	if (post->pid <= 0) {
		post->pid = 0;
		tidy(post);
		return;
	}
	post->roots = roots;
	post->must_look = false;
	post->pidfd = (int)syscall(SYS_pidfd_open, post->pid, 0); /* is close-on-exec always */
	add_to_queue(source, post->fd);
	add_to_queue(source, post->pidfd);
}

/* One that hangs dies, too: what waits for a disk can be killed. */
static void end(const struct fr_source *source, struct post *post)
{
	if (post->pid > 0 && source->owner == getpid())
		(void)kill(post->pid, SIGKILL);
	post->is_ending = true;
	hang_up(post);
}

/* ---- the source ---- */

static void poll_close(struct fr_source *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < FR_POLL_POSTS; i++) {
		struct post *post = &source->posts[i];

		end(source, post);
		if (post->pid > 0 && source->owner == getpid())
			(void)waitpid(post->pid, NULL, WNOHANG); /* or uWSGI does, later */
		tidy(post);
	}
	for (size_t i = 0; i < source->buckets_len; i++) {
		struct said *next;

		for (struct said *said = source->buckets[i]; said; said = next) {
			next = said->next;
			free(said);
		}
	}
	free(source->buckets);
	if (source->queue >= 0)
		close(source->queue);
	free(source);
}

static int poll_open(struct fr_source **ret_source)
{
	struct fr_source *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return -ENOMEM;
	for (size_t i = 0; i < FR_POLL_POSTS; i++) {
		source->posts[i].fd = source->posts[i].pidfd = -1;
		source->posts[i].started_ms = -FR_POLL_STEADY_MS - 1;
	}
	source->owner = getpid();
	source->buckets = calloc(FR_POLL_FIRST_BUCKETS, sizeof(struct said *));
	source->buckets_len = source->buckets ? FR_POLL_FIRST_BUCKETS : 0;
	source->queue = epoll_create1(EPOLL_CLOEXEC);
	if (source->buckets && source->queue >= 0) {
		*ret_source = source;
		return 0;
	}
	error = source->buckets ? -errno : -ENOMEM;
	poll_close(source);
	return error;
}

static void poll_bind(struct fr_source *source, struct fr_tree *tree, const struct fr_rules *rules,
		      struct fr_ignorefiles *files, unsigned index)
{
	source->tree = tree;
	source->rules = rules;
	source->files = files;
	source->index = index;
}

/* The folders are the outposts' to know. */
static int poll_add(struct fr_source *source, struct fr_node *folder, const char *path)
{
	folder->watch = 0;
	return 0;
}

static void poll_remove(struct fr_source *source, struct fr_node *folder)
{
	folder->watch = -1;
}

static int poll_fd(const struct fr_source *source)
{
	return source->queue;
}

static size_t poll_fds(const struct fr_source *source, int *fds, size_t max_fds)
{
	size_t len = 0;

	if (len < max_fds)
		fds[len++] = source->queue;
	for (size_t i = 0; i < FR_POLL_POSTS && len + 2 <= max_fds; i++) {
		if (source->posts[i].fd >= 0)
			fds[len++] = source->posts[i].fd;
		if (source->posts[i].pidfd >= 0)
			fds[len++] = source->posts[i].pidfd;
	}
	return len;
}

/* A child's own copy of the outposts' ends is nothing to it; a new owner begins with new ones. */
static void poll_own(struct fr_source *source)
{
	if (source->owner == getpid())
		return;
	for (size_t i = 0; i < FR_POLL_POSTS; i++)
		tidy(&source->posts[i]);
	source->owner = getpid();
}

static void report_finding(fr_source_report *report, void *ctx, const char *path, enum fr_hint hint)
{
	/* "Writing" tells a save from a touch. */
	if (hint == FR_HINT_WRITTEN)
		report(ctx, NULL, path, FR_HINT_WRITING);
	report(ctx, NULL, path, hint);
}

/* 1: there may be more, 0: there is not. */
static int hear(struct fr_source *source, struct post *post, fr_source_report *report, void *ctx)
{
	struct fr_finding finding;

	for (int i = 0; i < FR_POLL_FINDINGS; i++) {
		int result = fr_outpost_hear(post->fd, &finding);

		if (result < 0)
			hang_up(post); /* who waits for the process sees why */
		if (result <= 0)
			return 0;
		if (!keep(source, &finding)) {
			(void)kill(post->pid, SIGKILL); /* no memory: the next one says it again */
			return 0;
		}
		report_finding(report, ctx, finding.path, finding.hint);
	}
	return 1;
}

static void repeat(struct fr_source *source, fr_source_report *report, void *ctx)
{
	source->must_repeat = false;
	for (size_t i = 0; i < source->buckets_len; i++) {
		for (struct said *said = source->buckets[i]; said; said = said->next)
			report_finding(report, ctx, said->path, said->hint);
	}
}

/* Has the process ended? Says so if it did by itself. */
static void watch_end(struct post *post, struct fr_node *root, fr_source_report *report, void *ctx)
{
	char text[160], how[64];

	if (!fr_child_has_ended(post->pid, how, sizeof(how)))
		return;
	snprintf(text, sizeof(text),
		 "is looked at by a new process: the old one (pid %d) was ended%s; what it missed "
		 "is found",
		 (int)post->pid, how);
	if (root && !post->is_ending)
		report(ctx, root, text, FR_HINT_SAY);
	tidy(post);
}

/* Says, once, that a folder does not answer, and that it does again. */
static void watch_pulse(struct fr_source *source, struct post *post, int64_t now,
			fr_source_report *report, void *ctx)
{
	int64_t busy_ms = __atomic_load_n(&post->pulse->busy_ms, __ATOMIC_ACQUIRE);
	uintptr_t address = __atomic_load_n(&post->pulse->root, __ATOMIC_RELAXED);
	bool is_silent = busy_ms && now - busy_ms > FR_POLL_SILENT_MS;
	struct fr_node *root = fr_tree_roots(source->tree);
	char text[128];

	if (is_silent == post->is_silent)
		return;
	while (root && (uintptr_t)root != address)
		root = root->next;
	post->is_silent = is_silent;
	if (is_silent) {
		post->silent_ms = busy_ms;
		snprintf(text, sizeof(text),
			 "has not answered for %lld s; what changes there is seen when it does",
			 (long long)(now - busy_ms) / 1000);
	} else {
		snprintf(text, sizeof(text), "answers again, after %lld s",
			 (long long)(now - post->silent_ms) / 1000);
	}
	if (root)
		report(ctx, root, text, FR_HINT_SAY);
}

static void ask(struct post *post, const char *path)
{
	if (post->fd >= 0 && send(post->fd, path, strlen(path), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		post->must_look = true;
}

static int step_post(struct fr_source *source, struct post *post, int64_t now,
		     fr_source_report *report, void *ctx)
{
	struct fr_node *root;
	uint64_t roots = roots_of(source, post, &root);
	int has_more = 0;

	if (post->pid && post->fd < 0)
		watch_end(post, root, report, ctx);
	if (post->pid && roots != post->roots && !post->is_ending) {
		end(source, post);
		post->started_ms = -FR_POLL_STEADY_MS - 1;
		post->retry_ms = 0;
	}
	if (!post->pid && roots && now >= post->retry_ms)
		start(source, post, roots, now);
	if (post->fd < 0)
		return 0;
	has_more = hear(source, post, report, ctx);
	if (post->must_look && post->fd >= 0) {
		post->must_look = false;
		ask(post, FR_OUTPOST_ALL);
	}
	watch_pulse(source, post, now, report, ctx);
	return has_more;
}

static int poll_step(struct fr_source *source, fr_source_report *report, void *ctx)
{
	int64_t now = now_ms();
	int has_more = 0;

	if (source->owner != getpid())
		return 0;
	for (size_t i = 0; i < FR_POLL_POSTS; i++)
		has_more |= step_post(source, &source->posts[i], now, report, ctx);
	if (source->must_repeat)
		repeat(source, report, ctx);
	return has_more;
}

/* What was said already and not asked for may be what is looked for: that is said again. */
static void poll_look(struct fr_source *source, const char *path)
{
	const char *rest;
	struct post *post = post_of(source, fr_tree_root_of(source->tree, path, &rest));

	source->must_repeat = true;
	if (post)
		ask(post, path);
}

static uint64_t passes_of(const struct post *post)
{
	return post->passes +
	       (post->pulse ? __atomic_load_n(&post->pulse->passes, __ATOMIC_ACQUIRE) : 0);
}

void fr_poll_mark(struct fr_source *source)
{
	for (size_t i = 0; i < FR_POLL_POSTS; i++)
		source->posts[i].mark = passes_of(&source->posts[i]);
}

uint64_t fr_poll_passes(const struct fr_source *source)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < FR_POLL_POSTS; i++) {
		const struct post *post = &source->posts[i];
		struct fr_node *root;

		if (roots_of(source, post, &root) && passes_of(post) - post->mark < least)
			least = passes_of(post) - post->mark;
	}
	return least;
}

static int poll_stamp(struct fr_source *source, const char *path, struct fr_stamp *ret_stamp)
{
	struct said **place = place_of(source, path), *said = *place;
	int error;

	if (!said)
		return -EAGAIN;
	error = said->error;
	if (!error)
		*ret_stamp = said->stamp;
	*place = said->next;
	free(said);
	source->said_len--;
	return error;
}

static void poll_explain(int error, unsigned long wanted, char *text, unsigned long text_size)
{
	snprintf(text, text_size, "%s", strerror(-error));
}

const struct fr_source_ops fr_poll_ops = {
	.name = "poll",
	.open = poll_open,
	.bind = poll_bind,
	.add = poll_add,
	.remove = poll_remove,
	.fd = poll_fd,
	.fds = poll_fds,
	.step = poll_step,
	.look = poll_look,
	.stamp = poll_stamp,
	.own = poll_own,
	.close = poll_close,
	.explain = poll_explain,
};
