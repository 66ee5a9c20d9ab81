/*
 * watches: which folders share the number of a watch.
 *
 * A kernel names what it watches by a number (a watch descriptor, a hash of a file handle), and one
 * number may stand for several folders of ours. A table and nothing more: it knows no kernel
 * interface.
 */
#ifndef FR_WATCHES_H
#define FR_WATCHES_H

#include <stdbool.h>
#include <stddef.h>

#include "watch/source.h"

struct fr_node;

/* The struct is the caller's; what is in it is ours. */
struct fr_watches {
	struct fr_node **nodes; /* the first one of each number: open addressing, linear probing */
	size_t len;             /* a power of two */
	size_t used_len;        /* used, with those that have no nodes any more */
	struct fr_node *next_told; /* of the nodes that are being told, or NULL */
};

/* 0 or -ENOMEM. */
int fr_watches_init(struct fr_watches *watches);

/* Frees the table; the nodes are not touched. */
void fr_watches_clear(struct fr_watches *watches);

/* Makes room for one more number: 0 or -ENOMEM. To be called before the watch is made, so that none
 * is made that the table has no room for. */
int fr_watches_reserve(struct fr_watches *watches);

/* Adds the node, borrowed, to those of the number (not negative), and sets node->watch. There must
 * be room. */
void fr_watches_attach(struct fr_watches *watches, struct fr_node *node, int number);

/* Takes the node out and sets node->watch to -1. Returns whether it was the last of its number. */
bool fr_watches_detach(struct fr_watches *watches, struct fr_node *node);

/* One of the number's nodes, or NULL. */
struct fr_node *fr_watches_first(const struct fr_watches *watches, int number);

/* Reports a hint for each of the number's nodes, which may be detached meanwhile. Not to be called
 * from within a report. */
void fr_watches_tell(struct fr_watches *watches, int number, const char *name, enum fr_hint hint,
		     fr_source_report *report, void *ctx);

#endif
