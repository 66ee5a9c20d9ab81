/*
 * sentence: words for people. See sentence.h.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "report/sentence.h"

size_t fr_sentence_utf8_len(const unsigned char *bytes, size_t len)
{
	size_t need = bytes[0] < 0x80                                 ? 1
		      : (bytes[0] & 0xe0) == 0xc0 && bytes[0] >= 0xc2 ? 2
		      : (bytes[0] & 0xf0) == 0xe0                     ? 3
		      : (bytes[0] & 0xf8) == 0xf0 && bytes[0] <= 0xf4 ? 4
								      : 0;

	if (need == 0 || need > len)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Longer than need be, a surrogate, or beyond U+10FFFF, RFC 3629. */
	if ((bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xed && bytes[1] > 0x9f) ||
	    (bytes[0] == 0xf0 && bytes[1] < 0x90) || (bytes[0] == 0xf4 && bytes[1] > 0x8f))
		return 0;
	return need;
}

/* C0 and C1 controls (U+0080 to U+009F) and DEL could move a terminal's cursor. */
static bool is_control(const unsigned char *bytes, size_t len)
{
	return len == 1 ? bytes[0] < 0x20 || bytes[0] == 0x7f
			: len == 2 && bytes[0] == 0xc2 && bytes[1] < 0xa0;
}

char *fr_sentence_path(const char *path, char *text, size_t text_size)
{
	const unsigned char *bytes = (const unsigned char *)path;
	size_t left = strlen(path), used = 0;

	while (left > 0) {
		char piece[8];
		size_t len = fr_sentence_utf8_len(bytes, left), piece_len;

		if (len == 0 || is_control(bytes, len)) {
			len = 1;
			piece_len = (size_t)snprintf(piece, sizeof(piece), "\\x%02x", bytes[0]);
		} else {
			memcpy(piece, bytes, len);
			piece_len = len;
		}
		if (used + piece_len + sizeof("...") > text_size) {
			snprintf(text + used, text_size - used, "...");
			return text;
		}
		memcpy(text + used, piece, piece_len);
		used += piece_len;
		bytes += len;
		left -= len;
	}
	text[used] = '\0';
	return text;
}

char *fr_sentence_changes(const char *const *paths, const char *const *kinds, size_t shown,
			  size_t total, char *text, size_t text_size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < shown && used < text_size; i++) {
		char path[128];
		const char *join = i == 0 ? "" : i + 1 == total ? " and " : ", ";

		used += (size_t)snprintf(text + used, text_size - used, "%s%s %s", join,
					 fr_sentence_path(paths[i], path, sizeof(path)), kinds[i]);
	}
	if (total > shown && used < text_size)
		snprintf(text + used, text_size - used, " and %zu more", total - shown);
	return text;
}
