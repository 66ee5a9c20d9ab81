/*
 * sentence: words for people: paths made printable, lists made short, durations.
 *
 * Text in, text out; prints nothing itself.
 */
#ifndef FR_SENTENCE_H
#define FR_SENTENCE_H

#include <stddef.h>

/* Writes path so that one line of a log stays one line: control bytes and what is not UTF-8 as
 * \xHH. Cuts, with "...", what does not fit. Returns text. */
char *fr_sentence_path(const char *path, char *text, size_t text_size);

/* "a.py changed", "a.py added and b.py removed", "a.py changed and 11 more"; kinds are words
 * ("changed"). Returns text. */
char *fr_sentence_changes(const char *const *paths, const char *const *kinds, size_t shown,
			  size_t total, char *text, size_t text_size);

#endif
