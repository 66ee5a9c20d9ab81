/*
 * sentence: words for people: paths made printable, lists made short, durations.
 *
 * Text in, text out; prints nothing itself.
 */
#ifndef FR_SENTENCE_H
#define FR_SENTENCE_H

#include <stddef.h>

/* The length of the UTF-8 sequence that starts at bytes (of which len > 0 are there), or 0: it is
 * none. */
size_t fr_sentence_utf8_len(const unsigned char *bytes, size_t len);

/* Writes path so that one line of a log stays one line: control bytes and what is not UTF-8 as
 * \xHH. Cuts, with "...", what does not fit. Returns text. */
char *fr_sentence_path(const char *path, char *text, size_t text_size);

/* "a.py changed", "a.py added and b.py removed", "a.py changed and 11 more"; kinds are words
 * ("changed"). Returns text. */
char *fr_sentence_changes(const char *const *paths, const char *const *kinds, size_t shown,
			  size_t total, char *text, size_t text_size);

#endif
