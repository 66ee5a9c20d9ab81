/*
 * watchman_protocol: what is said between Watchman's daemon and us, one JSON text a line.
 *
 * Cuts the stream into messages, reads them, and writes commands. It has no descriptor and no
 * clock, and keeps no state but the bytes that have come. Nothing that it reads is believed: sizes
 * are bounded, and a name that does not lie below its folder is none.
 */
#ifndef FR_WATCHMAN_PROTOCOL_H
#define FR_WATCHMAN_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

struct json_t;

/* A longer message is skipped: about 20,000 files. */
#define FR_WATCHMAN_MAX_MESSAGE (2u * 1024 * 1024)
#define FR_WATCHMAN_MAX_CLOCK   128 /* with the NUL */

/* ---- the stream ---- */

/* Begins as {0}. */
struct fr_watchman_stream {
	char *bytes;
	size_t size, len;   /* of bytes: allocated, filled */
	size_t at, scanned; /* where the next message begins, and how far there is no newline */
	bool is_skipping;   /* in a message that is too long */
};

void fr_watchman_stream_clear(struct fr_watchman_stream *stream);

/* Where to read the next bytes to, at least 4 KiB; valid until the next call. 0 or -ENOMEM. To be
 * called when fr_watchman_stream_next has said 0. */
int fr_watchman_stream_room(struct fr_watchman_stream *stream, char **ret_room, size_t *ret_len);

/* So many bytes were read there. */
void fr_watchman_stream_filled(struct fr_watchman_stream *stream, size_t len);

/* The next message: 1, and *ret_text, borrowed until the next call of room(); 0: more bytes are
 * needed; -EMSGSIZE: one that is too long is being skipped (said once for each). */
int fr_watchman_stream_next(struct fr_watchman_stream *stream, const char **ret_text,
			    size_t *ret_len);

/* ---- messages ---- */

enum fr_watchman_kind {
	FR_WATCHMAN_ANSWER,   /* to the oldest command that has none */
	FR_WATCHMAN_ERROR,    /* the same: it failed */
	FR_WATCHMAN_CHANGES,  /* of a subscription */
	FR_WATCHMAN_CANCELED, /* a subscription is no more: its root is gone, or was unwatched */
	FR_WATCHMAN_OTHER,    /* states that are entered and left, and the like */
};

/* Strings are borrowed from the message; NULL where it has none of that kind. */
struct fr_watchman_message {
	enum fr_watchman_kind kind;
	const char *error, *warning;
	const char *subscription;
	const char *watch, *relative_path; /* what watch-project has found */
	const char *clock;                 /* never as long as FR_WATCHMAN_MAX_CLOCK */
	bool is_fresh;                     /* the files are all there are, not those that changed */
	bool has_pcre;                     /* answer to the greeting */
	size_t files_len;
	struct json_t *files, *json; /* files is borrowed from json */
};

struct fr_watchman_file {
	const char *name; /* relative, borrowed */
	bool exists;
	bool is_new; /* was not there at the clock before */
	bool is_folder;
};

/* 0, -EBADMSG, or -ENOMEM. The caller clears the message; one that failed needs none. */
int fr_watchman_message_read(const char *text, size_t len, struct fr_watchman_message *ret_message);

/* Fine for one that is {0}. */
void fr_watchman_message_clear(struct fr_watchman_message *message);

/* File number i of a message of the kind CHANGES: 0, or -EBADMSG for what names no file below the
 * folder. */
int fr_watchman_message_file(const struct fr_watchman_message *message, size_t i,
			     struct fr_watchman_file *ret_file);

/* The socket's path out of what `watchman get-sockname` prints. 0, -EBADMSG, or -ENAMETOOLONG. */
int fr_watchman_read_sockname(const char *text, size_t len, char *ret_path, size_t path_size);

/* ---- commands ---- */

/*
 * Each returns a line for the caller to send and to free, or NULL where memory is short or a path
 * is not UTF-8, which JSON cannot carry. relative may be NULL or "".
 */
char *fr_watchman_write_greeting(void);
char *fr_watchman_write_watch(const char *path);

/* Asks whether clock (NULL: none) is one of this daemon's, and for the present one, once all that
 * has happened until now is known there, which may take sync_ms. */
char *fr_watchman_write_query(const char *watch, const char *clock, int sync_ms);

enum fr_watchman_names {
	FR_WATCHMAN_ALL_NAMES,
	FR_WATCHMAN_TEXT_NAMES,  /* those that are UTF-8 */
	FR_WATCHMAN_OTHER_NAMES, /* the others, of which only the number is told */
};

char *fr_watchman_write_subscribe(const char *watch, const char *relative, const char *name,
				  const char *clock, enum fr_watchman_names names);
char *fr_watchman_write_unsubscribe(const char *watch, const char *name);

#endif
