/*
 * Which files a process has read, and whether they still look the same.
 */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "watch/content.h"
#include "watch/tree.h"
#include "watch/uses.h"

static char *folder, *elsewhere;
static struct fr_uses *uses;
static int misuses; /* of the hooks; no assertion there, because they run without memory, too */

/* Only `folder` is watched. */
static bool is_watched(void *ctx, const char *path)
{
	size_t len = strlen(folder);

	misuses += ctx != &folder;
	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool is_noise(void *ctx, const char *path)
{
	size_t len = strlen(path);

	misuses += ctx != &folder || path[0] != '/';
	return len > 4 && strcmp(path + len - 4, ".swp") == 0;
}

static const struct fr_uses_hooks hooks = {.is_watched = is_watched, .is_noise = is_noise};

static void setup(void)
{
	folder = fr_disk_new();
	elsewhere = fr_disk_new();
	ck_assert_int_eq(fr_uses_new(&hooks, &folder, &uses), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(misuses, 0);
	fr_uses_free(uses);
	fr_disk_free(folder);
	fr_disk_free(elsewhere);
	uses = NULL;
	folder = elsewhere = NULL;
}

static const char *at(const char *name)
{
	return fr_disk_at(folder, name);
}

static void write_old(const char *path, const char *text)
{
	fr_disk_write(path, text);
	fr_disk_set_time(path, 1000000000);
}

static void assert_current(void)
{
	const char *changed = NULL;

	ck_assert_msg(fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, &changed), "%s has changed",
		      changed ? changed : "something");
}

static void assert_changed(const char *path)
{
	const char *changed = NULL;

	ck_assert(!fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, &changed));
	ck_assert_ptr_nonnull(changed);
	ck_assert_str_eq(changed, path);
	ck_assert(!fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, NULL));
}

START_TEST(test_nothing_used_is_current)
{
	assert_current();
	ck_assert_uint_eq(fr_uses_len(uses), 0);
	ck_assert(!fr_uses_has(uses, at("a.py")));
}
END_TEST

START_TEST(test_only_the_part_that_is_asked_for_is_looked_at)
{
	const char *changed = NULL;

	write_old(at("a.py"), "one");
	write_old(fr_disk_at(elsewhere, "b.py"), "one");
	fr_uses_note(uses, fr_disk_at(elsewhere, "b.py"));
	fr_uses_note(uses, at("a.py"));
	write_old(fr_disk_at(elsewhere, "b.py"), "another");
	ck_assert(fr_uses_are_current(uses, FR_USES_WATCHED, SIZE_MAX, &changed));
	ck_assert(!fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, &changed));
	ck_assert_str_eq(changed, fr_disk_at(elsewhere, "b.py"));
	write_old(at("a.py"), "another");
	ck_assert(!fr_uses_are_current(uses, FR_USES_WATCHED, SIZE_MAX, &changed));
	ck_assert_str_eq(changed, at("a.py"));
	ck_assert(!fr_uses_are_current(uses, FR_USES_WATCHED, 2, NULL));
	ck_assert(fr_uses_are_current(uses, FR_USES_WATCHED, 1, NULL));
	ck_assert(!fr_uses_are_current(uses, FR_USES_ALL, 1, NULL));
	ck_assert(fr_uses_are_current(uses, FR_USES_ALL, 0, NULL));
}
END_TEST

START_TEST(test_file_that_was_used_is_known_by_its_path_once)
{
	fr_disk_write(at("a.py"), "one");
	fr_uses_note(uses, at("a.py"));
	fr_uses_note(uses, at("a.py"));
	ck_assert_uint_eq(fr_uses_len(uses), 1);
	ck_assert(fr_uses_has(uses, at("a.py")));
	ck_assert(!fr_uses_has(uses, at("a.pyx")));
	ck_assert(!fr_uses_has(uses, ""));
	assert_current();
}
END_TEST

START_TEST(test_path_is_resolved)
{
	char before[PATH_MAX];

	fr_disk_mkdir(at("sub"));
	fr_disk_write(at("a.py"), "one");
	ck_assert_int_eq(symlink("a.py", at("link.py")), 0);
	ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
	ck_assert_int_eq(chdir(at("sub")), 0);
	fr_uses_note(uses, "../a.py");
	fr_uses_note(uses, "./.././sub/../link.py");
	ck_assert_int_eq(chdir(before), 0);
	ck_assert(fr_uses_has(uses, at("a.py")));
	ck_assert_uint_ge(fr_uses_len(uses), 1);
}
END_TEST

static void turn(const char *link, const char *target)
{
	ck_assert_int_eq(symlink(target, at("new")), 0);
	ck_assert_int_eq(rename(at("new"), link), 0);
}

/* A file in the folder has been read, so that another one there is only looked at itself. */
START_TEST(test_links_in_a_folder_that_is_known_are_followed)
{
	char dots[PATH_MAX];

	fr_disk_mkdir(at("sub"));
	fr_disk_write(at("a.py"), "one");
	fr_disk_write(at("sub/b.py"), "two");
	ck_assert_int_eq(symlink("sub/b.py", at("link.py")), 0);
	fr_uses_note(uses, at("a.py"));
	fr_uses_note(uses, at("link.py"));
	ck_assert(fr_uses_has(uses, at("sub/b.py")));
	ck_assert_uint_eq(fr_uses_len(uses), 3); /* and the link */
	snprintf(dots, sizeof(dots), "%s", at("sub/.."));
	fr_uses_note(uses, dots);
	ck_assert(!fr_uses_has(uses, dots));
	assert_current();
	turn(at("link.py"), "a.py");
	ck_assert(!fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, NULL));
}
END_TEST

START_TEST(test_a_known_folder_that_becomes_a_link_is_a_change)
{
	char gone[PATH_MAX];

	fr_disk_mkdir(at("sub"));
	fr_disk_mkdir(at("other"));
	fr_disk_write(at("sub/a.py"), "one");
	fr_disk_write(at("sub/b.py"), "two");
	fr_disk_write(at("other/b.py"), "two");
	fr_uses_note(uses, at("sub/a.py"));
	fr_uses_note(uses, at("sub/b.py"));
	assert_current();
	snprintf(gone, sizeof(gone), "%s", at("gone"));
	ck_assert_int_eq(rename(at("sub"), gone), 0);
	ck_assert_int_eq(symlink("other", at("sub")), 0);
	ck_assert(!fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, NULL));
}
END_TEST

static const char *any(const char *const *words, size_t len)
{
	return words[(size_t)rand() % len];
}

/* Folders, files and links among each other, as chance will have it. */
static void make_maze(const char *root)
{
	static const char *const names[] = {"a", "b", "link", "text", "last"};
	static const char *const targets[] = {"a",    "../b", ".",       "a/b/../link", "text",
					      "link", "none", "a//text", "b/",          "../.."};

	for (int i = 0; i < 24; i++) {
		char path[PATH_MAX], target[PATH_MAX];
		int kind = i < 3 ? 0 : rand() % 5;

		snprintf(path, sizeof(path), "%s/%s%s%s", root, rand() % 2 ? "a/" : "",
			 rand() % 2 ? "b/" : "", any(names, 5));
		snprintf(target, sizeof(target), "%s%s%s", rand() % 4 ? "" : root,
			 rand() % 4 ? "" : "/", any(targets, 10));
		if (kind == 0)
			(void)!mkdir(path, 0700);
		else if (kind == 1)
			(void)!mknod(path, S_IFREG | 0600, 0);
		else
			(void)!symlink(target, path);
	}
}

START_TEST(test_paths_lead_where_the_kernel_says)
{
	static const char *const names[] = {"a", "b", "link", "text", ".", "..", "", "last", "no"};
	char path[PATH_MAX], full[PATH_MAX];

	srand(1);
	for (int round = 0; round < 60; round++) {
		char *root = fr_disk_new();

		fr_uses_free(uses);
		ck_assert_int_eq(fr_uses_new(&hooks, &folder, &uses), 0);
		make_maze(root);
		for (int i = 0; i < 60; i++) {
			size_t len = (size_t)snprintf(path, sizeof(path), "%s", root);

			for (int steps = rand() % 5; steps >= 0; steps--)
				len += (size_t)snprintf(path + len, sizeof(path) - len, "/%s",
							any(names, 9));
			fr_uses_note(uses, path);
			if (!realpath(path, full))
				strcpy(full, path);
			ck_assert_msg(fr_uses_has_read(uses, full), "%s leads to %s", path, full);
		}
		fr_disk_free(root);
	}
}
END_TEST

/* It is not to be known whether it still is none. */
START_TEST(test_a_known_folder_that_is_a_link_by_now_is_followed_by_who_has_waited)
{
	char gone[PATH_MAX];

	fr_disk_mkdir(at("sub"));
	fr_disk_write(at("sub/a.py"), "one");
	fr_disk_write(at("sub/b.py"), "two");
	fr_uses_note(uses, at("sub/a.py"));
	snprintf(gone, sizeof(gone), "%s", at("gone"));
	ck_assert_int_eq(rename(at("sub"), gone), 0);
	ck_assert_int_eq(symlink("gone", at("sub")), 0);
	assert_current(); /* it is the same file */
	fr_uses_look_anew(uses);
	fr_uses_note(uses, at("sub/b.py"));
	ck_assert(fr_uses_has(uses, at("gone/b.py")));
	ck_assert_uint_eq(fr_uses_len(uses), 3); /* and the link */
}
END_TEST

/* Of a file, of a folder on the way, of what another link leads to. */
START_TEST(test_link_that_is_turned_is_a_change)
{
	static const char *const links[] = {"file", "folder", "last"};
	char path[PATH_MAX];

	fr_disk_mkdir(at("a"));
	fr_disk_mkdir(at("b"));
	fr_disk_write(at("a/text"), "one");
	fr_disk_write(at("b/text"), "one");
	for (int i = 0; i < 3; i++) {
		fr_uses_free(uses);
		ck_assert_int_eq(fr_uses_new(&hooks, &folder, &uses), 0);
		turn(at("folder"), "a");
		turn(at("file"), "./folder/text");
		ck_assert_int_lt(snprintf(path, sizeof(path), "%s/folder/../file", folder),
				 (int)sizeof(path));
		turn(at("last"), path);
		fr_uses_note(uses, at("last"));
		ck_assert(fr_uses_has(uses, at("a/text")));
		assert_current();
		turn(at(links[i]), i == 1 ? "b" : "b/text");
		ck_assert(!fr_uses_are_current(uses, FR_USES_WATCHED, SIZE_MAX, NULL));
		ck_assert_int_eq(unlink(at(links[i])), 0);
	}
}
END_TEST

START_TEST(test_links_in_a_circle_lead_nowhere_until_it_is_broken)
{
	ck_assert_int_eq(symlink("two", at("one")), 0);
	ck_assert_int_eq(symlink("one", at("two")), 0);
	fr_uses_note(uses, at("one/text"));
	assert_current();
	ck_assert_int_eq(unlink(at("two")), 0);
	fr_disk_mkdir(at("two"));
	fr_disk_write(at("two/text"), "one");
	assert_changed(at("one/text"));
}
END_TEST

START_TEST(test_link_that_leads_nowhere_is_a_link)
{
	ck_assert_int_eq(symlink("gone", at("link")), 0);
	fr_uses_note_question(uses, at("link"), false);
	assert_current();
	turn(at("link"), "also gone");
	ck_assert(!fr_uses_are_current(uses, FR_USES_WATCHED, SIZE_MAX, NULL));
}
END_TEST

START_TEST(test_other_content_size_time_or_file_is_a_change)
{
	fr_disk_write(at("a.py"), "one");
	fr_uses_note(uses, at("a.py"));
	fr_disk_write(at("a.py"), "three");
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_same_size_and_time_but_another_file_is_a_change)
{
	write_old(at("a.py"), "one");
	fr_uses_note(uses, at("a.py"));
	write_old(at("b.py"), "two");
	ck_assert_int_eq(rename(at("b.py"), at("a.py")), 0);
	assert_changed(at("a.py"));
}
END_TEST

/* The time can be set back, the kernel's own (ctime) can not. */
START_TEST(test_time_that_was_set_back_does_not_hide_a_change)
{
	write_old(at("a.py"), "one");
	fr_uses_note(uses, at("a.py"));
	usleep(20000); /* more than a tick of the file system's clock */
	write_old(at("a.py"), "two");
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_file_that_is_gone_or_has_come_back_is_a_change)
{
	fr_disk_write(at("a.py"), "one");
	fr_uses_note(uses, at("a.py"));
	ck_assert_int_eq(rename(at("a.py"), at("b.py")), 0);
	assert_changed(at("a.py"));
	fr_disk_write(at("a.py"), "one");
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_file_that_became_a_folder_is_a_change)
{
	fr_disk_write(at("a"), "one");
	fr_uses_note(uses, at("a"));
	ck_assert_int_eq(unlink(at("a")), 0);
	fr_disk_mkdir(at("a"));
	assert_changed(at("a"));
}
END_TEST

START_TEST(test_first_use_counts)
{
	fr_disk_write(at("a.py"), "one");
	fr_uses_note(uses, at("a.py"));
	fr_disk_write(at("a.py"), "three");
	fr_uses_note(uses, at("a.py"));
	assert_changed(at("a.py"));
}
END_TEST

/* That is where people edit, so it is looked at first. */
START_TEST(test_latest_change_is_named)
{
	fr_disk_write(at("a.py"), "one");
	fr_disk_write(at("b.py"), "one");
	fr_uses_note(uses, at("a.py"));
	fr_uses_note(uses, at("b.py"));
	fr_disk_write(at("a.py"), "three");
	fr_disk_write(at("b.py"), "three");
	assert_changed(at("b.py"));
}
END_TEST

START_TEST(test_what_is_no_file_is_nothing)
{
	ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
	fr_uses_note(uses, at("fifo"));
	fr_uses_note(uses, "/dev/null");
	ck_assert_uint_eq(fr_uses_len(uses), 0);
	assert_current();
}
END_TEST

START_TEST(test_what_was_not_there_is_noted_as_that)
{
	fr_uses_note(uses, at("later.yaml"));
	ck_assert_uint_eq(fr_uses_len(uses), 1);
	assert_current();
	fr_disk_write(at("later.yaml"), "one");
	assert_changed(at("later.yaml"));
}
END_TEST

/* Python looks for the cache first, and it may not be there: the source is what is read then. */
START_TEST(test_missing_cache_stands_for_its_source)
{
	fr_disk_mkdir(at("__pycache__"));
	fr_disk_write(at("views.py"), "one");
	fr_uses_note(uses, at("__pycache__/views.cpython-311.pyc"));
	ck_assert(fr_uses_has(uses, at("views.py")));
	assert_current();
	fr_disk_write(at("views.py"), "three");
	assert_changed(at("views.py"));
}
END_TEST

START_TEST(test_what_cannot_be_known_spoils_all)
{
	assert_current();
	fr_uses_spoil(uses);
	ck_assert(!fr_uses_is_complete(uses));
	ck_assert(!fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, NULL));
}
END_TEST

START_TEST(test_path_that_is_too_long_is_nothing)
{
	static char path[PATH_MAX * 2];

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	fr_uses_note(uses, path);
	ck_assert(!fr_uses_has(uses, path));
	ck_assert_uint_eq(fr_uses_len(uses), 0);
}
END_TEST

/* ---- questions ---- */

START_TEST(test_question_of_type_counts_no_content)
{
	fr_disk_write(at("a.py"), "one");
	fr_disk_mkdir(at("pkg"));
	fr_uses_note_question(uses, at("a.py"), true);
	fr_uses_note_question(uses, at("pkg"), false);
	ck_assert(!fr_uses_has(uses, at("a.py")));
	fr_disk_write(at("a.py"), "three");
	fr_disk_write(at("pkg/a.py"), "one");
	assert_current();
	ck_assert_int_eq(unlink(at("a.py")), 0);
	assert_changed(at("a.py"));
	fr_disk_mkdir(at("a.py"));
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_question_for_what_is_not_there_is_answered_otherwise_later)
{
	fr_uses_note_question(uses, at("flag"), true);
	assert_current();
	fr_disk_write(at("flag"), "");
	assert_changed(at("flag"));
}
END_TEST

/* islink(), realpath(). */
START_TEST(test_link_in_the_place_of_what_was_asked_for_is_a_change)
{
	fr_disk_write(at("a.py"), "one");
	fr_disk_write(at("b.py"), "one");
	fr_disk_mkdir(at("pkg"));
	fr_disk_mkdir(at("other"));
	fr_uses_note_question(uses, at("a.py"), true);
	assert_current();
	turn(at("a.py"), "b.py");
	assert_changed(at("a.py"));
	ck_assert_int_eq(rename(at("b.py"), at("a.py")), 0);
	fr_uses_note_question(uses, at("pkg"), true);
	assert_current();
	ck_assert_int_eq(rmdir(at("pkg")), 0);
	turn(at("pkg"), "other");
	assert_changed(at("pkg"));
}
END_TEST

START_TEST(test_question_for_what_cannot_be_reached_is_answered_otherwise_later)
{
	fr_disk_write(at("flag"), "");
	fr_uses_note_question(uses, at("flag/inner"), true);
	assert_current();
	ck_assert_int_eq(unlink(at("flag")), 0);
	fr_disk_mkdir(at("flag"));
	fr_disk_write(at("flag/inner"), "");
	assert_changed(at("flag/inner"));
}
END_TEST

START_TEST(test_question_for_size_and_time_counts_both)
{
	fr_disk_write(at("a.py"), "one");
	fr_uses_note_question(uses, at("a.py"), false);
	assert_current();
	fr_disk_write(at("a.py"), "three");
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_what_is_read_after_the_question_counts_in_full)
{
	fr_disk_write(at("a.py"), "one");
	fr_disk_mkdir(at("pkg"));
	fr_uses_note_question(uses, at("a.py"), true);
	fr_uses_note_question(uses, at("pkg"), true);
	fr_uses_note(uses, at("a.py"));
	fr_uses_note(uses, at("pkg"));
	fr_uses_note_question(uses, at("a.py"), true);
	ck_assert_uint_eq(fr_uses_len(uses), 2);
	ck_assert(fr_uses_has(uses, at("a.py")));
	assert_current();
	fr_disk_write(at("pkg/a.py"), "one");
	assert_changed(at("pkg"));
	ck_assert_int_eq(unlink(at("pkg/a.py")), 0);
	assert_current();
	fr_disk_write(at("a.py"), "three");
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_open_file_is_to_remain_the_same_and_may_grow)
{
	fr_disk_write(at("log"), "one");
	fr_uses_note_question(uses, at("log"), true);
	fr_uses_note_open(uses, at("log"));
	ck_assert_uint_eq(fr_uses_len(uses), 1);
	ck_assert(!fr_uses_has(uses, at("log")));
	fr_disk_write(at("log"), "three");
	assert_current();
	ck_assert_int_eq(rename(at("log"), at("log.1")), 0);
	assert_changed(at("log"));
	fr_disk_write(at("log"), "one");
	assert_changed(at("log"));
	ck_assert_int_eq(rename(at("log.1"), at("log")), 0);
	assert_current();
	fr_uses_note(uses, at("log"));
	fr_uses_note_open(uses, at("log"));
	fr_disk_write(at("log"), "three and more");
	assert_changed(at("log"));
}
END_TEST

/* ---- cached bytecode ---- */

static void set_aside(const char *name)
{
	write_old(at(name), "one");
	fr_uses_note(uses, at(name));
	ck_assert(fr_uses_set_aside(uses, at(name)));
	ck_assert_str_eq(fr_uses_aside(uses), at(name));
}

START_TEST(test_what_is_aside_does_not_count)
{
	set_aside("a.py");
	fr_disk_write(at("a.py"), "other");
	assert_current();
	ck_assert(!fr_uses_has(uses, at("a.py")));
	write_old(at("b.py"), "one");
	fr_uses_note(uses, at("b.py"));
	ck_assert(!fr_uses_set_aside(uses, at("b.py"))); /* one at a time */
	fr_disk_write(at("b.py"), "other");
	assert_changed(at("b.py"));
}
END_TEST

START_TEST(test_what_is_taken_back_counts_as_it_was_or_anew)
{
	set_aside("a.py");
	fr_disk_write(at("a.py"), "other");
	fr_uses_take_back(uses, true);
	ck_assert_ptr_null(fr_uses_aside(uses));
	assert_current();
	ck_assert(fr_uses_has(uses, at("a.py")));
	ck_assert(fr_uses_set_aside(uses, at("a.py")));
	fr_disk_write(at("a.py"), "another one");
	fr_uses_take_back(uses, false);
	assert_changed(at("a.py"));
	fr_uses_take_back(uses, true); /* nothing is aside */
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_what_is_gone_when_it_is_taken_back_has_to_come_back)
{
	set_aside("a.py");
	ck_assert_int_eq(unlink(at("a.py")), 0);
	fr_uses_take_back(uses, true);
	assert_current();
	fr_disk_write(at("a.py"), "one");
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_another_reader_of_what_is_aside_means_all_of_it)
{
	set_aside("a.py");
	fr_uses_note_question(uses, at("a.py"), true); /* only whether it is there */
	ck_assert_ptr_nonnull(fr_uses_aside(uses));
	fr_uses_note(uses, at("a.py"));
	ck_assert_ptr_null(fr_uses_aside(uses));
	ck_assert(fr_uses_set_aside(uses, at("a.py")));
	fr_uses_note_question(uses, at("a.py"), false);
	ck_assert_ptr_null(fr_uses_aside(uses));
	fr_disk_write(at("a.py"), "other");
	assert_changed(at("a.py"));
}
END_TEST

START_TEST(test_only_what_was_read_can_be_set_aside)
{
	ck_assert(!fr_uses_set_aside(uses, at("missing.py")));
	write_old(at("a.py"), "one");
	ck_assert(!fr_uses_set_aside(uses, at("a.py")));
	fr_uses_note_question(uses, at("a.py"), false);
	ck_assert(!fr_uses_set_aside(uses, at("a.py")));
	fr_uses_note(uses, at("a.py"));
	ck_assert_int_eq(symlink("a.py", at("link.py")), 0);
	ck_assert(fr_uses_set_aside(uses, at("link.py")));
	ck_assert_str_eq(fr_uses_aside(uses), at("a.py"));
}
END_TEST

START_TEST(test_cache_counts_as_its_source)
{
	fr_disk_mkdir(at("__pycache__"));
	fr_disk_write(at("views.py"), "one");
	fr_disk_write(at("__pycache__/views.cpython-311.opt-1.pyc"), "compiled");
	fr_uses_note(uses, at("__pycache__/views.cpython-311.opt-1.pyc"));
	ck_assert(fr_uses_has(uses, at("views.py")));
	ck_assert(!fr_uses_has(uses, at("__pycache__/views.cpython-311.opt-1.pyc")));
	ck_assert_int_eq(unlink(at("__pycache__/views.cpython-311.opt-1.pyc")), 0);
	assert_current();
	fr_disk_write(at("views.py"), "three");
	assert_changed(at("views.py"));
}
END_TEST

START_TEST(test_cache_without_source_is_a_file_of_its_own)
{
	fr_disk_mkdir(at("__pycache__"));
	fr_disk_write(at("__pycache__/views.cpython-311.pyc"), "compiled");
	fr_disk_write(at("__pycache__/views.txt"), "no cache");
	fr_disk_write(at("__pycache__/.pyc"), "no name");
	fr_disk_write(at("__pycache__/nodot"), "no dot");
	fr_uses_note(uses, at("__pycache__/views.cpython-311.pyc"));
	fr_uses_note(uses, at("__pycache__/views.txt"));
	fr_uses_note(uses, at("__pycache__/.pyc"));
	fr_uses_note(uses, at("__pycache__/nodot"));
	ck_assert_uint_eq(fr_uses_len(uses), 4);
	fr_disk_write(at("__pycache__/views.cpython-311.pyc"), "compiled again");
	assert_changed(at("__pycache__/views.cpython-311.pyc"));
}
END_TEST

START_TEST(test_folder_called_like_the_cache_further_up_is_no_cache)
{
	fr_disk_mkdir(at("__pycache__/inner/__pycache__"));
	fr_disk_write(at("__pycache__/inner/a.py"), "one");
	fr_disk_write(at("__pycache__/inner/__pycache__/a.cpython-311.pyc"), "compiled");
	fr_uses_note(uses, at("__pycache__/inner/__pycache__/a.cpython-311.pyc"));
	fr_disk_write(at("__pycache__/inner/a.py"), "three");
	ck_assert_msg(!fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, NULL),
		      "the first __pycache__ of the path was taken for the cache, not the last");
}
END_TEST

/* ---- folders ---- */

START_TEST(test_watched_folder_is_compared_by_its_names)
{
	fr_disk_mkdir(at("pkg"));
	fr_disk_write(at("pkg/a.py"), "one");
	fr_uses_note(uses, at("pkg"));
	fr_disk_write(at("pkg/a.py"), "three");
	fr_disk_set_time(at("pkg"), 1000000000);
	assert_current();
	fr_disk_write(at("pkg/b.txt"), "data");
	assert_changed(at("pkg"));
	ck_assert_int_eq(unlink(at("pkg/b.txt")), 0);
	assert_current();
	ck_assert_int_eq(rename(at("pkg/a.py"), at("pkg/c.py")), 0);
	assert_changed(at("pkg"));
}
END_TEST

START_TEST(test_watched_folder_is_compared_by_what_is_in_it)
{
	fr_disk_mkdir(at("pkg"));
	fr_disk_write(at("pkg/a"), "one");
	fr_uses_note(uses, at("pkg"));
	assert_current();
	ck_assert_int_eq(unlink(at("pkg/a")), 0);
	fr_disk_mkdir(at("pkg/a"));
	assert_changed(at("pkg"));
}
END_TEST

START_TEST(test_noise_and_caches_in_a_folder_come_and_go)
{
	fr_disk_mkdir(at("pkg"));
	fr_disk_write(at("pkg/a.py"), "one");
	fr_uses_note(uses, at("pkg"));
	fr_disk_write(at("pkg/.a.py.swp"), "vim");
	fr_disk_mkdir(at("pkg/__pycache__"));
	assert_current();
	fr_disk_mkdir(at("pkg/sub"));
	assert_changed(at("pkg"));
}
END_TEST

/* An excluded one, or a folder of logs: who lists that means what is there. */
START_TEST(test_in_a_folder_of_noise_each_name_counts)
{
	fr_disk_mkdir(at("pkg"));
	fr_disk_write(at("pkg/a.swp"), "one");
	fr_uses_note(uses, at("pkg"));
	fr_disk_write(at("pkg/a.swp"), "three");
	assert_current();
	fr_disk_write(at("pkg/b.swp"), "one");
	assert_changed(at("pkg"));
}
END_TEST

START_TEST(test_order_of_the_names_does_not_matter)
{
	static const char *const names[] = {"pkg/a", "pkg/b", "pkg/c", "pkg/d"};

	fr_disk_mkdir(at("pkg"));
	for (int i = 0; i < 4; i++)
		fr_disk_write(at(names[i]), "");
	fr_uses_note(uses, at("pkg"));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(unlink(at(names[i])), 0);
	for (int i = 3; i >= 0; i--)
		fr_disk_write(at(names[i]), "");
	assert_current();
}
END_TEST

/* The sum of the names' numbers must not be what another set of names has, too: many small sets. */
START_TEST(test_other_names_are_seen_whichever_they_are)
{
	fr_disk_mkdir(at("pkg"));
	fr_disk_write(at("pkg/ab"), "");
	fr_disk_write(at("pkg/cd"), "");
	fr_uses_note(uses, at("pkg"));
	for (char a = 'a'; a <= 'z'; a++) {
		char from[16], to[16];

		snprintf(from, sizeof(from), "pkg/%c%c", a == 'a' ? 'a' : a - 1,
			 a == 'a' ? 'b' : 'x');
		snprintf(to, sizeof(to), "pkg/%cx", a);
		ck_assert_int_eq(rename(at(from), at(to)), 0);
		assert_changed(at("pkg"));
	}
}
END_TEST

START_TEST(test_folder_that_is_gone_or_a_file_now_is_a_change)
{
	fr_disk_mkdir(at("pkg"));
	fr_uses_note(uses, at("pkg"));
	ck_assert_int_eq(rmdir(at("pkg")), 0);
	assert_changed(at("pkg"));
	fr_disk_write(at("pkg"), "");
	assert_changed(at("pkg"));
}
END_TEST

START_TEST(test_folder_elsewhere_is_compared_by_its_times)
{
	fr_disk_mkdir(fr_disk_at(elsewhere, "site"));
	fr_uses_note(uses, fr_disk_at(elsewhere, "site"));
	assert_current();
	fr_disk_write(fr_disk_at(elsewhere, "site/.a.swp"), "even noise");
	ck_assert(!fr_uses_are_current(uses, FR_USES_ALL, SIZE_MAX, NULL));
}
END_TEST

/* ---- many, and no memory ---- */

START_TEST(test_thousands_are_found_again)
{
	char name[32];

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "m%d.py", i);
		fr_disk_write(at(name), "");
		fr_uses_note(uses, at(name));
		ck_assert_uint_eq(fr_uses_len(uses), (size_t)i + 1);
	}
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "m%d.py", i);
		ck_assert(fr_uses_has(uses, at(name)));
	}
	ck_assert(!fr_uses_has(uses, at("m3000.py")));
	assert_current();
	fr_disk_write(at("m1500.py"), "changed");
	assert_changed(at("m1500.py"));
}
END_TEST

/* What could not be noted may have changed: never true then, and never a crash. */
START_TEST(test_without_memory_nothing_is_current)
{
	char file[PATH_MAX], package[PATH_MAX];

	snprintf(file, sizeof(file), "%s", at("a.py"));
	snprintf(package, sizeof(package), "%s", at("pkg"));
	fr_disk_write(file, "one");
	fr_disk_mkdir(package);
	for (unsigned nth = 1; nth < 16; nth++) {
		struct fr_uses *poor = NULL;
		int error;
		bool has_failed, is_current;

		fr_allocator_fail_once(nth);
		error = fr_uses_new(&hooks, &folder, &poor);
		if (!error) {
			fr_uses_note(poor, file);
			fr_uses_note(poor, package);
		}
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_from(0);
		if (error) {
			ck_assert_int_eq(error, -ENOMEM);
			ck_assert_ptr_null(poor);
			continue;
		}
		is_current = fr_uses_are_current(poor, FR_USES_ALL, SIZE_MAX, NULL);
		ck_assert_msg(is_current == (fr_uses_len(poor) == 2),
			      "allocation %u of them failed: %d, %zu of 2 noted, current: %d", nth,
			      has_failed, fr_uses_len(poor), is_current);
		fr_uses_note(poor, file);
		fr_uses_note(poor, package);
		ck_assert(fr_uses_has(poor, file) && fr_uses_has(poor, package));
		ck_assert(fr_uses_are_current(poor, FR_USES_ALL, SIZE_MAX, NULL) == is_current);
		fr_uses_free(poor);
	}
}
END_TEST

START_TEST(test_freeing_nothing_is_fine)
{
	fr_uses_free(NULL);
}
END_TEST

/* What is told of each file that was read, one after the other. */
static char told[4096];

static void tell(void *ctx, const char *path, const struct fr_stamp *stamp)
{
	struct fr_stamp now;
	bool is_same = stamp && fr_content_stamp(-1, path, false, &now) == 0 &&
		       fr_content_same_stamp(stamp, &now);

	ck_assert_ptr_eq(ctx, &folder);
	ck_assert(!stamp || !stamp->has_hash);
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s %s\n", path + strlen(folder),
		 is_same ? "same"
		 : stamp ? "other"
			 : "link");
}

START_TEST(test_what_was_read_in_a_watched_folder_is_told_with_its_look)
{
	fr_disk_mkdir(at("sub"));
	write_old(at("read.py"), "one");
	write_old(at("edited.py"), "one");
	write_old(at("asked.py"), "one");
	write_old(at("both.py"), "one");
	write_old(fr_disk_at(elsewhere, "far.py"), "one");
	ck_assert_int_eq(symlink("read.py", at("link.py")), 0);
	fr_uses_note(uses, at("read.py"));
	fr_uses_note(uses, at("edited.py"));
	fr_uses_note_question(uses, at("asked.py"), false);
	fr_uses_note_question(uses, at("both.py"), false);
	fr_uses_note(uses, at("both.py"));
	fr_uses_note(uses, at("link.py"));
	fr_uses_note(uses, at("missing.py"));
	fr_uses_note(uses, at("sub"));
	fr_uses_note(uses, fr_disk_at(elsewhere, "far.py"));
	write_old(at("edited.py"), "another");
	told[0] = '\0';
	fr_uses_each_read(uses, tell, &folder);
	ck_assert_str_eq(told, "/read.py same\n/edited.py other\n/both.py same\n/link.py link\n");
	ck_assert(fr_uses_has_read(uses, at("both.py")));
	ck_assert(!fr_uses_has_read(uses, at("asked.py")));
	ck_assert(!fr_uses_has_read(uses, at("none.py")));
}
END_TEST

Suite *fr_check_uses_suite(void)
{
	Suite *suite = suite_create("uses");
	TCase *tcase = tcase_create("uses");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_nothing_used_is_current);
	tcase_add_test(tcase, test_only_the_part_that_is_asked_for_is_looked_at);
	tcase_add_test(tcase, test_file_that_was_used_is_known_by_its_path_once);
	tcase_add_test(tcase, test_links_in_a_folder_that_is_known_are_followed);
	tcase_add_test(tcase, test_a_known_folder_that_becomes_a_link_is_a_change);
	tcase_add_test(tcase, test_path_is_resolved);
	tcase_add_test(tcase, test_paths_lead_where_the_kernel_says);
	tcase_add_test(tcase,
		       test_a_known_folder_that_is_a_link_by_now_is_followed_by_who_has_waited);
	tcase_add_test(tcase, test_link_that_is_turned_is_a_change);
	tcase_add_test(tcase, test_links_in_a_circle_lead_nowhere_until_it_is_broken);
	tcase_add_test(tcase, test_link_that_leads_nowhere_is_a_link);
	tcase_add_test(tcase, test_question_of_type_counts_no_content);
	tcase_add_test(tcase, test_link_in_the_place_of_what_was_asked_for_is_a_change);
	tcase_add_test(tcase, test_question_for_what_cannot_be_reached_is_answered_otherwise_later);
	tcase_add_test(tcase, test_question_for_what_is_not_there_is_answered_otherwise_later);
	tcase_add_test(tcase, test_question_for_size_and_time_counts_both);
	tcase_add_test(tcase, test_what_is_read_after_the_question_counts_in_full);
	tcase_add_test(tcase, test_open_file_is_to_remain_the_same_and_may_grow);
	tcase_add_test(tcase, test_other_content_size_time_or_file_is_a_change);
	tcase_add_test(tcase, test_same_size_and_time_but_another_file_is_a_change);
	tcase_add_test(tcase, test_time_that_was_set_back_does_not_hide_a_change);
	tcase_add_test(tcase, test_file_that_is_gone_or_has_come_back_is_a_change);
	tcase_add_test(tcase, test_file_that_became_a_folder_is_a_change);
	tcase_add_test(tcase, test_first_use_counts);
	tcase_add_test(tcase, test_latest_change_is_named);
	tcase_add_test(tcase, test_what_is_no_file_is_nothing);
	tcase_add_test(tcase, test_missing_cache_stands_for_its_source);
	tcase_add_test(tcase, test_what_was_not_there_is_noted_as_that);
	tcase_add_test(tcase, test_what_cannot_be_known_spoils_all);
	tcase_add_test(tcase, test_path_that_is_too_long_is_nothing);
	tcase_add_test(tcase, test_cache_counts_as_its_source);
	tcase_add_test(tcase, test_cache_without_source_is_a_file_of_its_own);
	tcase_add_test(tcase, test_folder_called_like_the_cache_further_up_is_no_cache);
	tcase_add_test(tcase, test_watched_folder_is_compared_by_its_names);
	tcase_add_test(tcase, test_watched_folder_is_compared_by_what_is_in_it);
	tcase_add_test(tcase, test_noise_and_caches_in_a_folder_come_and_go);
	tcase_add_test(tcase, test_in_a_folder_of_noise_each_name_counts);
	tcase_add_test(tcase, test_order_of_the_names_does_not_matter);
	tcase_add_test(tcase, test_other_names_are_seen_whichever_they_are);
	tcase_add_test(tcase, test_folder_that_is_gone_or_a_file_now_is_a_change);
	tcase_add_test(tcase, test_what_is_aside_does_not_count);
	tcase_add_test(tcase, test_what_is_taken_back_counts_as_it_was_or_anew);
	tcase_add_test(tcase, test_what_is_gone_when_it_is_taken_back_has_to_come_back);
	tcase_add_test(tcase, test_another_reader_of_what_is_aside_means_all_of_it);
	tcase_add_test(tcase, test_only_what_was_read_can_be_set_aside);
	tcase_add_test(tcase, test_folder_elsewhere_is_compared_by_its_times);
	tcase_add_test(tcase, test_thousands_are_found_again);
	tcase_add_test(tcase, test_without_memory_nothing_is_current);
	tcase_add_test(tcase, test_freeing_nothing_is_fine);
	tcase_add_test(tcase, test_what_was_read_in_a_watched_folder_is_told_with_its_look);
	suite_add_tcase(suite, tcase);
	return suite;
}
