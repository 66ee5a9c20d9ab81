/*
 * watches: which folders share the number of a watch. See watches.h.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "watch/tree.h"
#include "watch/watches.h"

#define FR_WATCHES_FIRST_LEN 64 /* a power of two */

/* In place of a node: it and all others of its number are gone, but probes go on behind it. */
static struct fr_node gone;

static bool is_free(const struct fr_node *node)
{
	return !node || node == &gone;
}

/* The place of the number's first node, or the unused one where it would go. There always is one:
 * the table is never more than three quarters full. */
static struct fr_node **place_of(const struct fr_watches *watches, int number)
{
	size_t i = ((size_t)number * 0x9E3779B1u) & (watches->len - 1);

	while (watches->nodes[i] &&
	       (is_free(watches->nodes[i]) || watches->nodes[i]->watch != number))
		i = (i + 1) & (watches->len - 1);
	return &watches->nodes[i];
}

static bool is_full(size_t used_len, size_t len)
{
	return used_len * 4 >= len * 3;
}

/* Makes a table with room for more, without those that are gone. */
static int rehash(struct fr_watches *watches)
{
	struct fr_watches fresh = *watches;
	size_t live = 0;

	for (size_t i = 0; i < watches->len; i++)
		live += !is_free(watches->nodes[i]);
	fresh.len = FR_WATCHES_FIRST_LEN;
	while (is_full(live + live / 4, fresh.len))
		fresh.len *= 2;
	fresh.nodes = calloc(fresh.len, sizeof(struct fr_node *));
	if (!fresh.nodes)
		return -ENOMEM;
	fresh.used_len = live;
	for (size_t i = 0; i < watches->len; i++) {
		if (!is_free(watches->nodes[i]))
			*place_of(&fresh, watches->nodes[i]->watch) = watches->nodes[i];
	}
	free(watches->nodes);
	*watches = fresh;
	return 0;
}

int fr_watches_init(struct fr_watches *watches)
{
	*watches = (struct fr_watches){0};
	return rehash(watches);
}

void fr_watches_clear(struct fr_watches *watches)
{
	free(watches->nodes);
	*watches = (struct fr_watches){0};
}

int fr_watches_reserve(struct fr_watches *watches)
{
	return is_full(watches->used_len, watches->len) ? rehash(watches) : 0;
}

void fr_watches_attach(struct fr_watches *watches, struct fr_node *node, int number)
{
	struct fr_node **place = place_of(watches, number);

	if (!*place)
		watches->used_len++;
	node->watch = number;
	node->watch_next = *place;
	*place = node;
}

bool fr_watches_detach(struct fr_watches *watches, struct fr_node *node)
{
	struct fr_node **place = place_of(watches, node->watch), **link = place;
	bool is_last;

	if (watches->next_told == node)
		watches->next_told = node->watch_next;
	while (*link && *link != node)
		link = &(*link)->watch_next;
	is_last = *link && !(*place)->watch_next;
	if (*link)
		*link = node->watch_next;
	if (is_last)
		*place = &gone;
	node->watch = -1;
	node->watch_next = NULL;
	return is_last;
}

struct fr_node *fr_watches_first(const struct fr_watches *watches, int number)
{
	return *place_of(watches, number);
}

/* A report may remove nodes, this one too, and the next: fr_watches_detach moves on from that one.
 */
void fr_watches_tell(struct fr_watches *watches, int number, const char *name, enum fr_hint hint,
		     fr_source_report *report, void *ctx)
{
	for (struct fr_node *node = fr_watches_first(watches, number); node;
	     node = watches->next_told) {
		watches->next_told = node->watch_next;
		report(ctx, node, name, hint);
	}
}
