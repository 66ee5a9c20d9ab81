/*
 * recent: what pages were told last, for those that come now and have not heard it: a style sheet
 * may be saved while a page that has it loads, before the page can listen.
 *
 * News have numbers, without gaps; a page says the last one that it has heard, or that there was
 * when it was made. What cannot be kept has to be made up for by loading the page again.
 */
#ifndef FR_RECENT_H
#define FR_RECENT_H

#include <stddef.h>
#include <stdint.h>

/* Of what is kept; the oldest goes first. */
#define FR_RECENT_MAX  32
#define FR_RECENT_SIZE 8192

struct fr_recent_news {
	int64_t number;
	size_t len;
	const char *text; /* in the struct fr_recent, until that changes */
};

/* All zero is a good beginning. */
struct fr_recent {
	int64_t number; /* of the last news */
	int64_t since;  /* who has heard less has missed what is not kept */
	size_t len;
	struct fr_recent_news news[FR_RECENT_MAX];
	char text[FR_RECENT_SIZE];
};

/* There have been news up to this number. Of those that nobody has told here nothing is kept. */
void fr_recent_reach(struct fr_recent *recent, int64_t number);

/* News that every page of before has to be loaded again for. */
void fr_recent_pass(struct fr_recent *recent, int64_t number);

/* News that can be told later. Copies the text. */
void fr_recent_keep(struct fr_recent *recent, int64_t number, const char *text, size_t len);

/* Returns the first that is kept of those behind a number; NULL: none. */
const struct fr_recent_news *fr_recent_next(const struct fr_recent *recent, int64_t heard);

#endif
