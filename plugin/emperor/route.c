/*
 * route: which entries of which folders decide what a path leads to. See route.h.
 */
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emperor/route.h"

#define FR_ROUTE_MAX_LINKS 40 /* as path_resolution(7) has it */

struct route {
	char folder[PATH_MAX]; /* resolved so far; "" is the root */
	char rest[PATH_MAX];   /* still to be followed */
	unsigned links;
};

/* Takes the next component off the rest; false: there is none. */
static bool take_component(struct route *route, char *name, size_t name_size)
{
	const char *start = route->rest + strspn(route->rest, "/");
	size_t len = strcspn(start, "/");

	if (len == 0 || len >= name_size)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	memmove(route->rest, start + len, strlen(start + len) + 1);
	return true;
}

/* Puts what the link says in front of the rest. */
static int follow_link(struct route *route, const char *link)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlink(link, target, sizeof(target) - 1);

	if (len < 0)
		return -errno;
	target[len] = '\0';
	if (++route->links > FR_ROUTE_MAX_LINKS)
		return -ELOOP;
	if (snprintf(rest, sizeof(rest), "%s/%s", target, route->rest) >= (int)sizeof(rest))
		return -ENAMETOOLONG;
	if (target[0] == '/')
		route->folder[0] = '\0';
	memcpy(route->rest, rest, strlen(rest) + 1);
	return 0;
}

static void leave_folder(struct route *route)
{
	char *slash = strrchr(route->folder, '/');

	if (slash)
		*slash = '\0';
}

/* Goes on over one component. 1: there is more of the path, 0: that was the end, or an errno. */
static int step(struct route *route, const char *name, fr_route_visit *visit, void *ctx)
{
	char path[PATH_MAX];
	struct stat st;

	if (strcmp(name, ".") == 0)
		return 1;
	if (strcmp(name, "..") == 0) {
		leave_folder(route);
		return 1;
	}
	if (snprintf(path, sizeof(path), "%s/%s", route->folder, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (lstat(path, &st) < 0) {
		visit(ctx, route->folder[0] ? route->folder : "/", name, false);
		return 0;
	}
	if (S_ISLNK(st.st_mode)) {
		int error;

		visit(ctx, route->folder[0] ? route->folder : "/", name, false);
		error = follow_link(route, path);
		return error < 0 ? error : 1;
	}
	if (route->rest[strspn(route->rest, "/")] == '\0')
		visit(ctx, route->folder[0] ? route->folder : "/", name, false);
	memcpy(route->folder, path, strlen(path) + 1);
	return 1;
}

int fr_route_walk(const char *path, fr_route_visit *visit, void *ctx)
{
	struct route route = {.links = 0};
	char name[NAME_MAX + 1];
	int result = 1;

	if (path[0] != '/')
		return -EINVAL;
	if (strlen(path) >= sizeof(route.rest))
		return -ENAMETOOLONG;
	memcpy(route.rest, path, strlen(path) + 1);
	while (result > 0 && take_component(&route, name, sizeof(name)))
		result = step(&route, name, visit, ctx);
	return result < 0 ? result : 0;
}

/* The folders that match the first len bytes of the pattern, with the component behind them. */
static int visit_matching(const char *pattern, size_t len, fr_route_visit *visit, void *ctx)
{
	const char *next = pattern + len + strspn(pattern + len, "/");
	char part[PATH_MAX], name[NAME_MAX + 1];
	glob_t found;
	int error;

	if (len >= sizeof(part) || strcspn(next, "/") >= sizeof(name))
		return -ENAMETOOLONG;
	snprintf(part, sizeof(part), "%.*s", (int)len, pattern);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(next, "/"), next);
	if (len == 0) {
		visit(ctx, pattern[0] == '/' ? "/" : ".", name, true);
		return 0;
	}
	error = glob(part, GLOB_NOSORT, NULL, &found);
	for (size_t i = 0; error == 0 && i < found.gl_pathc; i++)
		visit(ctx, found.gl_pathv[i], name, true);
	if (error == 0)
		globfree(&found);
	return error == GLOB_NOSPACE ? -ENOMEM : 0;
}

int fr_route_pattern(const char *pattern, fr_route_visit *visit, void *ctx)
{
	const char *wild = pattern + strcspn(pattern, "*?[");
	const char *at = wild;
	int error = 0;

	/* The slash before the component with the first wildcard; then each that follows. */
	while (at > pattern && *at != '/')
		at--;
	while (!error && at) {
		error = visit_matching(pattern, (size_t)(at - pattern), visit, ctx);
		at = *at ? strchr(at + 1, '/') : NULL;
	}
	return error;
}
