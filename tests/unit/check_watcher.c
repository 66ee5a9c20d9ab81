/*
 * The watcher on a real disk. What can be said as a script is in tests/scenarios, one sentence a
 * file, and runs against every backend; here is what needs a process, a limit or a clock.
 *
 * Not tested: file systems whose readdir(3) does not tell types (DT_UNKNOWN); there is none that
 * every machine has.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator.h"
#include "decide/ignores.h"
#include "decide/loaded.h"
#include "decide/rules.h"
#include "disk.h"
#include "scenario.h"
#include "watch/content.h"
#include "watch/ignorefiles.h"
#include "watch/source.h"
#include "watch/tree.h"
#include "watchman_daemon.h"
#include "world.h"

/* Every backend must come to the same. */
static const struct fr_source_ops *const backends[] = {&fr_inotify_ops, &fr_fanotify_ops,
						       &fr_poll_ops};

#define BACKENDS (sizeof(backends) / sizeof(*backends))

static struct fr_world world;
static glob_t scripts;
static char (*script_names)[NAME_MAX + 1]; /* Check borrows them until the end */

static void setup(void)
{
	fr_world_init(&world, &fr_inotify_ops);
}

static void teardown(void)
{
	fr_world_clear(&world);
}

static const char *in_root(const char *name)
{
	return fr_disk_at(world.root, name);
}

/* ---- scripts ---- */

START_TEST(test_scenario)
{
	if (fr_world_has(backends[_i % BACKENDS]))
		fr_scenario_run(scripts.gl_pathv[_i / BACKENDS], backends[_i % BACKENDS]);
	/* Its daemon is another program, with races of its own: not for every run. */
	if (_i % BACKENDS == 0 && getenv("FR_WATCHMAN_SCENARIOS") && fr_watchman_daemon_is_there())
		fr_scenario_run(scripts.gl_pathv[_i / BACKENDS], fr_watchman_daemon_ops());
}
END_TEST

/* ---- processes ---- */

START_TEST(test_child_frees_its_copy_and_parent_still_watches)
{
	int status;
	pid_t child;

	fr_disk_mkdir(in_root("a"));
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	child = fork();
	if (child == 0) {
		fr_watcher_free(world.watcher);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	fr_disk_write(in_root("a/x.py"), "one");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_ADDED);
}
END_TEST

START_TEST(test_child_steps_and_takes_no_event)
{
	int status;
	pid_t child;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	fr_disk_write(in_root("x.py"), "one");
	child = fork();
	if (child == 0)
		_exit(fr_watcher_step(world.watcher));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 1);
}
END_TEST

START_TEST(test_child_that_becomes_the_owner_reads)
{
	int status;
	pid_t child;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	fr_disk_write(in_root("x.py"), "one");
	child = fork();
	if (child == 0) {
		fr_watcher_own(world.watcher);
		while (fr_watcher_step(world.watcher))
			continue;
		_exit(fr_watcher_verify(world.watcher, in_root("x.py"), true, true));
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), FR_CHANGE_ADDED);
}
END_TEST

START_TEST(test_descriptor_closes_at_exec)
{
	int fds[FR_WATCHER_MAX_FDS];

	ck_assert_uint_eq(fr_watcher_fds(world.watcher, fds), 2);
	ck_assert_int_eq(fds[0], fr_watcher_fd(world.watcher));
	ck_assert_int_ne(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(fds[1], F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

START_TEST(test_descriptors_are_all_given_back)
{
	size_t before;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	before = open_descriptors();
	for (int i = 0; i < 10; i++) {
		fr_disk_mkdir(in_root("a/b/c"));
		fr_world_look(&world);
		ck_assert_int_eq(fr_disk_remove(in_root("a")), 0);
		fr_watcher_rescan(world.watcher);
		fr_world_look(&world);
	}
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

/*
 * Bug: as long as somebody wrote to a log without a pause, a step always said that there was more,
 * and nothing was ever decided. (One file: of two that take turns the kernel tells one by one, and
 * faster than anybody can read.)
 */
START_TEST(test_writer_without_a_pause_does_not_look_like_more_to_do)
{
	unsigned busy = 0;
	pid_t child;

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	child = fork();
	if (child == 0) {
		int a = open(in_root("a.log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

		while (pwrite(a, "x", 1, 0) == 1)
			continue;
		_exit(1);
	}
	for (int i = 0; i < 200; i++) {
		struct pollfd waiting = {.fd = fr_watcher_fd(world.watcher), .events = POLLIN};

		ck_assert_int_eq(poll(&waiting, 1, 5000), 1);
		busy += fr_watcher_step(world.watcher);
	}
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_uint_lt(busy, 100);
}
END_TEST

/* ---- permissions and limits ---- */

/* Runs the check as a user who is not root. Its exit status says how many expectations failed. */
static void run_unprivileged(int (*check)(void))
{
	int status;
	pid_t child;

	if (geteuid() == 0)
		ck_assert_int_eq(chmod(world.top, 0755), 0);
	child = fork();
	if (child == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(99);
		fr_watcher_own(world.watcher);
		_exit(check());
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

static int arm_beside_an_unreadable_folder(void)
{
	if (fr_watcher_arm(world.watcher) != -EACCES)
		return 1;
	if (world.troubles != 1 || world.last_trouble != -EACCES)
		return 2;
	return fr_watcher_files(world.watcher) == 1 ? 0 : 3;
}

START_TEST(test_unreadable_folder_is_named_once_and_the_rest_is_watched)
{
	fr_disk_mkdir(in_root("locked"));
	fr_disk_mkdir(in_root("open"));
	fr_disk_write(in_root("locked/a.py"), "one");
	fr_disk_write(in_root("open/b.py"), "one");
	ck_assert_int_eq(chmod(in_root("locked"), 0), 0);
	run_unprivileged(arm_beside_an_unreadable_folder);
	ck_assert_int_eq(chmod(in_root("locked"), 0755), 0);
}
END_TEST

static int arm_and_wait_for_permission(void)
{
	const char *path = in_root("locked/a.py");

	if (fr_watcher_arm(world.watcher) != -EACCES)
		return 1;
	if (chmod(in_root("locked"), 0755) < 0)
		return 2;
	while (fr_watcher_step(world.watcher))
		continue;
	return fr_watcher_verify(world.watcher, path, true, true) == FR_CHANGE_ADDED ? 0 : 3;
}

/* Bug: a folder that could not be read at the start was never looked at again. */
START_TEST(test_folder_that_becomes_readable_is_entered)
{
	fr_disk_mkdir(in_root("locked"));
	fr_disk_write(in_root("locked/a.py"), "one");
	ck_assert_int_eq(chmod(in_root("locked"), 0), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(in_root("locked"), 65534, 65534), 0);
	run_unprivileged(arm_and_wait_for_permission);
}
END_TEST

START_TEST(test_no_descriptor_left_is_explained)
{
	struct rlimit before, none;
	struct fr_watcher *watcher = NULL;
	const struct fr_watcher_hooks hooks = {0};
	struct fr_source_ops other_ops = fr_inotify_ops;
	char text[512];
	int error;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	error = fr_watcher_add_root(world.watcher, world.outside, &other_ops);
	ck_assert_int_eq(fr_watcher_new(world.rules, &hooks, NULL, &watcher), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(error, -EMFILE);
	ck_assert_ptr_null(watcher);
	fr_watcher_explain(NULL, &fr_inotify_ops, error, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "fs.inotify.max_user_instances"));
}
END_TEST

START_TEST(test_limit_of_watches_is_explained_with_its_value)
{
	char text[512];

	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	fr_watcher_explain(world.watcher, &fr_inotify_ops, -ENOSPC, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "fs.inotify.max_user_watches is "));
	ck_assert_ptr_nonnull(strstr(text, "1 are needed"));
	ck_assert_ptr_null(strstr(text, "-1"));
}
END_TEST

START_TEST(test_path_beyond_the_system_s_limit_is_trouble_and_not_cut)
{
	char name[201] = "";
	int at = open(world.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), deeper;

	memset(name, 'd', sizeof(name) - 1);
	for (int i = 0; i < 22; i++) {
		ck_assert_int_eq(mkdirat(at, name, 0777), 0);
		deeper = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(deeper, 0);
		close(at);
		at = deeper;
	}
	close(at);
	ck_assert_int_eq(fr_world_arm(&world, false), -ENAMETOOLONG);
	ck_assert_uint_eq(world.troubles, 1);
	/* Too deep for nftw(3) to remove by its path, too: take it apart from within. */
	for (int i = 0; i < 22; i++) {
		ck_assert_int_eq(rename(fr_disk_at(in_root(name), name), in_root("next")),
				 i < 21 ? 0 : -1);
		ck_assert_int_eq(rmdir(in_root(name)), 0);
		if (i < 21)
			ck_assert_int_eq(rename(in_root("next"), in_root(name)), 0);
	}
}
END_TEST

/* ---- large and deep ---- */

START_TEST(test_deep_tree_is_watched_to_its_end)
{
	char path[PATH_MAX];
	size_t used = (size_t)snprintf(path, sizeof(path), "%s", world.root);

	while (used < PATH_MAX - 16)
		used += (size_t)snprintf(path + used, sizeof(path) - used, "/deeper");
	fr_disk_mkdir(path);
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	snprintf(path + used, sizeof(path) - used, "/x.py");
	fr_disk_write(path, "one");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_ADDED);
	ck_assert_int_eq(fr_disk_remove(in_root("deeper")), 0);
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_REMOVED);
	ck_assert_uint_eq(fr_watcher_folders(world.watcher), 1);
}
END_TEST

/* Bug: each folder of a removed tree was walked once more for each of those above it: a minute for
 * two thousand levels. */
START_TEST(test_files_of_a_removed_deep_tree_are_not_noted_for_each_level)
{
	char path[PATH_MAX];
	size_t used = (size_t)snprintf(path, sizeof(path), "%s", world.root);

	for (int i = 0; i < 400; i++) {
		used += (size_t)snprintf(path + used, sizeof(path) - used, "/d");
		fr_disk_mkdir(path);
		fr_disk_write(fr_disk_at(path, "x.py"), "");
	}
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_int_eq(fr_disk_remove(in_root("d")), 0);
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 400);
	ck_assert_uint_le(world.notes, 4 * 400);
}
END_TEST

static void make_files(const char *folder, int len)
{
	char name[32];

	for (int i = 0; i < len; i++) {
		snprintf(name, sizeof(name), "f%d.py", i);
		fr_disk_write(fr_disk_at(folder, name), "");
	}
}

START_TEST(test_folder_with_many_files_is_counted_and_then_gone)
{
	char folder[PATH_MAX + 8];

	snprintf(folder, sizeof(folder), "%s/many", world.root);
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	fr_disk_mkdir(folder);
	make_files(folder, 5000);
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 5000);
	ck_assert_uint_eq(fr_watcher_files(world.watcher), 5000);
	ck_assert_int_eq(fr_disk_remove(folder), 0);
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 5000);
	ck_assert_uint_eq(fr_watcher_files(world.watcher), 0);
	ck_assert_uint_eq(fr_watcher_folders(world.watcher), 1);
}
END_TEST

/* Their names are not all known before the first is looked at. */
START_TEST(test_folder_of_very_many_names_is_judged_as_any_other)
{
	const char *const names[] = {"env", "plain", "ignored", "build"};

	for (size_t i = 0; i < 4; i++) {
		char folder[PATH_MAX + 8];

		snprintf(folder, sizeof(folder), "%s/%s", world.root, names[i]);
		fr_disk_mkdir(folder);
		make_files(folder, 3000);
	}
	fr_disk_write(in_root("env/pyvenv.cfg"), "");
	fr_disk_write(in_root("ignored/.gitignore"), "*\n!a.py\n");
	fr_disk_write(in_root("ignored/a.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_uint_eq(fr_watcher_folders(world.watcher), 3);
	ck_assert_uint_eq(fr_watcher_files(world.watcher), 3001);
	fr_disk_write(in_root("env/f0.py"), "two");
	fr_disk_write(in_root("ignored/f0.py"), "two");
	fr_disk_write(in_root("build/f0.py"), "two");
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
	fr_disk_write(in_root("ignored/a.py"), "two");
	fr_disk_write(in_root("plain/b.py"), "two");
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 2);
}
END_TEST

START_TEST(test_one_step_lists_a_bounded_number_of_entries)
{
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	make_files(world.root, 2500);
	fr_world_look(&world);
	fr_watcher_rescan(world.watcher);
	ck_assert(fr_watcher_step(world.watcher));
	ck_assert(!fr_watcher_step(world.watcher));
}
END_TEST

/* Bug: a folder that appeared while the one above it was being listed was taken for missing at the
 * end of that listing. */
START_TEST(test_folder_that_comes_while_the_one_above_is_listed_is_kept)
{
	char name[32];

	make_files(world.root, 3000);
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_watcher_rescan(world.watcher);
	ck_assert(fr_watcher_step(world.watcher));
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "sub%d", i);
		fr_disk_mkdir(in_root(name));
	}
	fr_world_look(&world);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "sub%d/x.py", i);
		fr_disk_write(in_root(name), "one");
	}
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 20);
}
END_TEST

/* ---- what is known of contents ---- */

START_TEST(test_storm_without_hashes_believes_times)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/a.py", world.root);
	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	/* As long as it is fresh its times prove nothing; the test ends by its time limit if that
	 * never ends. */
	while (fr_watcher_verify(world.watcher, path, true, false) != FR_CHANGE_NONE)
		usleep(1000);
	ck_assert_int_eq(fr_watcher_verify(world.watcher, path, true, true), FR_CHANGE_NONE);
	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_watcher_verify(world.watcher, path, true, false), FR_CHANGE_MODIFIED);
	(void)fr_watcher_verify(world.watcher, path, true,
				true); /* from here on the content is known again */
	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_watcher_verify(world.watcher, path, true, true), FR_CHANGE_NONE);
	fr_disk_write(path, "two");
	ck_assert_int_eq(fr_watcher_verify(world.watcher, path, true, true), FR_CHANGE_MODIFIED);
}
END_TEST

START_TEST(test_file_outside_of_all_roots_is_no_change)
{
	fr_disk_write(fr_disk_at(world.outside, "a.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_int_eq(
		fr_watcher_verify(world.watcher, fr_disk_at(world.outside, "a.py"), true, true),
		FR_CHANGE_NONE);
	ck_assert_int_eq(fr_watcher_verify(world.watcher, "/", true, true), FR_CHANGE_NONE);
	ck_assert_int_eq(fr_watcher_verify(world.watcher, world.root, true, true), FR_CHANGE_NONE);
}
END_TEST

START_TEST(test_path_is_shown_below_its_root)
{
	ck_assert_str_eq(fr_watcher_relative(world.watcher, in_root("a/b.py")), "a/b.py");
	ck_assert_str_eq(fr_watcher_relative(world.watcher, "/elsewhere/b.py"), "/elsewhere/b.py");
}
END_TEST

START_TEST(test_root_that_was_added_twice_is_one)
{
	ck_assert_int_eq(fr_watcher_add_root(world.watcher, world.root, world.ops), 0);
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_uint_eq(fr_watcher_folders(world.watcher), 1);
}
END_TEST

/* ---- a fake source: what no kernel does on demand ---- */

static struct fr_node *reported_folder;
static enum fr_hint reported_hint;
static bool is_full, is_deaf;
static int failure;

static int fake_open(struct fr_source **ret_source)
{
	*ret_source = NULL;
	return 0;
}

static int fake_add(struct fr_source *source, struct fr_node *folder, const char *path)
{
	if (is_full)
		return -ENOSPC;
	reported_folder = folder;
	folder->watch = 1;
	return 0;
}

static void fake_remove(struct fr_source *source, struct fr_node *folder)
{
	folder->watch = -1;
}

static int fake_fd(const struct fr_source *source)
{
	return -1;
}

static int fake_step(struct fr_source *source, fr_source_report *report, void *ctx)
{
	if (failure) {
		int error = failure;

		failure = 0;
		return error;
	}
	if (reported_folder && !is_deaf)
		report(ctx, reported_folder, "x.py", reported_hint);
	reported_folder = NULL;
	return 0;
}

static void fake_own(struct fr_source *source)
{
}

static void fake_close(struct fr_source *source)
{
}

static void fake_explain(int error, unsigned long wanted, char *text, unsigned long text_size)
{
	snprintf(text, text_size, "%d of %lu", error, wanted);
}

static const struct fr_source_ops fake_ops = {
	.name = "fake",
	.open = fake_open,
	.add = fake_add,
	.remove = fake_remove,
	.fd = fake_fd,
	.step = fake_step,
	.own = fake_own,
	.close = fake_close,
	.explain = fake_explain,
};

/* One that looks at the disk itself: what it says of one file. */
static struct fr_stamp told_stamp;
static int told_error;
static const char *told_path;
static char looked_at[PATH_MAX];

static void teller_look(struct fr_source *source, const char *path)
{
	snprintf(looked_at, sizeof(looked_at), "%s", path);
}

static int teller_stamp(struct fr_source *source, const char *path, struct fr_stamp *ret_stamp)
{
	if (!told_error)
		*ret_stamp = told_stamp;
	return told_error;
}

static int teller_step(struct fr_source *source, fr_source_report *report, void *ctx)
{
	if (told_path)
		report(ctx, NULL, told_path, FR_HINT_WRITTEN);
	told_path = NULL;
	return 0;
}

static void setup_fake(void)
{
	is_full = is_deaf = false;
	failure = 0;
	reported_folder = NULL;
	fr_world_init(&world, &fake_ops);
}

START_TEST(test_hint_about_a_file_is_noted_and_verified)
{
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	fr_disk_write(in_root("x.py"), "one");
	reported_hint = FR_HINT_MOVED_HERE;
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("x.py")), FR_CHANGE_ADDED);
}
END_TEST

START_TEST(test_full_source_is_trouble_for_each_folder_and_all_is_counted)
{
	is_full = true;
	fr_disk_mkdir(in_root("a/b"));
	fr_disk_write(in_root("a/b/x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), -ENOSPC);
	ck_assert_uint_eq(world.troubles, 3);
	ck_assert_uint_eq(fr_watcher_files(world.watcher), 1);
	is_full = false;
	fr_watcher_rescan(world.watcher);
	fr_world_look(&world);
	ck_assert_uint_eq(world.troubles, 3);
	ck_assert_uint_eq(world.changes_len, 0);
}
END_TEST

/* ---- what the application has loaded ---- */

static struct fr_writes writes;
static struct fr_loaded *loaded;

static void load(const char *path)
{
	if (!loaded)
		ck_assert_int_eq(fr_loaded_new(&writes, &loaded), 0);
	fr_ignores_use_loaded(fr_ignorefiles_ignores(world.files), loaded);
	ck_assert_int_eq(fr_loaded_add(loaded, path), 1);
}

/* As in_root, in memory of its own: free(3) it. */
static char *new_path(const char *name)
{
	char *path = strdup(in_root(name));

	ck_assert_ptr_nonnull(path);
	return path;
}

static void forget_loaded(void)
{
	fr_loaded_free(loaded);
	loaded = NULL;
}

START_TEST(test_ignored_file_that_was_loaded_is_followed_from_how_it_looked_then)
{
	struct fr_stamp stamp;
	char *path = new_path("local.py");

	fr_disk_write(in_root(".gitignore"), "local.py\n");
	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(path, "two");
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
	ck_assert_int_eq(fr_content_stamp(-1, path, true, &stamp), 0);
	load(path);
	ck_assert(fr_watcher_learn(world.watcher, path, &stamp));
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
	ck_assert(!fr_watcher_learn(world.watcher, path, &stamp)); /* it is known */
	fr_disk_write(path, "three");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_MODIFIED);
	fr_disk_remove(path);
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_REMOVED);
	fr_disk_write(path, "four");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_ADDED);
	fr_watcher_rescan(world.watcher);
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
	ck_assert_ptr_nonnull(fr_tree_file(fr_watcher_tree(world.watcher), path));
	forget_loaded();
	free(path);
}
END_TEST

START_TEST(test_file_that_was_edited_since_it_was_loaded_is_a_change_at_once)
{
	struct fr_stamp stamp;
	char *path = new_path("local.py");

	fr_disk_write(in_root(".gitignore"), "local.py\n");
	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_content_stamp(-1, path, false, &stamp), 0);
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(path, "other");
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
	load(path);
	ck_assert(fr_watcher_learn(world.watcher, path, &stamp));
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_MODIFIED);
	forget_loaded();
	free(path);
}
END_TEST

START_TEST(test_loaded_file_that_the_application_writes_is_forgotten)
{
	char *path = new_path("state.yaml");

	fr_disk_write(in_root(".gitignore"), "state.yaml\n");
	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	load(path);
	ck_assert(fr_watcher_learn(world.watcher, path, NULL));
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
	fr_writes_note(&writes, path);
	fr_disk_write(path, "two");
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
	/* Or whoever compares the tree with the disk would think that an event was lost. */
	ck_assert_ptr_null(fr_tree_file(fr_watcher_tree(world.watcher), path));
	forget_loaded();
	free(path);
}
END_TEST

START_TEST(test_loaded_file_in_a_folder_that_is_not_entered_is_not_learned)
{
	fr_disk_write(in_root(".gitignore"), "gen/\n");
	fr_disk_mkdir(in_root("gen"));
	fr_disk_write(in_root("gen/a.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	load(in_root("gen/a.py"));
	ck_assert(!fr_watcher_learn(world.watcher, in_root("gen/a.py"), NULL));
	ck_assert(!fr_watcher_learn(world.watcher, "/nowhere/a.py", NULL));
	forget_loaded();
}
END_TEST

/* ---- a path that somebody names ---- */

static void look(const char *path)
{
	ck_assert(fr_watcher_look(world.watcher, path));
	fr_world_look(&world);
}

START_TEST(test_named_file_is_looked_at)
{
	is_deaf = true;
	fr_disk_mkdir(in_root("a"));
	fr_disk_write(in_root("a/x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(in_root("a/x.py"), "two");
	fr_disk_write(in_root("a/y.py"), "new");
	look(in_root("a/y.py"));
	ck_assert_uint_eq(world.changes_len, 1);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/y.py")), FR_CHANGE_ADDED);
	look(in_root("a/x.py"));
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);
	look(in_root("a/x.py"));
	ck_assert_uint_eq(world.changes_len, 0);
	fr_disk_remove(in_root("a/x.py"));
	look(in_root("a/x.py"));
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_REMOVED);
}
END_TEST

START_TEST(test_named_file_that_is_as_it_was_is_not_read)
{
	size_t before;
	int tries = 0;

	is_deaf = true;
	fr_disk_write(in_root("x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	look(in_root("none.py"));
	ck_assert_uint_eq(world.notes, 0);
	/* Just after it was written, an equal stamp proves nothing. */
	do {
		before = world.notes;
		look(in_root("x.py"));
		ck_assert_uint_eq(world.changes_len, 0);
		usleep(1000);
	} while (world.notes != before && ++tries < 5000);
	ck_assert_uint_eq(world.notes, before);
	fr_disk_write(in_root("x.py"), "two");
	look(in_root("x.py"));
	ck_assert_int_eq(fr_world_change_of(&world, in_root("x.py")), FR_CHANGE_MODIFIED);
}
END_TEST

START_TEST(test_named_file_that_is_empty_may_be_half_written)
{
	is_deaf = true;
	fr_disk_write(in_root("x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(in_root("x.py"), "");
	ck_assert(fr_watcher_look(world.watcher, in_root("x.py")));
	ck_assert_uint_eq(world.notes, 1); /* being written */
	fr_disk_write(in_root("x.py"), "two");
	ck_assert(fr_watcher_look(world.watcher, in_root("x.py")));
	ck_assert_uint_eq(world.notes, 3); /* and written */
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 1);
}
END_TEST

START_TEST(test_named_folder_is_compared_with_all_below_it)
{
	is_deaf = true;
	fr_disk_mkdir(in_root("a/b"));
	fr_disk_write(in_root("a/b/x.py"), "one");
	fr_disk_write(in_root("y.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(in_root("a/b/x.py"), "two");
	fr_disk_write(in_root("y.py"), "two");
	look(in_root("a"));
	ck_assert_uint_eq(world.changes_len, 1);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/b/x.py")), FR_CHANGE_MODIFIED);
	fr_disk_remove(in_root("a"));
	look(world.root);
	ck_assert_uint_eq(world.changes_len, 2);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/b/x.py")), FR_CHANGE_REMOVED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("y.py")), FR_CHANGE_MODIFIED);
}
END_TEST

START_TEST(test_named_path_in_folders_that_nobody_knows_yet_finds_them)
{
	is_deaf = true;
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_mkdir(in_root("a/b"));
	fr_disk_mkdir(in_root(".hg"));
	fr_disk_write(in_root("a/b/x.py"), "one");
	fr_disk_write(in_root(".hg/x.py"), "one");
	look(in_root(".hg/x.py"));
	ck_assert_uint_eq(world.changes_len, 0);
	look(in_root("a/b/x.py"));
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/b/x.py")), FR_CHANGE_ADDED);
	fr_disk_remove(in_root("a"));
	fr_disk_write(in_root("a"), "a file now");
	look(in_root("a/b/x.py"));
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/b/x.py")), FR_CHANGE_REMOVED);
}
END_TEST

START_TEST(test_path_elsewhere_or_not_plain_is_not_looked_at)
{
	static const char *const bad[] = {"",         "x.py",   "/",          "/elsewhere/x.py",
					  "%s//x.py", "%s/./x", "%s/../x.py", "%s/a/..",
					  "%s/"};
	char path[PATH_MAX];

	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		bool has_root = strncmp(bad[i], "%s", 2) == 0;

		snprintf(path, sizeof(path), "%s%s", has_root ? world.root : "",
			 bad[i] + (has_root ? 2 : 0));
		ck_assert_msg(!fr_watcher_look(world.watcher, path), "%s", path);
	}
	memset(path, 'n', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	ck_assert(!fr_watcher_look(world.watcher, path));
	memcpy(path, world.root, strlen(world.root));
	path[strlen(world.root)] = '/';
	look(path);
	ck_assert_uint_eq(world.changes_len, 0);
}
END_TEST

START_TEST(test_two_kinds_of_sources_watch_side_by_side)
{
	ck_assert_int_eq(fr_watcher_add_root(world.watcher, world.outside, &fr_inotify_ops), 0);
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.root), &fake_ops);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), &fr_inotify_ops);
	ck_assert_ptr_null(fr_watcher_ops_of(world.watcher, "/elsewhere"));
	reported_folder = NULL;
	fr_disk_write(in_root("unseen.py"), "one");
	fr_disk_write(fr_disk_at(world.outside, "x.py"), "one");
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 1);
	ck_assert_int_eq(fr_world_change_of(&world, fr_disk_at(world.outside, "x.py")),
			 FR_CHANGE_ADDED);
}
END_TEST

START_TEST(test_root_that_moves_to_another_source_is_compared)
{
	fr_disk_mkdir(in_root("a"));
	fr_disk_write(in_root("a/x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	reported_folder = NULL;
	fr_disk_write(in_root("a/x.py"), "unseen");
	failure = -ENOTCONN;
	fr_world_look(&world);
	ck_assert_int_eq(world.failure, -ENOTCONN);
	ck_assert_uint_eq(world.changes_len, 0);
	ck_assert_int_eq(fr_watcher_move_root(world.watcher, "/elsewhere", &fr_inotify_ops),
			 -ENOENT);
	ck_assert_int_eq(fr_watcher_move_root(world.watcher, world.root, &fr_inotify_ops), 0);
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);
	fr_disk_write(in_root("a/x.py"), "seen");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);
}
END_TEST

START_TEST(test_source_that_looks_itself_is_believed_and_the_disk_is_not_touched)
{
	static struct fr_source_ops teller; /* outlives the watcher */

	const char *path = fr_disk_at(world.outside, "new/er/x.py");

	teller = fake_ops;
	teller.look = teller_look;
	teller.stamp = teller_stamp;
	teller.step = teller_step;
	fr_disk_write(fr_disk_at(world.outside, "known.py"), "one");
	ck_assert_int_eq(fr_watcher_add_root(world.watcher, world.outside, &teller), 0);
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	reported_folder = NULL;
	ck_assert(fr_watcher_look(world.watcher, path));
	ck_assert_str_eq(looked_at, path);

	told_error = 0;
	told_stamp =
		(struct fr_stamp){.ino = 1, .size = 7, .mtime_ns = 8, .hash = 9, .has_hash = true};
	told_path = path;
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_ADDED);
	told_error = -EAGAIN;
	told_path = path;
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 0);
	told_error = -ENOENT;
	told_path = path;
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_REMOVED);
	fr_watcher_rescan(world.watcher);
	ck_assert_str_eq(looked_at, world.outside);
}
END_TEST

/* Bug: the folder was gone after the first of two hints about the file. */
START_TEST(test_look_at_what_makes_a_virtual_environment_leaves_its_folder)
{
	fr_disk_mkdir(in_root("v"));
	fr_disk_write(in_root("v/x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	fr_disk_remove(in_root("v/x.py"));
	(void)fr_watcher_look(world.watcher, in_root("v/x.py"));
	fr_world_look(&world);
	fr_disk_write(in_root("v/pyvenv.cfg"), "");
	ck_assert(fr_watcher_look(world.watcher, in_root("v/pyvenv.cfg")));
	fr_world_look(&world);
	ck_assert_uint_eq(fr_watcher_folders(world.watcher), 1);
}
END_TEST

/* Bug: the file was not said to be gone. */
START_TEST(test_look_at_a_folder_that_took_the_place_of_a_file)
{
	fr_disk_write(in_root("a.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, false), 0);
	fr_disk_remove(in_root("a.py"));
	fr_disk_mkdir(in_root("a.py"));
	fr_disk_write(in_root("a.py/b.py"), "one");
	ck_assert(fr_watcher_look(world.watcher, in_root("a.py")));
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a.py")), FR_CHANGE_REMOVED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a.py/b.py")), FR_CHANGE_ADDED);
}
END_TEST

/* ---- what the next image needs ---- */

static const char *restored;

static size_t fake_save(const struct fr_source *source, char *text, size_t text_size)
{
	return (size_t)snprintf(text, text_size, "where I stand");
}

static void fake_restore(struct fr_source *source, const char *text, size_t text_len)
{
	restored = text;
	ck_assert_int_eq(strncmp(text, "where I stand\n", text_len + 1), 0);
}

START_TEST(test_what_a_source_saves_is_given_to_the_one_of_its_kind)
{
	static struct fr_source_ops other; /* outlives the watcher */
	char text[FR_WATCHER_SAVED_SIZE], mine[FR_WATCHER_SAVED_SIZE + 32];

	other = fake_ops;
	fr_watcher_save(world.watcher, text);
	ck_assert_str_eq(text, "");
	other.name = "other";
	other.save = fake_save;
	other.restore = fake_restore;
	ck_assert_int_eq(fr_watcher_add_root(world.watcher, world.outside, &other), 0);
	ck_assert_ptr_null(restored);
	fr_watcher_save(world.watcher, text);
	ck_assert_str_eq(text, "other where I stand\n");

	snprintf(mine, sizeof(mine), "another x\n\nfake y\n%s", text);
	fr_world_clear(&world);
	fr_world_init(&world, &fake_ops);
	fr_watcher_restore(world.watcher, mine);
	ck_assert_int_eq(fr_watcher_add_root(world.watcher, world.outside, &other), 0);
	ck_assert_ptr_nonnull(restored);
}
END_TEST

/* ---- out of memory ---- */

/* One life of a watcher in which allocation number n fails. Returns whether one has failed. */
static bool live_with_failure(unsigned n)
{
	const char *path = in_root("a/b/x.py"), *late = in_root("late.py");
	bool has_failed;

	world.last_trouble = 0;
	fr_allocator_fail_once(n);
	if (fr_watcher_add_root(world.watcher, world.outside, world.ops) == 0)
		(void)fr_watcher_arm(world.watcher);
	while (fr_watcher_step(world.watcher))
		continue;
	(void)fr_watcher_verify(world.watcher, path, true, true);
	has_failed = fr_allocator_has_failed();
	fr_allocator_fail_once(0);

	/* Memory has come back: so does all that was missed. */
	fr_watcher_rescan(world.watcher);
	fr_world_look(&world);
	fr_disk_write(late, "one");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, late), FR_CHANGE_ADDED);
	fr_disk_write(path, "two");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_MODIFIED);
	return has_failed;
}

START_TEST(test_any_allocation_fails_and_a_rescan_makes_it_good)
{
	bool has_failed = true;

	for (unsigned n = 1; has_failed; n++) {
		fr_disk_mkdir(in_root("a/b"));
		fr_disk_write(in_root("a/b/x.py"), "one");
		fr_disk_write(in_root("y.py"), "one");
		has_failed = live_with_failure(n);
		ck_assert(has_failed || n > 5);
		fr_world_clear(&world);
		fr_world_init(&world, &fr_inotify_ops);
	}
}
END_TEST

START_TEST(test_watcher_new_fails_at_any_allocation_and_leaves_nothing)
{
	const struct fr_watcher_hooks hooks = {0};
	struct fr_watcher *watcher = NULL;
	size_t before = open_descriptors();
	int error = -ENOMEM;

	for (unsigned n = 1; error; n++) {
		fr_allocator_fail_once(n);
		error = fr_watcher_new(world.rules, &hooks, NULL, &watcher);
		fr_allocator_fail_once(0);
		ck_assert(error == 0 || error == -ENOMEM);
		ck_assert((watcher != NULL) == (error == 0));
	}
	fr_watcher_free(watcher);
	fr_watcher_free(NULL);
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

static void add_scripts(Suite *suite)
{
	if (glob(FR_TESTS_DIR "/scenarios/*.txt", 0, NULL, &scripts) != 0)
		abort();
	script_names = calloc(scripts.gl_pathc, sizeof(*script_names));
	for (size_t i = 0; script_names && i < scripts.gl_pathc; i++) {
		const char *file = strrchr(scripts.gl_pathv[i], '/') + 1;
		TCase *tcase = tcase_create(script_names[i]);

		snprintf(script_names[i], sizeof(script_names[i]), "%.*s", (int)strcspn(file, "."),
			 file);
		tcase_set_timeout(tcase, 20);
		tcase_add_unchecked_fixture(tcase, fr_watchman_daemon_start, NULL);
		tcase_add_loop_test(tcase, test_scenario, (int)(i * BACKENDS),
				    (int)((i + 1) * BACKENDS));
		suite_add_tcase(suite, tcase);
	}
}

Suite *fr_check_watcher_suite(void)
{
	Suite *suite = suite_create("watcher");
	TCase *inotify = tcase_create("inotify");
	TCase *fake = tcase_create("fake source");

	add_scripts(suite);
	tcase_set_timeout(inotify, 60);
	tcase_add_checked_fixture(inotify, setup, teardown);
	tcase_add_test(inotify, test_child_frees_its_copy_and_parent_still_watches);
	tcase_add_test(inotify, test_child_steps_and_takes_no_event);
	tcase_add_test(inotify, test_child_that_becomes_the_owner_reads);
	tcase_add_test(inotify, test_descriptor_closes_at_exec);
	tcase_add_test(inotify, test_descriptors_are_all_given_back);
	tcase_add_test(inotify, test_writer_without_a_pause_does_not_look_like_more_to_do);
	tcase_add_test(inotify, test_unreadable_folder_is_named_once_and_the_rest_is_watched);
	tcase_add_test(inotify, test_folder_that_becomes_readable_is_entered);
	tcase_add_test(inotify, test_no_descriptor_left_is_explained);
	tcase_add_test(inotify, test_limit_of_watches_is_explained_with_its_value);
	tcase_add_test(inotify, test_path_beyond_the_system_s_limit_is_trouble_and_not_cut);
	tcase_add_test(inotify, test_deep_tree_is_watched_to_its_end);
	tcase_add_test(inotify, test_files_of_a_removed_deep_tree_are_not_noted_for_each_level);
	tcase_add_test(inotify, test_folder_with_many_files_is_counted_and_then_gone);
	tcase_add_test(inotify, test_folder_of_very_many_names_is_judged_as_any_other);
	tcase_add_test(inotify, test_one_step_lists_a_bounded_number_of_entries);
	tcase_add_test(inotify, test_folder_that_comes_while_the_one_above_is_listed_is_kept);
	tcase_add_test(inotify, test_storm_without_hashes_believes_times);
	tcase_add_test(inotify, test_file_outside_of_all_roots_is_no_change);
	tcase_add_test(inotify, test_path_is_shown_below_its_root);
	tcase_add_test(inotify, test_root_that_was_added_twice_is_one);
	tcase_add_test(inotify,
		       test_ignored_file_that_was_loaded_is_followed_from_how_it_looked_then);
	tcase_add_test(inotify, test_file_that_was_edited_since_it_was_loaded_is_a_change_at_once);
	tcase_add_test(inotify, test_loaded_file_that_the_application_writes_is_forgotten);
	tcase_add_test(inotify, test_loaded_file_in_a_folder_that_is_not_entered_is_not_learned);
	tcase_add_test(inotify, test_any_allocation_fails_and_a_rescan_makes_it_good);
	tcase_add_test(inotify, test_watcher_new_fails_at_any_allocation_and_leaves_nothing);
	suite_add_tcase(suite, inotify);

	tcase_add_checked_fixture(fake, setup_fake, teardown);
	tcase_add_test(fake, test_hint_about_a_file_is_noted_and_verified);
	tcase_add_test(fake, test_full_source_is_trouble_for_each_folder_and_all_is_counted);
	tcase_add_test(fake, test_look_at_what_makes_a_virtual_environment_leaves_its_folder);
	tcase_add_test(fake, test_look_at_a_folder_that_took_the_place_of_a_file);
	tcase_add_test(fake, test_what_a_source_saves_is_given_to_the_one_of_its_kind);
	tcase_add_test(fake, test_named_file_is_looked_at);
	tcase_add_test(fake, test_named_file_that_is_as_it_was_is_not_read);
	tcase_add_test(fake, test_named_file_that_is_empty_may_be_half_written);
	tcase_add_test(fake, test_named_folder_is_compared_with_all_below_it);
	tcase_add_test(fake, test_named_path_in_folders_that_nobody_knows_yet_finds_them);
	tcase_add_test(fake, test_path_elsewhere_or_not_plain_is_not_looked_at);
	tcase_add_test(fake, test_two_kinds_of_sources_watch_side_by_side);
	tcase_add_test(fake, test_root_that_moves_to_another_source_is_compared);
	tcase_add_test(fake, test_source_that_looks_itself_is_believed_and_the_disk_is_not_touched);
	suite_add_tcase(suite, fake);
	return suite;
}
