/*
 * Which source a folder gets, and what follows when that one fails, is full, or is deaf.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "disk.h"
#include "watch/audit.h"
#include "watch/backend.h"
#include "watch/source.h"
#include "world.h"

static struct fr_world world;
static struct fr_backends *backends;
static char said[1024];
static unsigned sayings;

static void take_saying(void *ctx, const char *path, const char *text, bool is_usual)
{
	sayings++;
	snprintf(said, sizeof(said), "%s", text);
}

static const struct fr_backend_hooks hooks = {.say = take_saying};

static void setup(void)
{
	fr_world_init(&world, &fr_inotify_ops);
	ck_assert_int_eq(fr_backends_new(world.watcher, &hooks, NULL, &backends), 0);
	sayings = 0;
}

static void teardown(void)
{
	fr_backends_free(backends);
	fr_world_clear(&world);
}

/* ---- names ---- */

START_TEST(test_names_of_backends_are_known)
{
	const struct fr_source_ops *ops = &fr_poll_ops;
	char error[256];

	ck_assert_int_eq(fr_backend_parse("auto", &ops, error, sizeof(error)), 0);
	ck_assert_ptr_null(ops);
	ck_assert_int_eq(fr_backend_parse("poll", &ops, error, sizeof(error)), 0);
	ck_assert_ptr_eq(ops, &fr_poll_ops);
	ck_assert_int_eq(fr_backend_parse("Poll", &ops, error, sizeof(error)), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "\"Poll\""));
	ck_assert_ptr_nonnull(
		strstr(error, "there are auto, push, watchman, inotify, fanotify and poll"));
	ck_assert_ptr_eq(ops, &fr_poll_ops);
}
END_TEST

START_TEST(test_only_the_end_of_a_folder_names_its_backend)
{
	static const struct {
		const char *value, *path;
		const struct fr_source_ops *ops;
	} cases[] = {
		{"/a,backend=poll", "/a", &fr_poll_ops},
		{"/a,b,backend=poll", "/a,b", &fr_poll_ops},
		{"/a,b", "/a,b", &fr_inotify_ops},
		{"/a,backend=auto", "/a", NULL},
		{"/a,backend=poll/", "/a,backend=poll/", &fr_inotify_ops},
		{"/a,backend=x/b,backend=poll", "/a,backend=x/b", &fr_poll_ops},
	};
	const struct fr_source_ops *ops;
	char value[64], error[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		snprintf(value, sizeof(value), "%s", cases[i].value);
		ck_assert_int_eq(
			fr_backend_parse_folder(value, &fr_inotify_ops, &ops, error, sizeof(error)),
			0);
		ck_assert_str_eq(value, cases[i].path);
		ck_assert_ptr_eq(ops, cases[i].ops);
	}
	snprintf(value, sizeof(value), "/a,backend=");
	ck_assert_int_eq(fr_backend_parse_folder(value, NULL, &ops, error, sizeof(error)), -EINVAL);
}
END_TEST

/* ---- folders ---- */

START_TEST(test_local_folder_gets_inotify_and_that_is_said)
{
	ck_assert_int_eq(fr_backends_add(backends, world.outside, NULL), 0);
	ck_assert_int_eq(fr_backends_add(backends, world.outside, NULL), 0);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), &fr_inotify_ops);
	ck_assert_uint_eq(sayings, 1);
	ck_assert_msg(strncmp(said, "is watched by inotify: it is on ", 32) == 0, "%s", said);
}
END_TEST

START_TEST(test_folder_gets_what_was_asked_for)
{
	ck_assert_int_eq(fr_backends_add(backends, world.outside, &fr_poll_ops), 0);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), &fr_poll_ops);
	ck_assert_str_eq(said, "is polled: as the configuration says");
}
END_TEST

/* What follows inotify: the one that needs privileges, or the last resort. */
static const struct fr_source_ops *next_ops(void)
{
	return fr_world_has(&fr_fanotify_ops) ? &fr_fanotify_ops : &fr_poll_ops;
}

START_TEST(test_folder_that_meets_a_limit_moves_on_to_the_last_resort)
{
	const struct fr_source_ops *next = next_ops();
	const char *below = fr_disk_at(world.outside, "a");

	ck_assert_int_eq(fr_backends_add(backends, world.outside, NULL), 0);
	ck_assert(!fr_backends_trouble(backends, below, -EACCES));
	ck_assert(!fr_backends_trouble(backends, world.root, -ENOSPC));
	ck_assert(fr_backends_trouble(backends, below, -ENOSPC));
	fr_backends_step(backends, 1000, true);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), next);
	ck_assert_ptr_nonnull(strstr(said, ": inotify has failed: the limit of watches"));
	ck_assert_ptr_nonnull(strstr(said, "sysctl fs.inotify.max_user_watches="));
	if (next != &fr_poll_ops) {
		ck_assert(fr_backends_trouble(backends, below, -ENOTSUP));
		fr_backends_step(backends, 1001, true);
		ck_assert_ptr_nonnull(strstr(said, "is polled: fanotify has failed: "));
	}
	ck_assert(!fr_backends_trouble(backends, below, -ENOSPC)); /* it is the last resort */
	fr_backends_step(backends, 100000000, true);               /* a limit is not tried again */
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), &fr_poll_ops);
}
END_TEST

START_TEST(test_source_that_fails_is_tried_again_later)
{
	const struct fr_source_ops *next = next_ops();

	ck_assert_int_eq(fr_backends_add(backends, world.outside, NULL), 0);
	fr_backends_failed(backends, &fr_inotify_ops, -ENOTCONN);
	fr_backends_step(backends, 1000, true);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), next);
	fr_backends_step(backends, 60999, true);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), next);
	fr_backends_step(backends, 61000, true);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), &fr_inotify_ops);
	fr_backends_failed(backends, &fr_inotify_ops, -ENOTCONN);
	fr_backends_step(backends, 62000, true);
	fr_backends_step(backends, 62000 + 119999, true);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), next);
	fr_backends_step(backends, 62000 + 120000, true);
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.outside), &fr_inotify_ops);
}
END_TEST

/* ---- the audit ---- */

/* Goes through an audit in which the watcher takes in nothing, unless with_events. Returns whether
 * anything was found to be unannounced. */
static const char *audit(bool with_events)
{
	struct fr_tree *tree = fr_watcher_tree(world.watcher);
	static char found[PATH_MAX];
	struct fr_audit *audit;
	const char *path;

	ck_assert_int_eq(fr_audit_start(tree, world.rules, NULL, 0, &audit), 0);
	while (fr_audit_fd(audit) >= 0) {
		(void)fr_audit_step(audit, tree, 1000);
		(void)poll(NULL, 0, 5);
	}
	if (with_events)
		fr_world_look(&world);
	while (!fr_audit_step(audit, tree, 10000) || fr_audit_pid(audit))
		(void)poll(NULL, 0, 5);
	path = fr_audit_take_unannounced(audit, tree);
	snprintf(found, sizeof(found), "%s", path ? path : "");
	fr_audit_free(audit);
	return found;
}

START_TEST(test_audit_finds_what_no_event_told)
{
	const char *path = fr_disk_at(world.root, "a.py");

	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_str_eq(audit(false), "");
	fr_disk_write(path, "two");
	ck_assert_str_eq(audit(false), path);
	ck_assert_str_eq(audit(true), ""); /* it was only late */
	fr_disk_remove(path);
	ck_assert_str_eq(audit(false), path);
	fr_world_look(&world);
	fr_disk_write(fr_disk_at(world.root, "new.py"), "one");
	ck_assert_str_eq(audit(false), fr_disk_at(world.root, "new.py"));
}
END_TEST

START_TEST(test_deaf_folder_is_polled_and_its_change_taken_in)
{
	const char *path = fr_disk_at(world.root, "a.py");
	int64_t now = 1000;

	fr_disk_write(path, "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	ck_assert_int_eq(fr_backends_add(backends, world.root, NULL), 0);
	fr_backends_step(backends, now, true);
	fr_disk_write(path, "two"); /* of which this watcher takes no event */
	for (int i = 0; i < 2000 && sayings < 2; i++) {
		fr_backends_step(backends, now += 20000, true);
		(void)poll(NULL, 0, 5);
	}
	ck_assert_ptr_nonnull(strstr(said, "is polled: inotify has not told of changes there"));
	ck_assert_ptr_eq(fr_watcher_ops_of(world.watcher, world.root), &fr_poll_ops);
	for (int i = 0; i < 2000 && fr_world_change_of(&world, path) == FR_CHANGE_NONE; i++) {
		fr_world_look(&world);
		(void)poll(NULL, 0, 5);
	}
	ck_assert_int_eq(fr_world_change_of(&world, path), FR_CHANGE_MODIFIED);
}
END_TEST

Suite *fr_check_backend_suite(void)
{
	Suite *suite = suite_create("backend");
	TCase *tcase = tcase_create("backend");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_names_of_backends_are_known);
	tcase_add_test(tcase, test_only_the_end_of_a_folder_names_its_backend);
	tcase_add_test(tcase, test_local_folder_gets_inotify_and_that_is_said);
	tcase_add_test(tcase, test_folder_gets_what_was_asked_for);
	tcase_add_test(tcase, test_folder_that_meets_a_limit_moves_on_to_the_last_resort);
	tcase_add_test(tcase, test_source_that_fails_is_tried_again_later);
	tcase_add_test(tcase, test_audit_finds_what_no_event_told);
	tcase_add_test(tcase, test_deaf_folder_is_polled_and_its_change_taken_in);
	suite_add_tcase(suite, tcase);
	return suite;
}
