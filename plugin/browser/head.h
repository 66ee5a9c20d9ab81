/*
 * head: the header of an answer: may a script be added to what follows, and what has to change in
 * it then?
 *
 * Text in ("Name: value\r\n" lines, after a status line), text out. Knows no uWSGI.
 */
#ifndef FR_HEAD_H
#define FR_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define FR_HEAD_MAX_NONCE 128

enum fr_head_verdict {
	FR_HEAD_FITS,      /* it may be a page, and the script would run in it */
	FR_HEAD_OTHER,     /* it is no page, or one that is not to be touched */
	FR_HEAD_FORBIDDEN, /* a page whose Content-Security-Policy would not let the script run */
};

struct fr_head {
	enum fr_head_verdict verdict;
	bool has_length;                   /* it says how long the body is */
	char nonce[FR_HEAD_MAX_NONCE + 1]; /* that the script needs; "": none */
};

/*
 * Looks at a header. status: of the answer. text: its lines; extra: lines without an end (extra_len
 * of them) that the server will add, of which only policies matter: what else they say is about
 * what the server does to the body afterwards.
 */
void fr_head_look(int status, const char *text, size_t len, const char *const *extra,
		  size_t extra_len, struct fr_head *ret_head);

/* Heeds policies that the page itself sets, as struct fr_meta has them: the verdict and the nonce
 * become those of all. The same ones may come again, with others behind them. */
void fr_head_heed(struct fr_head *head, const char *policies);

/*
 * Rewrites the lines for a body that has `added` more bytes: Content-Length grows, and what the
 * application said of the body's identity (ETag, Last-Modified, digests, ranges) goes, or a browser
 * would take an old page for the current one. Returns the new length; text has room for
 * FR_HEAD_MAX_GROWTH more.
 */
size_t fr_head_rewrite(char *text, size_t len, size_t added);

#define FR_HEAD_MAX_GROWTH 64

#endif
