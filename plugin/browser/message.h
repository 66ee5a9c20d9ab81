/*
 * message: what the master tells the hub, and what pages are told of it, as JSON.
 *
 * The contract with client.js: README.rst, "Live reload in the browser".
 */
#ifndef FR_MESSAGE_H
#define FR_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_excerpt;

enum fr_news_kind {
	FR_NEWS_SERVING,  /* how things stand; nothing that pages are told of */
	FR_NEWS_RELOAD,   /* new code serves, or (reason) something else that pages show is new */
	FR_NEWS_ASSETS,   /* style sheets and images: text */
	FR_NEWS_BROKEN,   /* the new code does not load */
	FR_NEWS_RESTORED, /* it was a command that had failed, and has succeeded; a load may follow
			   */
};

#define FR_NEWS_TEXT 8192

/* One message from the master, as it goes through a socket: whole, and only what is used of text.
 * Strings end with a NUL. */
struct fr_news {
	uint32_t kind; /* enum fr_news_kind */
	uint32_t text_len;
	int64_t generation;
	int64_t number;          /* of RELOAD and ASSETS: its own; of others the last of those */
	int64_t line;            /* 0: not known */
	char reason[16];         /* "code", "template", … */
	char file[1024];         /* relative to the watched folder; "": not known */
	char path[4096];         /* the same, absolute */
	char error[512];         /* "SyntaxError: invalid syntax" */
	char serving[64];        /* "the code of 2026-11-21 01:02:03" */
	char text[FR_NEWS_TEXT]; /* of what was printed the end; or names, each with a NUL */
};

/* Is it one that pages come to be older than? */
bool fr_news_is_numbered(uint32_t kind);

/* How many bytes of it are sent. */
size_t fr_news_size(const struct fr_news *news);

/* Is what came through the socket one, whole? Sees to it that all strings end. */
bool fr_news_check(struct fr_news *news, size_t size);

/* Longest message to a page; what does not fit is left out. */
#define FR_MESSAGE_SIZE 15360

/* All of these write JSON into text (FR_MESSAGE_SIZE) and return its length. */
size_t fr_message_hello(char *text, int64_t generation, bool is_broken, int64_t since);
size_t fr_message_reload(char *text, int64_t generation, const char *reason);
size_t fr_message_restored(char *text);

/* 0: not all names fit. */
size_t fr_message_assets(char *text, const struct fr_news *news);
size_t fr_message_broken(char *text, const struct fr_news *news, const struct fr_excerpt *excerpt);

/* LiveReload's, protocol 7. */
size_t fr_message_livereload_hello(char *text);
size_t fr_message_livereload_reload(char *text, const char *path);

/* Does a client's message say hello? */
bool fr_message_is_livereload_hello(const char *text, size_t len);

#endif
