/*
 * ignorefiles: finds the ignore files of a folder and reads them. See ignorefiles.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decide/ignores.h"
#include "watch/ignorefiles.h"
#include "watch/names.h"

#define FR_GITIGNORE    ".gitignore"
#define FR_RELOADIGNORE ".reloadignore"
#define FR_GIT          ".git"

static const char REASON_TOGETHER[] =
	"the file is not honoured: all ignore files together are larger than 1 MiB";

struct fr_ignorefiles {
	struct fr_ignores *ignores;
	bool with_git;
	fr_ignore_complain *complain;
	void *ctx;
	char text[FR_IGNORE_MAX_BYTES + 1]; /* of the file at hand; one byte more tells that it is
					       too large */
};

int fr_ignorefiles_new(bool with_git, fr_ignore_complain *complain, void *ctx,
		       struct fr_ignorefiles **ret_files)
{
	struct fr_ignorefiles *files = malloc(sizeof(*files));
	int r;

	if (!files)
		return -ENOMEM;
	files->with_git = with_git;
	files->complain = complain;
	files->ctx = ctx;
	r = fr_ignores_new(&files->ignores);
	if (r < 0) {
		free(files);
		return r;
	}
	*ret_files = files;
	return 0;
}

void fr_ignorefiles_free(struct fr_ignorefiles *files)
{
	if (!files)
		return;
	fr_ignores_free(files->ignores);
	free(files);
}

struct fr_ignores *fr_ignorefiles_ignores(struct fr_ignorefiles *files)
{
	return files->ignores;
}

bool fr_ignorefiles_is_name(const char *name)
{
	return strcmp(name, FR_GITIGNORE) == 0 || strcmp(name, FR_RELOADIGNORE) == 0 ||
	       strcmp(name, FR_GIT) == 0;
}

/* ---- reading ---- */

/* A FIFO under that name would wait for a writer, a terminal become ours. */
static int open_regular(const char *path, int flags)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	struct stat st;
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		error = -errno;
	else if (!S_ISREG(st.st_mode))
		error = -EINVAL;
	if (error) {
		close(fd);
		return error;
	}
	return fd;
}

/* The length of what is in files->text then, or a negative errno; -EINVAL: it is no regular file.
 */
static ssize_t read_text(struct fr_ignorefiles *files, const char *path, int flags)
{
	int fd = open_regular(path, flags);
	size_t len = 0;
	ssize_t got = 1;

	if (fd < 0)
		return fd;
	while (got != 0 && len < sizeof(files->text)) {
		got = read(fd, files->text + len, sizeof(files->text) - len);
		if (got < 0 && errno != EINTR) {
			got = -errno;
			close(fd);
			return got;
		}
		len += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	return (ssize_t)len;
}

/* The first thing that is wrong with a file of the options. */
struct first_fault {
	char *error;
	size_t error_size;
	bool is_set;
};

static void note_fault(void *ctx, const char *file, unsigned line, const char *reason)
{
	struct first_fault *fault = ctx;

	if (fault->is_set)
		return;
	fault->is_set = true;
	if (line > 0)
		snprintf(fault->error, fault->error_size, "is refused: %s:%u: %s", file, line,
			 reason);
	else
		snprintf(fault->error, fault->error_size, "is refused: %s", reason);
}

int fr_ignorefiles_add(struct fr_ignorefiles *files, const char *path, char *error,
		       size_t error_size)
{
	struct first_fault fault = {.error = error, .error_size = error_size};
	struct fr_ignore *file;
	ssize_t len = read_text(files, path, 0);
	int r;

	if (len < 0) {
		snprintf(error, error_size, "cannot be read: %s; name a file of gitignore patterns",
			 len == -EINVAL ? "it is no regular file" : strerror((int)-len));
		return (int)len;
	}
	r = fr_ignore_new(path, files->text, (size_t)len, FR_IGNORE_PATTERNS, note_fault, &fault,
			  &file);
	if (r < 0)
		return r;
	if (fault.is_set) {
		fr_ignore_free(file);
		return -EINVAL;
	}
	return fr_ignores_add(files->ignores, file);
}

static void complain(const struct fr_ignorefiles *files, const char *path, const char *reason)
{
	if (files->complain)
		files->complain(files->ctx, path, 0, reason);
}

/* Reads one file of the folder. Returns whether it is not as it was. */
static bool take(struct fr_ignorefiles *files, const char *folder, enum fr_ignores_kind kind,
		 const char *path, bool keeps_before)
{
	const struct fr_ignore *known = fr_ignores_get(files->ignores, folder, kind);
	/* git takes no link for a .gitignore. */
	ssize_t len = read_text(files, path, kind == FR_IGNORES_GIT ? O_NOFOLLOW : 0);
	struct fr_ignore *file = NULL;
	int r = 0;

	if (len == -EACCES)
		complain(files, path, "the file is not honoured: it cannot be read");
	if (len < 0 && !known)
		return false;
	if (len >= 0 && known && fr_ignore_is_from(known, files->text, (size_t)len))
		return false;
	if (len >= 0)
		r = fr_ignore_new(path, files->text, (size_t)len,
				  kind == FR_IGNORES_RELOAD ? FR_IGNORE_EITHER : FR_IGNORE_PATTERNS,
				  files->complain, files->ctx, &file);
	if (r < 0)
		return false; /* no memory: as it was */
	r = fr_ignores_set(files->ignores, folder, kind, file, keeps_before);
	if (r == -EFBIG)
		complain(files, path, REASON_TOGETHER);
	return true;
}

/* "folder/name"; false: too long to be a path. */
static bool join(const char *folder, const char *name, char *path)
{
	return (size_t)snprintf(path, PATH_MAX, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
				name) < PATH_MAX;
}

/* ---- repositories, gitrepository-layout(5) ---- */

/* A file whose one line is a path, behind the prefix; relative ones begin at base. */
static bool read_link_file(const char *file, const char *prefix, const char *base, char *path)
{
	size_t prefix_len = strlen(prefix);
	char text[PATH_MAX];
	int fd = open_regular(file, 0);
	ssize_t len;

	if (fd < 0)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= (ssize_t)prefix_len || strncmp(text, prefix, prefix_len) != 0)
		return false;
	text[len] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	if (text[prefix_len] == '/')
		return (size_t)snprintf(path, PATH_MAX, "%s", text + prefix_len) < PATH_MAX;
	return join(base, text + prefix_len, path);
}

/* The folder that git keeps what all worktrees share in; false: `folder` is no repository's top. A
 * worktree and a submodule have a file in place of the folder. */
static bool find_git_folder(const char *folder, char *git)
{
	char own[PATH_MAX], file[PATH_MAX];
	struct stat st;

	if (!join(folder, FR_GIT, own) || stat(own, &st) < 0)
		return false;
	if (!S_ISDIR(st.st_mode)) {
		memcpy(file, own, sizeof(file));
		if (!read_link_file(file, "gitdir: ", folder, own))
			return false;
	}
	if (!join(own, "commondir", file))
		return false;
	if (!read_link_file(file, "", own, git))
		memcpy(git, own, sizeof(own));
	return true;
}

bool fr_ignorefiles_info(const struct fr_ignorefiles *files, const char *folder, char *path,
			 size_t size)
{
	char git[PATH_MAX], info[PATH_MAX];

	return fr_ignores_is_repository(files->ignores, folder) && find_git_folder(folder, git) &&
	       join(git, "info", info) && (size_t)snprintf(path, size, "%s", info) < size;
}

static bool read_repository(struct fr_ignorefiles *files, const char *folder, bool keeps_before)
{
	char git[PATH_MAX], path[PATH_MAX];
	bool is_repository = find_git_folder(folder, git);
	bool is_changed = is_repository != fr_ignores_is_repository(files->ignores, folder);

	if (is_changed &&
	    fr_ignores_set_repository(files->ignores, folder, is_repository, keeps_before) < 0)
		return false;
	/* Without a repository this finds nothing, and what was there goes. */
	if (!is_repository && !is_changed)
		return false;
	if (!is_repository || !join(git, "info/exclude", path))
		return fr_ignores_set(files->ignores, folder, FR_IGNORES_EXCLUDE, NULL,
				      keeps_before) == 0 &&
		       is_changed;
	return take(files, folder, FR_IGNORES_EXCLUDE, path, keeps_before) || is_changed;
}

/* ---- folders ---- */

bool fr_ignorefiles_has_none(const struct fr_ignorefiles *files, const char *folder,
			     const struct fr_names *names)
{
	return !fr_names_may_have(names, FR_RELOADIGNORE) &&
	       (!files->with_git ||
		(!fr_names_may_have(names, FR_GITIGNORE) && !fr_names_may_have(names, FR_GIT))) &&
	       !fr_ignores_knows(files->ignores, folder);
}

bool fr_ignorefiles_read(struct fr_ignorefiles *files, const char *folder, bool keeps_before)
{
	char path[PATH_MAX];
	bool is_changed = false;

	if (join(folder, FR_RELOADIGNORE, path))
		is_changed |= take(files, folder, FR_IGNORES_RELOAD, path, keeps_before);
	if (!files->with_git)
		return is_changed;
	if (join(folder, FR_GITIGNORE, path))
		is_changed |= take(files, folder, FR_IGNORES_GIT, path, keeps_before);
	is_changed |= read_repository(files, folder, keeps_before);
	return is_changed;
}

/* Cuts the last name off; false: there is none. */
static bool go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || path[1] == '\0')
		return false;
	slash[slash == path] = '\0';
	return true;
}

/* Somebody else's repository, in /tmp for instance, has no say in what we watch. */
static bool is_trusted(const char *top, const char *root)
{
	char path[PATH_MAX];
	struct stat git, watched;

	if (!join(top, FR_GIT, path) || stat(path, &git) < 0)
		return false;
	return git.st_uid == 0 || git.st_uid == geteuid() ||
	       (stat(root, &watched) == 0 && watched.st_uid == git.st_uid);
}

/* The length of the path of the nearest repository's top above root; 0: there is none. */
static size_t find_top_above(const char *root)
{
	char path[PATH_MAX], git[PATH_MAX];

	if (find_git_folder(root, git) ||
	    (size_t)snprintf(path, sizeof(path), "%s", root) >= sizeof(path))
		return 0;
	while (go_up(path)) {
		if (find_git_folder(path, git))
			return is_trusted(path, root) ? strlen(path) : 0;
	}
	return 0;
}

/* As fr_ignorefiles_read, without the .reloadignore: that is for the watched folders. */
static bool read_git(struct fr_ignorefiles *files, const char *folder, bool keeps_before)
{
	char path[PATH_MAX];
	bool is_changed = join(folder, FR_GITIGNORE, path) &&
			  take(files, folder, FR_IGNORES_GIT, path, keeps_before);

	return read_repository(files, folder, keeps_before) || is_changed;
}

bool fr_ignorefiles_read_above(struct fr_ignorefiles *files, const char *root, bool keeps_before,
			       void (*visit)(void *ctx, const char *folder), void *ctx)
{
	size_t top_len = files->with_git ? find_top_above(root) : 0;
	bool is_changed = false;
	char path[PATH_MAX];

	if (top_len == 0)
		return false;
	snprintf(path, sizeof(path), "%s", root);
	while (go_up(path) && strlen(path) >= top_len) {
		is_changed |= read_git(files, path, keeps_before);
		if (visit)
			visit(ctx, path);
	}
	return is_changed;
}

void fr_ignorefiles_forget(struct fr_ignorefiles *files, const char *folder)
{
	fr_ignores_forget(files->ignores, folder);
}
