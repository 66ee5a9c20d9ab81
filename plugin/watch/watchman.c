/*
 * watchman: the source for trees beyond inotify: Watchman's daemon watches them, and says what
 * changed, https://facebook.github.io/watchman/.
 *
 * Each root is one watch there, with its subscription; the folders below it cost nothing here. What
 * the daemon cannot say (a fresh instance, a message beyond all bounds) becomes one LOOK at the
 * root. It must not know rules or read a file, and after the start it waits for nobody.
 *
 * The daemon may go: step() says -ENOTCONN once, the source tries the socket again now and then,
 * and when the daemon is back and has read the same folders, says FR_HINT_BACK. Folders that stayed
 * with the source are looked at then; one that was moved to another source meanwhile, and comes
 * back, is compared by the watcher.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "watch/source.h"
#include "watch/tree.h"
#include "watch/watchman_protocol.h"
#include "watch/watchman_socket.h"

#define FR_WATCHMAN_START_MS       10000  /* for all roots, until the daemon has read them */
#define FR_WATCHMAN_SYNC_MS        600000 /* later nobody waits */
#define FR_WATCHMAN_FIRST_RETRY_MS 250
#define FR_WATCHMAN_LAST_RETRY_MS  4000
#define FR_WATCHMAN_FILES_PER_TURN 500
#define FR_WATCHMAN_TURNS_PER_STEP 8
#define FR_WATCHMAN_MAX_TRIES      4
#define FR_WATCHMAN_SUBS           2 /* names that are UTF-8, and others: see watchman_protocol.c */

/* What is the next to be said of a root. */
enum stage {
	STAGE_WATCH,
	STAGE_QUERY,
	STAGE_SUBSCRIBE,
	STAGE_SUBSCRIBE_OTHERS,
	STAGE_LIVE,
	STAGE_LEAVE,
	STAGE_LEAVE_OTHERS,
};

struct root {
	struct root *next;
	struct fr_node *node;   /* NULL: nobody's now, but its clock may be of use again */
	char *watch, *relative; /* what the daemon watches, and where below that the root is */
	char clocks[FR_WATCHMAN_SUBS][FR_WATCHMAN_MAX_CLOCK]; /* "": none */
	enum stage stage;
	unsigned number; /* in the name of its subscriptions */
	bool is_awaited; /* add() waits for the clock: the listing comes after it */
	bool must_look;  /* before it was live, anything may have happened */
	bool is_refused; /* the daemon does not want it */
	bool is_resting; /* the daemon did not want it just now; the timer asks again */
	unsigned tries;  /* how often it did not want it */
	char path[];
};

struct fr_source {
	int fd; /* epoll of the following */
	int socket, timer;
	struct fr_source
		*near; /* inotify, for the roots themselves and for gates; NULL: none yet */
	pid_t owner;
	struct fr_watchman_place place;
	struct fr_watchman_stream stream;
	struct fr_watchman_message changes; /* being told; kind CHANGES, or {0} */
	size_t changes_at;
	struct root *changes_root; /* NULL: it has left meanwhile */
	char *out; /* the command being sent; one at a time is out, with its answer */
	size_t out_len, out_at;
	bool is_asking;
	struct root
		*asked; /* whom the command is about; NULL: the greeting, or one that has left */
	struct root *roots;
	unsigned last_number;
	int retry_ms;
	int64_t start_left_ms; /* how long add() may wait yet; 0: the start is over */
	bool has_greeted, has_pcre;
	bool is_lost; /* the daemon went, and is not back with all roots */
	bool is_loss_told;
};

/* What has failed last, and why, for explain(), which has no source to ask. */
static int last_error;
static char last_reason[512];

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the daemon says is for people, and may be anything: of several lines the first, and nothing
 * that a terminal would obey. */
static void note_reason(int error, const char *what, const char *reason)
{
	char *at = last_reason;

	last_error = error;
	snprintf(last_reason, sizeof(last_reason), "%s%s", what, reason);
	at[strcspn(at, "\n")] = '\0';
	for (; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 127)
			*at = '?';
	}
}

/* ---- roots ---- */

static struct root *find_root(const struct fr_source *source, const char *path)
{
	struct root *root = source->roots;

	while (root && (root->stage >= STAGE_LEAVE || strcmp(root->path, path) != 0))
		root = root->next;
	return root;
}

static struct root *root_of_node(const struct fr_source *source, const struct fr_node *node)
{
	struct root *root = source->roots;

	while (root && root->node != node)
		root = root->next;
	return root;
}

static struct root *root_new(struct fr_source *source, const char *path)
{
	struct root *root = calloc(1, sizeof(*root) + strlen(path) + 1);

	if (!root)
		return NULL;
	memcpy(root->path, path, strlen(path) + 1);
	root->number = ++source->last_number;
	root->next = source->roots;
	source->roots = root;
	return root;
}

static void root_free(struct fr_source *source, struct root *root)
{
	struct root **link = &source->roots;

	while (*link != root)
		link = &(*link)->next;
	*link = root->next;
	if (source->asked == root)
		source->asked = NULL;
	if (source->changes_root == root)
		source->changes_root = NULL;
	free(root->watch);
	free(root->relative);
	free(root);
}

/* The folder is no root or gate any more. */
static void leave_near(struct fr_source *source, struct fr_node *folder)
{
	if (source->near)
		fr_inotify_ops.remove(source->near, folder);
	folder->watch = -1;
}

/* The subscription's name. It is new each time, so that nothing of an old one is taken for it. */
static void name_of(const struct root *root, bool is_others, char *name, size_t size)
{
	snprintf(name, size, "fastreload-%u%s", root->number, is_others ? "-others" : "");
}

/* Whose subscription is that? *ret_sub: which one of it. */
static struct root *root_of_subscription(const struct fr_source *source, const char *name,
					 size_t *ret_sub)
{
	char candidate[64];

	for (struct root *root = source->roots; root; root = root->next) {
		for (size_t sub = 0; sub < FR_WATCHMAN_SUBS; sub++) {
			name_of(root, sub > 0, candidate, sizeof(candidate));
			if (root->stage >= STAGE_LEAVE || strcmp(name, candidate) != 0)
				continue;
			*ret_sub = sub;
			return root;
		}
	}
	return NULL;
}

/* ---- the connection ---- */

static void set_timer(struct fr_source *source, int64_t ms)
{
	const struct itimerspec spec = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

	(void)timerfd_settime(source->timer, 0, &spec, NULL);
}

static int listen_to(struct fr_source *source, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events};

	return epoll_ctl(source->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void drop_connection(struct fr_source *source)
{
	/* By name: a child that has inherited the socket would keep it in the epoll, epoll(7). */
	(void)epoll_ctl(source->fd, EPOLL_CTL_DEL, source->socket, NULL);
	close(source->socket);
	source->socket = -1;
	fr_watchman_stream_clear(&source->stream);
	fr_watchman_message_clear(&source->changes);
	free(source->out);
	source->out = NULL;
	source->is_asking = source->has_greeted = false;
	source->asked = source->changes_root = NULL;
}

/* The daemon is gone, or talks nonsense: what it was to tell is not told. */
static void lose(struct fr_source *source, const char *reason)
{
	struct root *next;

	note_reason(-ENOTCONN, "the connection to Watchman is lost: ", reason);
	drop_connection(source);
	if (!source->is_lost)
		source->retry_ms = FR_WATCHMAN_FIRST_RETRY_MS;
	source->is_lost = true;
	for (struct root *root = source->roots; root; root = next) {
		next = root->next;
		root->is_refused = false;
		root->tries = 0;
		if (root->stage >= STAGE_LEAVE)
			root_free(source, root);
		else
			root->stage = STAGE_WATCH;
	}
	set_timer(source, source->retry_ms);
}

static int connect_now(struct fr_source *source)
{
	int fd = fr_watchman_connect(&source->place);
	int error;

	if (fd < 0)
		return fd;
	error = listen_to(source, fd, EPOLLIN);
	if (error) {
		close(fd);
		return error;
	}
	source->socket = fd;
	return 0;
}

/* The timer has run out. Each time the wait is longer, up to a bound. */
static void retry(struct fr_source *source)
{
	uint64_t times;

	if (read(source->timer, &times, sizeof(times)) < 0)
		return;
	for (struct root *root = source->roots; root; root = root->next)
		root->is_resting = false;
	if (source->socket >= 0)
		return;
	if (connect_now(source) == 0)
		return;
	source->retry_ms *= 2;
	if (source->retry_ms > FR_WATCHMAN_LAST_RETRY_MS)
		source->retry_ms = FR_WATCHMAN_LAST_RETRY_MS;
	set_timer(source, source->retry_ms);
}

/* ---- commands ---- */

/* Sends what is left of the command. Where the daemon does not take it, the epoll says when. */
static void flush(struct fr_source *source)
{
	struct epoll_event event = {.events = EPOLLIN};

	while (source->out && source->out_at < source->out_len) {
		ssize_t sent = send(source->socket, source->out + source->out_at,
				    source->out_len - source->out_at, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN) {
			lose(source, strerror(errno));
			return;
		}
		if (sent < 0)
			break;
		source->out_at += (size_t)sent;
	}
	if (source->out && source->out_at == source->out_len) {
		free(source->out);
		source->out = NULL;
	} else if (source->out) {
		event.events |= EPOLLOUT;
	}
	(void)epoll_ctl(source->fd, EPOLL_CTL_MOD, source->socket, &event);
}

static char *command_for(const struct fr_source *source, const struct root *root)
{
	bool is_others = root->stage == STAGE_SUBSCRIBE_OTHERS || root->stage == STAGE_LEAVE_OTHERS;
	const char *clock = root->clocks[is_others];
	char name[64];

	name_of(root, is_others, name, sizeof(name));
	switch (root->stage) {
	case STAGE_WATCH:
		return fr_watchman_write_watch(root->path);
	case STAGE_QUERY:
		return fr_watchman_write_query(root->watch, clock[0] ? clock : NULL,
					       root->is_awaited ? FR_WATCHMAN_START_MS
								: FR_WATCHMAN_SYNC_MS);
	case STAGE_SUBSCRIBE:
	case STAGE_SUBSCRIBE_OTHERS:
		return fr_watchman_write_subscribe(root->watch, root->relative, name,
						   clock[0] ? clock : NULL,
						   is_others          ? FR_WATCHMAN_OTHER_NAMES
						   : source->has_pcre ? FR_WATCHMAN_TEXT_NAMES
								      : FR_WATCHMAN_ALL_NAMES);
	default:
		return fr_watchman_write_unsubscribe(root->watch, name);
	}
}

/* Is there something to say of the root? Nobody's roots go no further than to their clock. */
static bool has_next(const struct fr_source *source, const struct root *root)
{
	if (root->is_refused || root->is_resting || root->stage == STAGE_LIVE)
		return false;
	if (source->start_left_ms > 0 && root->stage >= STAGE_SUBSCRIBE)
		return false; /* add() waits, and has nobody to tell of changes */
	return root->node || root->stage < STAGE_SUBSCRIBE || root->stage >= STAGE_LEAVE;
}

/* Says the next thing, if nothing is being said. */
static void talk(struct fr_source *source)
{
	struct root *root = source->roots;

	if (source->socket < 0 || source->is_asking)
		return;
	while (source->has_greeted && root && !has_next(source, root))
		root = root->next;
	if (source->has_greeted && !root)
		return;
	source->asked = source->has_greeted ? root : NULL;
	source->out =
		source->has_greeted ? command_for(source, root) : fr_watchman_write_greeting();
	if (!source->out) { /* all paths are UTF-8, so it is memory; the timer tries again */
		lose(source, strerror(ENOMEM));
		return;
	}
	source->out_len = strlen(source->out);
	source->out_at = 0;
	source->is_asking = true;
	flush(source);
}

/* ---- answers ---- */

static int replace(char **text, const char *by)
{
	char *copy = strdup(by);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static void set_clock(char *clock, const char *text)
{
	snprintf(clock, FR_WATCHMAN_MAX_CLOCK, "%s", text);
}

/* The present clock, and whether the one that we have is of the same daemon. */
static void take_query(struct root *root, const struct fr_watchman_message *answer)
{
	bool is_known = root->clocks[0][0] && !answer->is_fresh;

	root->stage = STAGE_SUBSCRIBE;
	if (is_known)
		return; /* all that has happened since will be told */
	for (size_t sub = 0; sub < FR_WATCHMAN_SUBS; sub++)
		set_clock(root->clocks[sub], answer->clock);
	root->must_look |= !root->is_awaited;
}

/* 0, or -EBADMSG for an answer that lacks what it is asked for; or -ENOMEM. */
static int take_answer(struct fr_source *source, const struct fr_watchman_message *answer)
{
	struct root *root = source->asked;
	int error = 0;

	if (!source->has_greeted) {
		source->has_greeted = true;
		source->has_pcre = answer->has_pcre;
		return 0;
	}
	if (!root) /* left meanwhile */
		return 0;
	switch (root->stage) {
	case STAGE_WATCH:
		if (!answer->watch)
			return -EBADMSG;
		root->stage = STAGE_QUERY;
		error = replace(&root->watch, answer->watch);
		return error ? error
			     : replace(&root->relative,
				       answer->relative_path ? answer->relative_path : "");
	case STAGE_QUERY:
		if (!answer->clock)
			return -EBADMSG;
		take_query(root, answer);
		return 0;
	case STAGE_SUBSCRIBE:
	case STAGE_SUBSCRIBE_OTHERS:
		root->stage = source->has_pcre && root->stage == STAGE_SUBSCRIBE
				      ? STAGE_SUBSCRIBE_OTHERS
				      : STAGE_LIVE;
		root->tries = 0;
		return 0;
	case STAGE_LEAVE:
		root->stage = STAGE_LEAVE_OTHERS;
		if (source->has_pcre)
			return 0;
		break;
	default:
		break;
	}
	root_free(source, root);
	return 0;
}

/*
 * The daemon does not want to. A first query may have had too little time: the next one has more.
 * After the start it is asked again from the beginning, a few times: while a folder is replaced by
 * another, the watch of the old one may have gone between two commands.
 */
static void take_error(struct fr_source *source, const struct fr_watchman_message *answer)
{
	struct root *root = source->asked;

	if (!source->has_greeted || !root || root->stage >= STAGE_LEAVE) {
		(void)take_answer(source, answer); /* it makes no difference */
	} else if (root->stage == STAGE_QUERY && root->is_awaited) {
		root->is_awaited = false;
	} else if (root->is_awaited || ++root->tries >= FR_WATCHMAN_MAX_TRIES) {
		note_reason(-ENOTSUP, "Watchman does not watch it: ", answer->error);
		root->is_refused = true;
	} else {
		root->stage = STAGE_WATCH;
		root->number = ++source->last_number;
		root->is_resting = true;
		set_timer(source, FR_WATCHMAN_FIRST_RETRY_MS << root->tries);
	}
}

/* ---- changes ---- */

/* The path of an entry, or NULL if there can be none so long. */
static const char *path_below(const struct root *root, const char *name, char *path, size_t size)
{
	int len =
		snprintf(path, size, "%s/%s", strcmp(root->path, "/") == 0 ? "" : root->path, name);

	return len < 0 || (size_t)len >= size ? NULL : path;
}

/*
 * A folder that was there before and still is has had an entry come or go; that one is told of
 * itself. To look at the folder would be to walk all that is below it.
 */
static bool is_news(const struct fr_watchman_file *file)
{
	return !file->is_folder || file->is_new || !file->exists;
}

static void tell_file(struct fr_source *source, size_t i, fr_source_report *report, void *ctx)
{
	struct fr_watchman_file file;
	char path[PATH_MAX * 2];

	if (fr_watchman_message_file(&source->changes, i, &file) < 0) {
		source->changes_root->must_look = true;
		source->changes_at = source->changes.files_len;
	} else if (is_news(&file) &&
		   path_below(source->changes_root, file.name, path, sizeof(path))) {
		report(ctx, NULL, path, FR_HINT_LOOK);
	}
}

/* Tells some of the changes at hand: true, there may be more, here or behind them. A report may
 * remove the root. */
static bool tell(struct fr_source *source, fr_source_report *report, void *ctx)
{
	struct fr_watchman_message *changes = &source->changes;
	size_t end = source->changes_at + FR_WATCHMAN_FILES_PER_TURN, sub;

	while (source->changes_root && source->changes_at < changes->files_len &&
	       source->changes_at < end)
		tell_file(source, source->changes_at++, report, ctx);
	if (source->changes_root && source->changes_at < changes->files_len)
		return true;
	if (source->changes_root &&
	    root_of_subscription(source, changes->subscription, &sub) == source->changes_root)
		set_clock(source->changes_root->clocks[sub], changes->clock ? changes->clock : "");
	source->changes_root = NULL;
	fr_watchman_message_clear(changes);
	return true;
}

/* Takes the message if it is to be told in pieces. */
static void take_changes(struct fr_source *source, struct fr_watchman_message *message)
{
	size_t sub;
	struct root *root = root_of_subscription(source, message->subscription, &sub);

	if (!root)
		return;
	if (message->is_fresh || sub > 0) { /* all there is, or what has no name here */
		root->must_look = true;
		set_clock(root->clocks[sub], message->clock ? message->clock : "");
		return;
	}
	source->changes = *message;
	source->changes_at = 0;
	source->changes_root = root;
	*message = (struct fr_watchman_message){0};
}

/* The root's watch is gone, with all subscriptions: the folder went, or somebody said watch-del.
 * The watcher adds it again if it is there. */
static void take_cancel(struct fr_source *source, const struct fr_watchman_message *message,
			fr_source_report *report, void *ctx)
{
	size_t sub;
	struct root *root = root_of_subscription(source, message->subscription, &sub);
	struct fr_node *node = root ? root->node : NULL;

	if (!root)
		return;
	root_free(source, root);
	if (!node)
		return;
	leave_near(source, node);
	report(ctx, node, NULL, FR_HINT_WATCH_DROPPED);
}

/* A message was too long to be taken. Of which root it was is not known. */
static void look_at_all(struct fr_source *source)
{
	for (struct root *root = source->roots; root; root = root->next) {
		if (root->stage != STAGE_LIVE)
			continue;
		root->must_look = true;
		root->clocks[0][0] = root->clocks[1][0] = '\0';
	}
}

/* report may be NULL as long as nothing is subscribed. */
static void take_message(struct fr_source *source, const char *text, size_t len,
			 fr_source_report *report, void *ctx)
{
	struct fr_watchman_message message;
	int error = fr_watchman_message_read(text, len, &message);

	if (error) {
		lose(source, error == -ENOMEM ? strerror(ENOMEM) : "it does not talk JSON");
		return;
	}
	switch (message.kind) {
	case FR_WATCHMAN_ANSWER:
	case FR_WATCHMAN_ERROR:
		if (!source->is_asking || source->out)
			error = -EBADMSG; /* an answer to nothing */
		else if (message.kind == FR_WATCHMAN_ANSWER)
			error = take_answer(source, &message);
		else
			take_error(source, &message);
		source->is_asking = false;
		break;
	case FR_WATCHMAN_CHANGES:
		take_changes(source, &message);
		break;
	case FR_WATCHMAN_CANCELED:
		if (report)
			take_cancel(source, &message, report, ctx);
		break;
	case FR_WATCHMAN_OTHER:
		break;
	}
	fr_watchman_message_clear(&message);
	if (error)
		lose(source,
		     error == -ENOMEM ? strerror(ENOMEM) : "its answers are not Watchman's");
}

/* Takes messages that have come whole, until one has changes to tell, or there is none. */
static void take_messages(struct fr_source *source, fr_source_report *report, void *ctx)
{
	const char *text;
	size_t len;
	int result;

	while (source->socket >= 0 && !source->changes.json &&
	       (result = fr_watchman_stream_next(&source->stream, &text, &len)) != 0) {
		if (result > 0)
			take_message(source, text, len, report, ctx);
		else
			look_at_all(source);
		talk(source);
	}
}

/* Reads once. Returns whether there may be more. */
static bool read_some(struct fr_source *source)
{
	char *room;
	size_t size;
	ssize_t got;

	if (source->socket < 0)
		return false;
	if (fr_watchman_stream_room(&source->stream, &room, &size) < 0) {
		lose(source, strerror(ENOMEM));
		return false;
	}
	got = recv(source->socket, room, size, 0);
	if (got > 0) {
		fr_watchman_stream_filled(&source->stream, (size_t)got);
		return true;
	}
	if (got == 0)
		lose(source, "it has ended");
	else if (errno != EAGAIN && errno != EINTR)
		lose(source, strerror(errno));
	return false;
}

/* ---- what is left to say after the messages ---- */

/* Roots that the daemon refuses are told of once; add() says why. Any of them may go meanwhile. */
static void tell_roots(struct fr_source *source, fr_source_report *report, void *ctx)
{
	struct root *root = source->roots;

	while (root) {
		struct fr_node *node = root->node;

		if (node && root->is_refused && node->watch >= 0) {
			leave_near(source, node);
			report(ctx, node, NULL, FR_HINT_WATCH_DROPPED);
			root = source->roots;
		} else if (node && root->stage == STAGE_LIVE && root->must_look) {
			root->must_look = false;
			report(ctx, NULL, root->path, FR_HINT_LOOK);
			root = source->roots;
		} else {
			root = root->next;
		}
	}
}

/* Is each root as far as it can get? */
static bool is_whole(const struct fr_source *source)
{
	if (source->socket < 0 || !source->has_greeted)
		return false;
	for (const struct root *root = source->roots; root; root = root->next) {
		if (has_next(source, root) || root->is_resting)
			return false;
	}
	return true;
}

static int watchman_step(struct fr_source *source, fr_source_report *report, void *ctx)
{
	bool has_more = true;

	if (source->owner != getpid())
		return 0;
	source->start_left_ms = 0;
	retry(source);
	if (source->out)
		flush(source);
	talk(source);
	for (int i = 0; i < FR_WATCHMAN_TURNS_PER_STEP && has_more; i++) {
		take_messages(source, report, ctx);
		has_more = source->changes.json ? tell(source, report, ctx) : read_some(source);
	}
	tell_roots(source, report, ctx);
	if (source->is_lost && is_whole(source)) {
		source->is_lost = source->is_loss_told = false;
		report(ctx, NULL, NULL, FR_HINT_BACK);
	}
	if (source->near && fr_inotify_ops.step(source->near, report, ctx) > 0)
		has_more = true;
	if (source->is_lost && !source->is_loss_told) {
		source->is_loss_told = true;
		return -ENOTCONN;
	}
	return has_more;
}

/* ---- the start ---- */

/* Waits until the root's clock is known, so that whatever is listed after that will be told of when
 * it changes. Where time runs out, the root will be looked at once more, later. */
static void await_clock(struct fr_source *source, struct root *root)
{
	root->is_awaited = true;
	while (source->start_left_ms > 0 && source->socket >= 0 && root->is_awaited &&
	       !root->is_refused && root->stage < STAGE_SUBSCRIBE) {
		struct pollfd waiting = {.fd = source->socket, .events = POLLIN};
		int64_t begin_ms = now_ms();

		talk(source);
		if (source->out)
			waiting.events |= POLLOUT;
		if (poll(&waiting, 1, (int)source->start_left_ms) > 0) {
			if (source->out)
				flush(source);
			(void)read_some(source);
			take_messages(source, NULL, NULL);
		}
		source->start_left_ms -= now_ms() - begin_ms;
	}
	root->is_awaited = false;
}

static int find_daemon(struct fr_source *source)
{
	char what[sizeof(source->place.path) + 64];
	int error = fr_watchman_find(&source->place);

	if (error == -ENOENT) {
		note_reason(error,
			    "there is no command \"watchman\"; install it, or name the daemon's "
			    "socket in WATCHMAN_SOCK",
			    "");
	} else if (error) {
		note_reason(error, "\"watchman get-sockname\" does not name the daemon's socket: ",
			    error == -EBADMSG ? "it failed; see what it says by hand"
					      : strerror(-error));
	} else {
		error = connect_now(source);
		snprintf(what, sizeof(what),
			 "Watchman does not answer at \"%s\": ", source->place.path);
		note_reason(error, what,
			    error == -EPERM ? "that socket is another user's" : strerror(-error));
	}
	return error;
}

static void watchman_close(struct fr_source *source)
{
	if (!source)
		return;
	if (source->socket >= 0)
		drop_connection(source);
	while (source->roots)
		root_free(source, source->roots);
	fr_inotify_ops.close(source->near);
	if (source->timer >= 0)
		close(source->timer);
	if (source->fd >= 0)
		close(source->fd);
	free(source);
}

static int watchman_open(struct fr_source **ret_source)
{
	struct fr_source *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return -ENOMEM;
	source->socket = -1;
	source->owner = getpid();
	source->start_left_ms = FR_WATCHMAN_START_MS;
	source->fd = epoll_create1(EPOLL_CLOEXEC);
	source->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	error = source->fd < 0 || source->timer < 0 ? -errno : 0;
	if (!error)
		error = listen_to(source, source->timer, EPOLLIN);
	if (!error)
		error = find_daemon(source);
	if (error) {
		watchman_close(source);
		return error;
	}
	*ret_source = source;
	return 0;
}

/* ---- watching ---- */

/* A root of that path for the node: one whose clock is known from before, or a new one. */
static int take_root(struct fr_source *source, struct fr_node *node, const char *path,
		     struct root **ret_root)
{
	struct root *root = find_root(source, path);
	char *command;

	if (!root) {
		command = fr_watchman_write_watch(path);
		if (!command)
			return -EILSEQ;
		free(command);
		root = root_new(source, path);
	}
	if (!root)
		return -ENOMEM;
	if (root->is_refused) { /* before, and by another daemon perhaps */
		root->is_refused = false;
		root->stage = STAGE_WATCH;
	}
	root->node = node;
	*ret_root = root;
	return 0;
}

static int watch_root(struct fr_source *source, struct fr_node *node, const char *path)
{
	struct root *root = root_of_node(source, node);
	struct stat st;
	int error;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	error = root ? 0 : take_root(source, node, path, &root);
	if (error)
		return error;
	await_clock(source, root);
	if (root->is_refused) {
		leave_near(source, node);
		root_free(source, root);
		return -ENOTSUP;
	}
	talk(source);
	return 0;
}

/* Watches one folder by inotify, open from the first one on. */
static int watch_near(struct fr_source *source, struct fr_node *folder, const char *path)
{
	int error;

	if (!source->near) {
		error = fr_inotify_ops.open(&source->near);
		if (error)
			return error;
		error = listen_to(source, fr_inotify_ops.fd(source->near), EPOLLIN);
		if (error) {
			fr_inotify_ops.close(source->near);
			source->near = NULL;
			return error;
		}
	}
	return fr_inotify_ops.add(source->near, folder, path);
}

/*
 * A gate, a folder above a missing root, is not for Watchman, which would read all that is below
 * it. A root is watched here, too: Watchman has been seen to take the folder that replaced a root
 * for the same one, and to say nothing of the files that went with the old one. Where inotify's
 * limits are reached, that is all that is missed.
 */
static int watchman_add(struct fr_source *source, struct fr_node *folder, const char *path)
{
	int error;

	if (folder->kind == FR_NODE_GATE)
		return watch_near(source, folder, path);
	if (folder->parent) {
		folder->watch = 0; /* its root is watched, so it is */
		return 0;
	}
	error = watch_root(source, folder, path);
	if (!error && watch_near(source, folder, path) < 0)
		folder->watch = 0;
	return error;
}

/*
 * While the daemon is away its roots may be given to another source, and come back later: they are
 * kept, for the daemon to read them before that.
 */
static void remove_root(struct fr_source *source, struct root *root)
{
	root->node = NULL;
	if (source->is_lost)
		return;
	if (source->asked == root)
		source->asked = NULL; /* the answer is to nobody */
	else if (root->stage == STAGE_SUBSCRIBE)
		root->stage = STAGE_WATCH; /* nothing was subscribed to */
	if (root->stage < STAGE_SUBSCRIBE) {
		root_free(source, root);
		return;
	}
	if (source->changes_root == root)
		source->changes_root = NULL;
	root->stage = STAGE_LEAVE;
	talk(source);
}

static void watchman_remove(struct fr_source *source, struct fr_node *folder)
{
	struct root *root = folder->parent ? NULL : root_of_node(source, folder);

	if (!folder->parent)
		leave_near(source, folder);
	folder->watch = -1;
	if (root)
		remove_root(source, root);
}

static int watchman_fd(const struct fr_source *source)
{
	return source->fd;
}

static size_t watchman_fds(const struct fr_source *source, int *fds, size_t max_fds)
{
	const int all[] = {source->fd, source->timer, source->socket,
			   source->near ? fr_inotify_ops.fd(source->near) : -1};
	size_t len = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all) && len < max_fds; i++) {
		if (all[i] >= 0)
			fds[len++] = all[i];
	}
	return len;
}

static void watchman_own(struct fr_source *source)
{
	source->owner = getpid();
	if (source->near)
		fr_inotify_ops.own(source->near);
}

/* ---- across a full reload ---- */

/* {"/path": ["clock", "clock of the others"]} */
static size_t watchman_save(const struct fr_source *source, char *text, size_t size)
{
	json_t *clocks = json_object();
	size_t len;

	for (const struct root *root = source->roots; root; root = root->next) {
		if (root->node && root->clocks[0][0] && !root->must_look)
			(void)json_object_set_new(
				clocks, root->path,
				json_pack("[s, s]", root->clocks[0], root->clocks[1]));
	}
	len = json_dumpb(clocks, text, size, JSON_COMPACT);
	json_decref(clocks);
	return len <= size ? len : 0;
}

static void watchman_restore(struct fr_source *source, const char *text, size_t len)
{
	json_t *clocks = json_loadb(text, len, 0, NULL), *pair;
	const char *path, *clock, *other;

	json_object_foreach(clocks, path, pair)
	{
		struct root *root;

		clock = json_string_value(json_array_get(pair, 0));
		other = json_string_value(json_array_get(pair, 1));
		if (path[0] != '/' || !clock || strlen(clock) >= FR_WATCHMAN_MAX_CLOCK || !other ||
		    strlen(other) >= FR_WATCHMAN_MAX_CLOCK || find_root(source, path))
			continue;
		root = root_new(source, path);
		if (!root)
			break;
		set_clock(root->clocks[0], clock);
		set_clock(root->clocks[1], other);
	}
	json_decref(clocks);
}

/* ---- what is said of it ---- */

static void watchman_explain(int error, unsigned long wanted, char *text, unsigned long text_size)
{
	(void)wanted;
	if (error == -EILSEQ)
		snprintf(text, text_size,
			 "its path is not UTF-8, and Watchman's protocol has no other; use another "
			 "backend for it");
	else
		snprintf(text, text_size, "%s",
			 error == last_error ? last_reason : strerror(-error));
}

const struct fr_source_ops fr_watchman_ops = {
	.name = "watchman",
	.open = watchman_open,
	.add = watchman_add,
	.remove = watchman_remove,
	.fd = watchman_fd,
	.fds = watchman_fds,
	.step = watchman_step,
	.own = watchman_own,
	.save = watchman_save,
	.restore = watchman_restore,
	.close = watchman_close,
	.explain = watchman_explain,
};
