/*
 * hold: is somebody at work on the watched files? See hold.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "watch/hold.h"

struct fr_hold {
	char **files; /* the user's */
	size_t files_len;
	struct stat stale; /* the lock that counts no more; st_ino 0: there is none */
	char found[PATH_MAX];
};

/*
 * Held while a work tree is written: by checkout, reset, merge, pull, stash and each step of a
 * rebase (git's unpack-trees.c works under repo_hold_locked_index). `git commit` has it while the
 * editor is open, too, when it was given paths.
 */
static const char *const git_locks[] = {"index.lock", NULL};

/* There from the first step of such a thing to its last, with all the time that a human may take in
 * between: no locks. */
static const char *const git_unfinished[] = {"rebase-merge",     "rebase-apply", "MERGE_HEAD",
					     "CHERRY_PICK_HEAD", "REVERT_HEAD",  NULL};

/* A symbolic link to nowhere, or a file. */
static const char *const hg_locks[] = {"wlock", NULL};

int fr_hold_new(struct fr_hold **ret_hold)
{
	*ret_hold = calloc(1, sizeof(**ret_hold));
	return *ret_hold ? 0 : -ENOMEM;
}

void fr_hold_free(struct fr_hold *hold)
{
	if (!hold)
		return;
	for (size_t i = 0; i < hold->files_len; i++)
		free(hold->files[i]);
	free(hold->files);
	free(hold);
}

int fr_hold_add_file(struct fr_hold *hold, const char *path)
{
	char **larger = realloc(hold->files, (hold->files_len + 1) * sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	hold->files = larger;
	larger[hold->files_len] = strdup(path);
	if (!larger[hold->files_len])
		return -ENOMEM;
	hold->files_len++;
	return 0;
}

/* Is one of the names in the folder hold->found? Then it is added to that path. */
static bool find(struct fr_hold *hold, const char *const *names, struct stat *ret_st)
{
	size_t len = strlen(hold->found);

	for (; *names; names++) {
		if ((size_t)snprintf(hold->found + len, sizeof(hold->found) - len, "/%s", *names) <
			    sizeof(hold->found) - len &&
		    lstat(hold->found, ret_st) == 0)
			return true;
	}
	hold->found[len] = '\0';
	return false;
}

/*
 * In a second work tree and in a submodule ".git" is a file that says where the folder is
 * (gitrepository-layout(5)); relative to the folder that it is in. hold->found is its path.
 */
static bool follow_gitfile(struct fr_hold *hold)
{
	static const char word[] = "gitdir: ";
	char text[PATH_MAX];
	int fd = open(hold->found, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *target = text + sizeof(word) - 1;
	size_t at = 0;

	if (fd >= 0)
		close(fd);
	if (len < (ssize_t)sizeof(word) || strncmp(text, word, sizeof(word) - 1) != 0)
		return false;
	text[len] = '\0';
	target[strcspn(target, "\r\n")] = '\0';
	if (*target != '/')
		at = (size_t)(strrchr(hold->found, '/') - hold->found) + 1;
	return (size_t)snprintf(hold->found + at, sizeof(hold->found) - at, "%s", target) <
	       sizeof(hold->found) - at;
}

/* Is hold->found, with name added, there? */
static bool enters(struct fr_hold *hold, size_t len, const char *name, struct stat *ret_st)
{
	return (size_t)snprintf(hold->found + len, sizeof(hold->found) - len, "/%s", name) <
		       sizeof(hold->found) - len &&
	       lstat(hold->found, ret_st) == 0;
}

/* Goes up from the file at path to the folder with a working copy's own folder in it, which
 * hold->found names then. Returns the names of its locks; NULL: there is no working copy. */
static const char *const *find_working_copy(struct fr_hold *hold, const char *path)
{
	struct stat st;
	size_t len = strlen(path);

	if (len >= sizeof(hold->found))
		return NULL;
	memcpy(hold->found, path, len + 1);
	for (;;) {
		while (len > 0 && hold->found[len - 1] != '/')
			len--;
		if (len == 0)
			return NULL;
		len--; /* the slash */
		if (enters(hold, len, ".git", &st) && (S_ISDIR(st.st_mode) || follow_gitfile(hold)))
			return git_locks;
		if (enters(hold, len, ".hg", &st) && S_ISDIR(st.st_mode))
			return hg_locks;
		hold->found[len] = '\0';
	}
}

static bool is_stale(const struct fr_hold *hold, const struct stat *st)
{
	return hold->stale.st_ino == st->st_ino && hold->stale.st_dev == st->st_dev &&
	       hold->stale.st_ctim.tv_sec == st->st_ctim.tv_sec &&
	       hold->stale.st_ctim.tv_nsec == st->st_ctim.tv_nsec;
}

enum fr_hold_verdict fr_hold_look(struct fr_hold *hold, const char *path, int64_t quiet_ms,
				  const char **ret_file)
{
	const char *const *locks;
	struct stat st;

	for (size_t i = 0; i < hold->files_len; i++) {
		*ret_file = hold->files[i];
		if (lstat(hold->files[i], &st) == 0)
			return FR_HOLD_WAIT;
	}
	*ret_file = NULL;
	locks = path ? find_working_copy(hold, path) : NULL;
	if (!locks)
		return FR_HOLD_GO;
	*ret_file = hold->found;
	if (find(hold, locks, &st)) {
		if (is_stale(hold, &st))
			return FR_HOLD_GO;
		if (quiet_ms < FR_HOLD_STALE_MS)
			return FR_HOLD_WAIT;
		hold->stale = st;
		return FR_HOLD_STALE;
	}
	if (locks == git_locks && find(hold, git_unfinished, &st))
		return FR_HOLD_SETTLE;
	*ret_file = NULL;
	return FR_HOLD_GO;
}
