/*
 * reactions: what a change of a file leads to, by patterns: --fastreload-on, the last match
 * decides.
 *
 * Knows patterns and the names of actions. Does not know whether a file counts (that is rules'
 * business), nor what becomes of several files at once (plan's).
 */
#ifndef FR_REACTIONS_H
#define FR_REACTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "decide/plan.h"

/* More rules than this are refused. */
#define FR_REACTIONS_MAX 64

struct fr_reactions;

/* No rule yet. 0 or -ENOMEM; the caller owns *ret_reactions. */
int fr_reactions_new(struct fr_reactions **ret_reactions);

/* NULL is fine. */
void fr_reactions_free(struct fr_reactions *reactions);

/*
 * Adds a rule after all others: text is "PATTERN ACTION", with what the action needs behind a colon
 * or a blank ("*.po exec:make messages"). A blank in the pattern is written "\ ". The first '!' of
 * a pattern is no negation here, and refused.
 *
 * *ret_pattern is the pattern, *ret_ignores whether its files do not count at all: for the caller
 * to tell the rules. It is owned by reactions. 0, or -EINVAL or -ENOMEM with a sentence in error.
 */
int fr_reactions_add(struct fr_reactions *reactions, const char *text, const char **ret_pattern,
		     bool *ret_ignores, char *error, size_t error_size);

/*
 * What the last rule that matches path (relative to the watched folder) or a folder above it says;
 * NULL: none does. "ignore" is left out: a file that counts all the same was included later. Of
 * rules that say the same, it is always the first one's. Owned by reactions.
 */
const struct fr_reaction *fr_reactions_find(const struct fr_reactions *reactions, const char *path);

/* Does any rule have this action? */
bool fr_reactions_have(const struct fr_reactions *reactions, enum fr_action action);

#endif
