/*
 * audit: has anything changed on the disk of which no event told?
 *
 * An outpost that goes once through the folders of one source, at idle priority. What it finds is
 * held for some seconds, in which an event may still tell of it.
 */
#ifndef FR_AUDIT_H
#define FR_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fr_audit;
struct fr_ignorefiles;
struct fr_rules;
struct fr_tree;

/* Compares the roots whose node->source is `source`. All of it is borrowed for the
 * call; files may be NULL. 0 or
 * a negative errno; the caller owns *ret_audit. Does not block. */
int fr_audit_start(struct fr_tree *tree, const struct fr_rules *rules, struct fr_ignorefiles *files,
		   unsigned source, struct fr_audit **ret_audit);

/* Ends the process if it is under way; NULL is fine. */
void fr_audit_free(struct fr_audit *audit);

/* The descriptor that it holds, for a forked child to close; or -1. */
int fr_audit_fd(const struct fr_audit *audit);

/* The process, to be waited for by whoever reaps children; 0: it has ended. */
pid_t fr_audit_pid(const struct fr_audit *audit);

/* Takes in what was found. tree: that of the start, as it has become since. Returns whether all is
 * there and the time to judge it has come. Never blocks. */
bool fr_audit_step(struct fr_audit *audit, const struct fr_tree *tree, int64_t now_ms);

/* What was found means nothing. */
void fr_audit_forget(struct fr_audit *audit);

/* The path of the next finding that still holds, and that the tree has not taken in meanwhile; or
 * NULL. Borrowed until the next call. Looks at the disk: the source's folders must be local. */
const char *fr_audit_take_unannounced(struct fr_audit *audit, const struct fr_tree *tree);

#endif
