/*
 * push: another host says what changed. Listens, reads lines, and asks for a look at what they
 * name.
 *
 * What comes in is hostile until it has shown the token, and no more than a hint then: it can cause
 * a look at a watched folder, and nothing else. How much is read, kept, looked at and logged is
 * bounded, in every turn and in all. It knows no rule, looks at no file, and does not know what a
 * look finds.
 */
#ifndef FR_PUSH_H
#define FR_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FR_PUSH_MAX_LISTENERS 8
#define FR_PUSH_MAX_CLIENTS   64
#define FR_PUSH_MAX_FDS       (1 + FR_PUSH_MAX_LISTENERS + FR_PUSH_MAX_CLIENTS)

/* Room for what fr_push_leave writes. */
#define FR_PUSH_LEFT_SIZE 1024

struct fr_push;

struct fr_push_hooks {
	/* Is the absolute path, in its plain form, in a watched folder? Does not look at the disk.
	 */
	bool (*is_watched)(void *ctx, const char *path);
	/* Is it a folder that is known? Does not look at the disk either. */
	bool (*is_folder)(void *ctx, const char *path);
	/* Something happened there, or below: looks. */
	void (*look)(void *ctx, const char *path);
	void (*look_everywhere)(void *ctx);
	/* The watched folder number i, which relative paths are relative to; NULL behind the last.
	 */
	const char *(*folder)(void *ctx, size_t i);
	/* A line for the log. what may be NULL, or bytes from the network, to be escaped. */
	void (*say)(void *ctx, const char *who, const char *sentence, const char *what);
};

/* hooks are borrowed until fr_push_free. 0 or a negative errno. */
int fr_push_new(const struct fr_push_hooks *hooks, void *ctx, struct fr_push **ret_push);

/* Closes all descriptors; NULL is fine. A Unix socket's file stays: the next image of this process
 * may have taken it over. */
void fr_push_free(struct fr_push *push);

/*
 * The values of the three options, copied; for the start, and the token comes first. 0, or a
 * negative errno with a sentence in error. fr_push_listen may read the folder of a Unix socket, and
 * does not block.
 */
int fr_push_use_token(struct fr_push *push, const char *value, char *error, size_t error_size);
int fr_push_add_map(struct fr_push *push, const char *value, char *error, size_t error_size);
int fr_push_listen(struct fr_push *push, const char *value, char *error, size_t error_size);

/* Would fr_push_listen take that value, if the address is free? */
int fr_push_check(const struct fr_push *push, const char *value, char *error, size_t error_size);

/* Readable when fr_push_step has something to do. */
int fr_push_fd(const struct fr_push *push);

/* Writes all descriptors that are open now, fr_push_fd among them, and returns their number.
 * Async-signal-safe. */
size_t fr_push_fds(const struct fr_push *push, int fds[FR_PUSH_MAX_FDS]);

/*
 * Reads a bounded amount of what is waiting, and looks where it is time to. is_busy: what was
 * looked at is still being listed. Returns when to call again, in the same ms, if the descriptor is
 * not readable before; -1: never. Never blocks.
 */
int64_t fr_push_step(struct fr_push *push, int64_t now_ms, bool is_busy);

/*
 * Across an exec, connections stay: leave() takes close-on-exec off all sockets and writes which
 * they are; take() has them back, in the next image and before fr_push_listen. Returns false where
 * text does not fit what is open.
 */
void fr_push_leave(struct fr_push *push, char text[FR_PUSH_LEFT_SIZE]);
bool fr_push_take(struct fr_push *push, const char *text);

#endif
