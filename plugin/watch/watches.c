/*
 * watches: which folders share the number of a watch. See watches.h.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "watch/tree.h"
#include "watch/watches.h"

#define FR_WATCHES_FIRST_LEN 64 /* a power of two */

struct fr_watches_entry {
	struct fr_node
		*nodes; /* linked by watch_next; NULL marks a free entry that probes go on behind */
	int number;
	bool is_used;
};

static size_t first_probe(const struct fr_watches *watches, int number)
{
	return ((size_t)number * 0x9E3779B1u) & (watches->entries_len - 1);
}

/* The entry of the number, or the unused one where it would go. There always is one: the table is
 * never more than half full. */
static struct fr_watches_entry *entry_of(const struct fr_watches *watches, int number)
{
	size_t i = first_probe(watches, number);

	while (watches->entries[i].is_used && watches->entries[i].number != number)
		i = (i + 1) & (watches->entries_len - 1);
	return &watches->entries[i];
}

/* Makes a table with room for twice the numbers in use, without those that are gone. */
static int rehash(struct fr_watches *watches)
{
	struct fr_watches fresh = *watches;
	size_t live = 0;

	for (size_t i = 0; i < watches->entries_len; i++)
		live += watches->entries[i].nodes != NULL;
	fresh.entries_len = FR_WATCHES_FIRST_LEN;
	while (fresh.entries_len < live * 4)
		fresh.entries_len *= 2;
	fresh.entries = calloc(fresh.entries_len, sizeof(*fresh.entries));
	if (!fresh.entries)
		return -ENOMEM;
	fresh.used_len = live;
	for (size_t i = 0; i < watches->entries_len; i++) {
		if (watches->entries[i].nodes)
			*entry_of(&fresh, watches->entries[i].number) = watches->entries[i];
	}
	free(watches->entries);
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
	free(watches->entries);
	*watches = (struct fr_watches){0};
}

int fr_watches_reserve(struct fr_watches *watches)
{
	return watches->used_len * 2 >= watches->entries_len ? rehash(watches) : 0;
}

void fr_watches_attach(struct fr_watches *watches, struct fr_node *node, int number)
{
	struct fr_watches_entry *entry = entry_of(watches, number);

	if (!entry->is_used) {
		*entry = (struct fr_watches_entry){.number = number, .is_used = true};
		watches->used_len++;
	}
	node->watch = number;
	node->watch_next = entry->nodes;
	entry->nodes = node;
}

bool fr_watches_detach(struct fr_watches *watches, struct fr_node *node)
{
	struct fr_watches_entry *entry = entry_of(watches, node->watch);
	struct fr_node **link = &entry->nodes;

	if (watches->next_told == node)
		watches->next_told = node->watch_next;
	node->watch = -1;
	while (*link && *link != node)
		link = &(*link)->watch_next;
	if (!*link)
		return false;
	*link = node->watch_next;
	node->watch_next = NULL;
	return !entry->nodes;
}

struct fr_node *fr_watches_first(const struct fr_watches *watches, int number)
{
	return entry_of(watches, number)->nodes;
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
