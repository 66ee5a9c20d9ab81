/*
 * recent: what pages were told last. See recent.h.
 *
 * The texts lie one behind the other, the oldest first.
 */
#include <string.h>

#include "browser/recent.h"

void fr_recent_pass(struct fr_recent *recent, int64_t number)
{
	recent->number = recent->since = number;
	recent->len = 0;
}

void fr_recent_reach(struct fr_recent *recent, int64_t number)
{
	if (recent->number != number)
		fr_recent_pass(recent, number);
}

static size_t size_of_all(const struct fr_recent *recent)
{
	const struct fr_recent_news *last;

	if (recent->len == 0)
		return 0;
	last = &recent->news[recent->len - 1];
	return (size_t)(last->text - recent->text) + last->len;
}

static void drop_oldest(struct fr_recent *recent)
{
	size_t gone = recent->news[0].len, size = size_of_all(recent);

	recent->since = recent->news[0].number;
	memmove(recent->text, recent->text + gone, size - gone);
	recent->len--;
	for (size_t i = 0; i < recent->len; i++) {
		recent->news[i] = recent->news[i + 1];
		recent->news[i].text -= gone;
	}
}

void fr_recent_keep(struct fr_recent *recent, int64_t number, const char *text, size_t len)
{
	char *place;

	fr_recent_reach(recent, number - 1);
	if (len > FR_RECENT_SIZE) {
		fr_recent_pass(recent, number);
		return;
	}
	while (recent->len == FR_RECENT_MAX || size_of_all(recent) + len > FR_RECENT_SIZE)
		drop_oldest(recent);
	place = recent->text + size_of_all(recent);
	memcpy(place, text, len);
	recent->news[recent->len++] =
		(struct fr_recent_news){.number = number, .len = len, .text = place};
	recent->number = number;
}

const struct fr_recent_news *fr_recent_next(const struct fr_recent *recent, int64_t heard)
{
	for (size_t i = 0; i < recent->len; i++) {
		if (recent->news[i].number > heard)
			return &recent->news[i];
	}
	return NULL;
}
