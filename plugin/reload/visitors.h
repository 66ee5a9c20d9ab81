/*
 * visitors: in a worker, before the applications: what open pages ask of the plugin is answered
 * here, or handed over to the hub, and the script is added to the pages that the application makes.
 */
#ifndef FR_VISITORS_H
#define FR_VISITORS_H

#include <stdint.h>

#include "browser/origin.h"

/* All borrowed for ever. */
struct fr_visitors {
	const char *path;             /* of our URLs, without a "/" at its end */
	struct fr_origin_names names; /* hosts that the instance was told */
	int way_fd;                   /* for fr_visit_send */
	/* Master: a new generation is about to begin, and has its number. */
	void (*begins)(void);
};

/* In the starting process, before the first fork; generation: of the code that is about to be
 * loaded. 0 or a negative errno. */
int fr_visitors_open(const struct fr_visitors *visitors, int64_t generation);

/* Master: counts one more generation; the same before it begins, which calls `begins`; says that
 * the worker in a slot, or each, is of the last one. Nothing happens without fr_visitors_open. */
void fr_visitors_next_generation(void);
void fr_visitors_begin_generation(void);
void fr_visitors_join(int wid);
void fr_visitors_join_all(void);
int64_t fr_visitors_generation(void);

/* Master: the number of the last news for pages; and there are some with this one. After the hub
 * was told: pages that know the number are served from then on, and must find it there. */
int64_t fr_visitors_news(void);
void fr_visitors_note_news(int64_t number);

/* In a worker, before it accepts: puts itself before the applications, and before fr_broken. */
void fr_visitors_take_over(void);

#endif
