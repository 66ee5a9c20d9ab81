/*
 * route: which entries of which folders decide what a path leads to.
 *
 * A notification names an entry of a folder. What a symbolic link leads to changes in other folders
 * than its own, and what matches a pattern may lie in many. Reads the disk, and knows neither
 * notifications nor uWSGI.
 */
#ifndef FR_ROUTE_H
#define FR_ROUTE_H

#include <stdbool.h>

/* Entries of a folder that matter: the one of that name, or those that match it. Both are borrowed
 * for the call. */
typedef void fr_route_visit(void *ctx, const char *folder, const char *name, bool is_pattern);

/*
 * Follows an absolute path as the kernel does. Visits each symbolic link on it, wherever it is, and
 * the last entry; or the entry that is missing, behind which nothing is known. Folders are given
 * without any links in them. 0, -ELOOP for links that go in a circle, -ENAMETOOLONG, -EINVAL for a
 * path that is not absolute. Blocks only as long as the file system does.
 */
int fr_route_walk(const char *path, fr_route_visit *visit, void *ctx);

/*
 * Visits the folders whose entries decide what a glob(3) pattern matches, as they are now: the one
 * with the first wildcard, and all that the pattern matches up to each following slash; with the
 * component that comes next. Relative patterns give relative folders ("." at least). 0, -ENOMEM or
 * -ENAMETOOLONG.
 */
int fr_route_pattern(const char *pattern, fr_route_visit *visit, void *ctx);

#endif
