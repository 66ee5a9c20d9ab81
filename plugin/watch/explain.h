/*
 * explain: would a change of this path count, and which rule says so? For people who ask.
 *
 * Asks the rules in the order in which the scan does, and looks at the disk for what they want to
 * know.
 */
#ifndef FR_EXPLAIN_H
#define FR_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct fr_ignorefiles;
struct fr_rules;

/*
 * The absolute path of what may not exist (yet), with its folder resolved as far as there is one;
 * relative to the current folder. Writes it to path, cut if it does not fit, and returns path.
 */
char *fr_explain_absolute(const char *value, char *path, size_t size);

/* Prints one sentence about path (absolute) to out, if it is below the watched folder root
 * (absolute). Returns whether it is. files (may be NULL) are read from the disk on the way. */
bool fr_explain_path(const struct fr_rules *rules, struct fr_ignorefiles *files, const char *root,
		     const char *path, FILE *out);

#endif
