/*
 * opens: which data files somebody has opened since, by inotify's IN_OPEN.
 *
 * Python tells of every file that it opens; a library in C that parses an XML file by itself does
 * not. The kernel tells of both. It does not say who it was: a file that another process opens in
 * the same moment counts, too. So it tells surely of a file that it was not read, and that is what
 * it is for.
 *
 * Data files are those of the tree that are no Python source.
 */
#ifndef FR_OPENS_H
#define FR_OPENS_H

#include <stdbool.h>

struct fr_opens;
struct fr_tree;
struct fr_uses;

/*
 * Remembers the folders of the tree (borrowed until fr_opens_free) that hold data files, and begins
 * to listen. The caller owns what is returned; NULL: no memory, which fr_opens_tells takes for "not
 * known". Does not block.
 */
struct fr_opens *fr_opens_new(struct fr_tree *tree);

/* Closes what it listens with, and frees it. NULL is fine, here and below. */
void fr_opens_free(struct fr_opens *opens);

/* Notes in uses what was opened until now. */
void fr_opens_note(struct fr_opens *opens, struct fr_uses *uses);

/* In a copy of the process: lets go of what it listens with, which is the original's. What was
 * opened until then must have been noted. */
void fr_opens_pause(struct fr_opens *opens);

/* Begins to listen again. What was opened meanwhile was not opened by this process. */
void fr_opens_resume(struct fr_opens *opens);

/*
 * Is it sure of the file at path (absolute) that it was not read unless it is in the uses? Not of
 * what came later than the tree, since that may have been looked for in vain; nor of what has
 * several names, or is gone. Looks at the disk.
 */
bool fr_opens_tells(const struct fr_opens *opens, const char *path);

/* Is a file of this name a source, of which Python tells? What opens it is not heard of here. */
bool fr_opens_is_source(const char *name);

/* The descriptor that it listens with, or -1. */
int fr_opens_fd(const struct fr_opens *opens);

#endif
