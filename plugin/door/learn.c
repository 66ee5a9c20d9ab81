/*
 * learn: what the application has loaded counts, also where an ignore file names it. See learn.h.
 */
#include <uwsgi.h>

#include <sys/mman.h>

#include "decide/ignores.h"
#include "decide/judge.h"
#include "decide/loaded.h"
#include "decide/rules.h"
#include "door/door.h"
#include "door/learn.h"
#include "door/settings.h"
#include "reload/census.h"
#include "reload/loader.h"
#include "report/sentence.h"
#include "watch/changes.h"
#include "watch/explain.h"
#include "watch/ignorefiles.h"
#include "watch/scan.h"
#include "watch/tree.h"
#include "watch/watcher.h"

static struct {
	struct fr_loaded *loaded; /* NULL: nobody tells */
	struct fr_writes *writes; /* in memory that is shared with all that load, and the workers */
	bool is_full;             /* and that was said */
	char left_out[PATH_MAX];  /* in the loader: the last folder that was found to be */
} learn;

static bool is_watched(const char *path)
{
	return fr_watcher_relative(fr_door.watcher, path) != path;
}

/* ---- in the loader ---- */

static bool is_in_left_out(const char *path)
{
	size_t len = strlen(learn.left_out);

	return len > 0 && strncmp(path, learn.left_out, len) == 0 && path[len] == '/';
}

/* Is a folder on the way to the file left out, as a virtual environment is? Then it is not watched,
 * and there are thousands of its kind. Ignore files may change, so that they are not asked. */
static bool is_folder_left_out(const char *path, const char *relative)
{
	char folder[PATH_MAX];

	if (is_in_left_out(path))
		return true;
	if (fr_tree_folder_of(fr_watcher_tree(fr_door.watcher), path) ||
	    (size_t)snprintf(folder, sizeof(folder), "%s", path) >= sizeof(folder))
		return false;
	for (char *slash = strchr(folder + (relative - path), '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		struct fr_folder_facts facts;
		struct fr_verdict verdict;

		*slash = '\0';
		fr_scan_facts(AT_FDCWD, folder, &facts);
		fr_rules_judge_folder(fr_settings.rules, folder + (relative - path), &facts, NULL,
				      &verdict);
		if (!verdict.counts) {
			memcpy(learn.left_out, folder, strlen(folder) + 1);
			return true;
		}
		*slash = '/';
	}
	return false;
}

/* All that might count by other ignore files than there are now. */
static bool is_wanted(void *ctx, const char *path, bool *ret_is_ignored)
{
	const char *relative = fr_watcher_relative(fr_door.watcher, path);
	struct fr_verdict verdict;

	(void)ctx;
	fr_rules_judge_file(fr_settings.rules, relative, NULL, &verdict);
	if (!verdict.counts || is_folder_left_out(path, relative))
		return false;
	fr_judge_file(fr_watcher_judge(fr_door.watcher), path, relative, false, &verdict);
	/* Of one in a folder that is ignored as a whole nobody will want to know how it looked. */
	*ret_is_ignored = (!verdict.counts || verdict.is_loaded) &&
			  (fr_tree_folder_of(fr_watcher_tree(fr_door.watcher), path) ||
			   !fr_watcher_looks_itself(fr_door.watcher, path));
	return true;
}

/* Also in workers. A file that is to be made does not exist yet. Compiled code is written for each
 * module, and counts in no case. */
static void note_write(void *ctx, const char *path)
{
	char full[PATH_MAX];

	(void)ctx;
	if (strstr(path, "/__pycache__/"))
		return;
	if (!realpath(path, full))
		fr_explain_absolute(path, full, sizeof(full));
	if (is_watched(full))
		fr_writes_note(learn.writes, full);
}

static const struct fr_census_hooks hooks = {.is_wanted = is_wanted, .writes = note_write};

/* ---- in the master ---- */

void fr_learn_open(void)
{
	struct fr_ignores *ignores = fr_ignorefiles_ignores(fr_settings.ignorefiles);

	learn.writes = mmap(NULL, sizeof(*learn.writes), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (learn.writes == MAP_FAILED || fr_loaded_new(learn.writes, &learn.loaded) < 0)
		fr_door_out_of_memory();
	fr_ignores_use_loaded(ignores, learn.loaded);
	fr_census_open(&hooks, NULL);
}

static void say_full(void)
{
	if (learn.is_full)
		return;
	learn.is_full = true;
	fr_log("the application has loaded more than %d files: of some of them, should an ignore "
	       "file name them, changes do not count\n",
	       FR_LOADED_MAX_PATHS);
}

static void take_file(void *ctx, const char *path, const struct fr_stamp *stamp)
{
	struct fr_verdict verdict;
	int error;

	(void)ctx;
	error = is_watched(path) ? fr_loaded_add(learn.loaded, path) : 0;
	if (error == -ENOSPC)
		say_full();
	if (error <= 0)
		return;
	fr_judge_file(fr_watcher_judge(fr_door.watcher), path,
		      fr_watcher_relative(fr_door.watcher, path), false, &verdict);
	if (!verdict.is_loaded)
		return;
	(void)fr_watcher_learn(fr_door.watcher, path, stamp);
	if (!fr_watcher_looks_itself(fr_door.watcher, path))
		fr_loaded_bump(learn.loaded);
}

void fr_learn_turn(void)
{
	if (learn.loaded)
		fr_census_take(take_file, NULL);
}

void fr_learn_in_worker(const char *path)
{
	if (learn.loaded && fr_loader_has_read(path))
		(void)fr_loaded_add(learn.loaded, path);
}

void fr_learn_say(const struct fr_changes *changes)
{
	char text[1024], origin[1024];

	for (size_t i = 0; learn.loaded && i < changes->len; i++) {
		const char *path = changes->paths[i];
		const char *relative = fr_watcher_relative(fr_door.watcher, path);
		struct fr_verdict verdict;

		fr_judge_file(fr_watcher_judge(fr_door.watcher), path, relative, false, &verdict);
		if (!verdict.is_loaded || !fr_loaded_is_first_time(learn.loaded, path))
			continue;
		fr_log("%s counts: it is ignored by \"%s\" (%s:%u), but the application has loaded "
		       "it\n",
		       fr_sentence_path(relative, text, sizeof(text)), verdict.pattern,
		       fr_sentence_path(verdict.origin, origin, sizeof(origin)), verdict.line);
	}
}
