/*
 * The source that Watchman feeds: a real daemon that dies and comes back, reads all again, and is
 * asked across an exec; and a false one, for what a real one does not do on demand. What can be
 * said as a script is in tests/scenarios.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "watch/source.h"
#include "watch/tree.h"
#include "watch/watchman_protocol.h"
#include "watchman_daemon.h"
#include "world.h"

#define DEADLINE_S 20

static struct fr_world world;

static void setup(void)
{
	if (fr_watchman_daemon_is_there())
		fr_world_init(&world, fr_watchman_daemon_ops());
}

/* With a daemon of its own, which may be stopped. */
static void setup_own(void)
{
	if (fr_watchman_daemon_is_there())
		fr_watchman_daemon_start_own();
	setup();
}

static void teardown(void)
{
	if (world.top)
		fr_world_clear(&world);
}

static void teardown_own(void)
{
	teardown();
	fr_watchman_daemon_end_own();
}

static const char *in_root(const char *name)
{
	return fr_disk_at(world.root, name);
}

/* Steps until the source's state is that, or fails. */
static void step_until_failure_is(int failure)
{
	time_t end = time(NULL) + DEADLINE_S;

	while (world.failure != failure) {
		struct pollfd waiting = {.fd = fr_watcher_fd(world.watcher), .events = POLLIN};

		ck_assert_msg(time(NULL) < end, "failure is %d and not %d", world.failure, failure);
		while (fr_watcher_step(world.watcher))
			continue;
		if (world.failure != failure)
			(void)poll(&waiting, 1, 1000);
	}
}

/* ---- the daemon goes, and comes back ---- */

START_TEST(test_nothing_is_lost_while_the_daemon_is_away)
{
	if (!world.top)
		return;
	fr_disk_mkdir(in_root("a"));
	fr_disk_write(in_root("a/x.py"), "one");
	fr_disk_write(in_root("gone.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_disk_write(in_root("a/x.py"), "two");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);

	fr_disk_write(in_root("a/early.py"), "one"); /* may be told of, or not */
	fr_watchman_daemon_stop();
	step_until_failure_is(-ENOTCONN);
	fr_disk_write(in_root("a/x.py"), "three");
	fr_disk_remove(in_root("gone.py"));
	fr_disk_mkdir(in_root("b/c"));
	fr_disk_write(in_root("b/c/new.py"), "one");
	fr_watchman_daemon_start();
	step_until_failure_is(0);
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/early.py")), FR_CHANGE_ADDED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("gone.py")), FR_CHANGE_REMOVED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("b/c/new.py")), FR_CHANGE_ADDED);

	fr_disk_write(in_root("b/c/new.py"), "two");
	fr_world_look(&world);
	ck_assert_uint_eq(world.changes_len, 1);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("b/c/new.py")), FR_CHANGE_MODIFIED);
}
END_TEST

START_TEST(test_root_is_moved_to_inotify_and_back_and_nothing_is_lost)
{
	if (!world.top)
		return;
	fr_disk_mkdir(in_root("a"));
	fr_disk_write(in_root("a/x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_world_look(&world);
	fr_watchman_daemon_stop();
	step_until_failure_is(-ENOTCONN);
	fr_disk_write(in_root("a/x.py"), "two");
	ck_assert_int_eq(fr_watcher_move_root(world.watcher, world.root, &fr_inotify_ops), 0);
	world.catch_up = NULL;
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);
	fr_disk_write(in_root("a/x.py"), "three");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);

	fr_watchman_daemon_start();
	step_until_failure_is(0);
	fr_disk_write(in_root("a/y.py"), "one");
	ck_assert_int_eq(fr_watcher_move_root(world.watcher, world.root, world.ops), 0);
	fr_disk_write(in_root("a/x.py"), "four");
	world.catch_up = fr_watchman_daemon_catch_up;
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_MODIFIED);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/y.py")), FR_CHANGE_ADDED);
	fr_disk_write(in_root("a/y.py"), "two");
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/y.py")), FR_CHANGE_MODIFIED);
}
END_TEST

START_TEST(test_recrawl_and_a_watch_that_somebody_deletes_lose_nothing)
{
	static const char *const words[] = {"debug-recrawl", "watch-del"};

	if (!world.top)
		return;
	fr_disk_write(in_root("x.py"), "one");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_world_look(&world);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		char text[2] = {(char)('a' + i), '\0'};

		fr_disk_mkdir(in_root(text));
		fr_watchman_daemon_say(words[i], world.root);
		fr_disk_write(in_root("x.py"), text);
		fr_disk_write(fr_disk_at(in_root(text), "new.py"), text);
		fr_world_look(&world);
		ck_assert_int_eq(fr_world_change_of(&world, in_root("x.py")), FR_CHANGE_MODIFIED);
		ck_assert_int_eq(fr_world_change_of(&world, fr_disk_at(in_root(text), "new.py")),
				 FR_CHANGE_ADDED);
	}
}
END_TEST

/* ---- across an exec ---- */

static unsigned looks_at_root;

static void count_looks(void *ctx, struct fr_node *folder, const char *name, enum fr_hint hint)
{
	unsigned *looks_at_file = ctx;

	if (hint == FR_HINT_LOOK && strcmp(name, world.root) == 0)
		looks_at_root++;
	else if (hint == FR_HINT_LOOK && strcmp(strrchr(name, '/'), "/between.py") == 0)
		(*looks_at_file)++;
}

START_TEST(test_next_image_is_told_of_what_happened_between)
{
	struct fr_node *node = NULL;
	struct fr_source *source;
	struct fr_tree *tree;
	char text[FR_WATCHER_SAVED_SIZE];
	time_t end = time(NULL) + DEADLINE_S;
	unsigned looks_at_file = 0;

	if (!world.top)
		return;
	fr_disk_mkdir(in_root("a"));
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	fr_world_look(&world);
	fr_watcher_save(world.watcher, text);
	ck_assert_int_eq(strncmp(text, "watchman {", 10), 0);
	ck_assert_ptr_nonnull(strstr(text, world.root));
	fr_disk_write(in_root("a/between.py"), "one");

	text[strlen(text) - 1] = '\0';
	ck_assert_int_eq(fr_watchman_ops.open(&source), 0);
	fr_watchman_ops.restore(source, "{\"/x\":7, \"y\":[\"c\",\"c\"]}", 25);
	fr_watchman_ops.restore(source, text + 9, strlen(text + 9));
	ck_assert_int_eq(fr_tree_new(&tree), 0);
	node = fr_tree_add_root(tree, world.root, FR_NODE_FOLDER);
	ck_assert_int_eq(fr_watchman_ops.add(source, node, world.root), 0);
	while (looks_at_file == 0) {
		struct pollfd waiting = {.fd = fr_watchman_ops.fd(source), .events = POLLIN};

		ck_assert(time(NULL) < end);
		while (fr_watchman_ops.step(source, count_looks, &looks_at_file) > 0)
			continue;
		if (looks_at_file == 0)
			(void)poll(&waiting, 1, 1000);
	}
	ck_assert_uint_eq(looks_at_root, 0); /* and the tree is not walked again for it */
	fr_watchman_ops.remove(source, node);
	fr_watchman_ops.close(source);
	fr_tree_free(tree);
}
END_TEST

/* ---- a false daemon ---- */

static char *false_folder;
static int false_socket, false_client = -1;

static void setup_false(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	false_folder = fr_disk_new();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", false_folder);
	setenv("WATCHMAN_SOCK", address.sun_path, 1);
	false_socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(false_socket, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(false_socket, 8), 0);
	fr_world_init(&world, &fr_watchman_ops);
	world.catch_up = NULL;
	false_client = accept(false_socket, NULL, NULL);
	ck_assert_int_ge(false_client, 0);
}

static void teardown_false(void)
{
	close(false_socket);
	close(false_client);
	fr_world_clear(&world);
	fr_disk_free(false_folder);
}

/* Says what a daemon says, in pieces of piece_len bytes, each of which is read before the next. */
static void say(const char *text, size_t piece_len)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t sent = send(false_client, text, left < piece_len ? left : piece_len,
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0)
			ck_assert_int_eq(errno, EAGAIN);
		text += sent > 0 ? sent : 0;
		left -= sent > 0 ? (size_t)sent : 0;
		while (fr_watcher_step(world.watcher))
			continue;
	}
}

/* Answers until the root is live. All answers wait in the socket: each is read only after its
 * question. */
static void answer_start(void)
{
	pid_t child = fork();

	if (child == 0) {
		static const char *const answers[] = {
			"{\"version\":\"9\",\"capabilities\":{\"term-pcre\":false}}\n",
			"{\"version\":\"9\",\"watch\":\"/w\",\"relative_path\":\"r\"}\n",
			"{\"version\":\"9\",\"clock\":\"c:1\",\"is_fresh_instance\":true}\n",
			"{\"version\":\"9\",\"clock\":\"c:1\",\"subscribe\":\"fastreload-1\"}\n",
		};

		for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
			char question[4096];
			ssize_t len = 0;

			do
				len = recv(false_client, question, sizeof(question), 0);
			while (len > 0 && question[len - 1] != '\n');
			if (len <= 0 || send(false_client, answers[i], strlen(answers[i]), 0) < 0)
				_exit(1);
		}
		_exit(0);
	}
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	for (int status = 1; waitpid(child, &status, WNOHANG) == 0;) {
		while (fr_watcher_step(world.watcher))
			continue;
		(void)poll(NULL, 0, 1);
	}
	fr_world_look(&world);
}

START_TEST(test_changes_in_pieces_of_any_size_are_taken)
{
	answer_start();
	for (size_t piece = 1; piece < 40; piece += 6) {
		char text[16];

		snprintf(text, sizeof(text), "%zu", piece);
		fr_disk_mkdir(in_root("a"));
		fr_disk_write(in_root("a/x.py"), text);
		say("{\"subscription\":\"fastreload-1\",\"clock\":\"c:2\",\"files\":[{\"name\":"
		    "\"a\",\"type\":\"d\",\"exists\":true,\"new\":true},{\"name\":\"a/x.py\","
		    "\"type\":\"f\",\"exists\":true}]}\n{\"log\":\"x\"}\n",
		    piece);
		fr_world_look(&world);
		ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")),
				 piece == 1 ? FR_CHANGE_ADDED : FR_CHANGE_MODIFIED);
	}
}
END_TEST

START_TEST(test_message_beyond_the_bound_is_one_look_at_the_whole)
{
	size_t len = FR_WATCHMAN_MAX_MESSAGE + 100000;
	char *huge = malloc(len + 2);

	ck_assert_ptr_nonnull(huge);
	answer_start();
	fr_disk_mkdir(in_root("a"));
	fr_disk_write(in_root("a/x.py"), "one");
	memset(huge, ' ', len);
	memcpy(huge, "{\"subscription\":", 16);
	memcpy(huge + len, "\n", 2);
	say(huge, len);
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_ADDED);
	free(huge);
}
END_TEST

START_TEST(test_name_that_leads_out_is_a_look_at_the_root_and_nothing_else)
{
	answer_start();
	fr_disk_mkdir(in_root("a"));
	fr_disk_write(in_root("a/x.py"), "one");
	say("{\"subscription\":\"fastreload-1\",\"clock\":\"c:2\",\"files\":[{\"name\":\"../../x\"}"
	    "]}\n",
	    100000);
	fr_world_look(&world);
	ck_assert_int_eq(fr_world_change_of(&world, in_root("a/x.py")), FR_CHANGE_ADDED);
	ck_assert_uint_eq(world.changes_len, 1);
}
END_TEST

static const char *const nonsense[] = {"nonsense\n", "[1]\n", "{\"clock\":\"c:1\"}\n"};

START_TEST(test_nonsense_ends_the_connection_and_it_is_tried_again)
{
	char text[256];
	struct pollfd waiting = {.fd = false_socket, .events = POLLIN};

	answer_start();
	say(nonsense[_i], 100);
	ck_assert_int_eq(world.failure, -ENOTCONN);
	fr_watchman_ops.explain(-ENOTCONN, 1, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "Watchman is lost: it"));
	do {
		while (fr_watcher_step(world.watcher))
			continue;
	} while (poll(&waiting, 1, 10) == 0);
}
END_TEST

START_TEST(test_daemon_that_does_not_want_the_folder_is_quoted)
{
	char text[512];
	pid_t child = fork();

	if (child == 0) {
		static const char *const answers[] = {
			"{}\n", "{\"error\":\"not on \\u001bNFS\\nadvice\"}\n"};
		char question[4096];

		for (int i = 0; i < 2; i++) {
			if (recv(false_client, question, sizeof(question), 0) <= 0 ||
			    send(false_client, answers[i], strlen(answers[i]), 0) < 0)
				_exit(1);
		}
		_exit(0);
	}
	ck_assert_int_eq(fr_world_arm(&world, false), -ENOTSUP);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	fr_watchman_ops.explain(-ENOTSUP, 1, text, sizeof(text));
	ck_assert_str_eq(text, "Watchman does not watch it: not on ?NFS");
}
END_TEST

static char *kept_path;

static void setup_none(void)
{
	kept_path = strdup(getenv("PATH"));
	unsetenv("WATCHMAN_SOCK");
}

static void teardown_none(void)
{
	setenv("PATH", kept_path, 1);
	free(kept_path);
}

START_TEST(test_no_daemon_is_explained)
{
	struct fr_source *source;
	char text[512];

	setenv("WATCHMAN_SOCK", "/nonexistent/sock", 1);
	ck_assert_int_eq(fr_watchman_ops.open(&source), -ENOENT);
	fr_watchman_ops.explain(-ENOENT, 1, text, sizeof(text));
	ck_assert_str_eq(text, "Watchman does not answer at \"/nonexistent/sock\": No such file or "
			       "directory");
	unsetenv("WATCHMAN_SOCK");
	setenv("PATH", "/nonexistent", 1);
	ck_assert_int_eq(fr_watchman_ops.open(&source), -ENOENT);
	fr_watchman_ops.explain(-ENOENT, 1, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "there is no command \"watchman\""));
}
END_TEST

/* A command that prints part of an answer and then nothing, and never ends. */
START_TEST(test_command_that_hangs_has_five_seconds)
{
	struct fr_source *source;
	char *folder = fr_disk_new(), path[PATH_MAX];

	fr_disk_write(fr_disk_at(folder, "watchman"), "#!/bin/sh\necho '{'\nexec sleep 1000\n");
	ck_assert_int_eq(chmod(fr_disk_at(folder, "watchman"), 0755), 0);
	snprintf(path, sizeof(path), "%s:/bin:/usr/bin", folder);
	setenv("PATH", path, 1);
	ck_assert_int_eq(fr_watchman_ops.open(&source), -ETIMEDOUT);
	fr_disk_free(folder);
}
END_TEST

Suite *fr_check_watchman_suite(void)
{
	Suite *suite = suite_create("watchman");
	TCase *real = tcase_create("real daemon");
	TCase *own = tcase_create("daemon that ends");
	TCase *fake = tcase_create("false daemon");
	TCase *none = tcase_create("no daemon");

	tcase_set_timeout(real, 60);
	tcase_add_checked_fixture(real, setup, teardown);
	tcase_add_unchecked_fixture(real, fr_watchman_daemon_start, NULL);
	tcase_add_test(real, test_recrawl_and_a_watch_that_somebody_deletes_lose_nothing);
	tcase_add_test(real, test_next_image_is_told_of_what_happened_between);
	suite_add_tcase(suite, real);

	tcase_set_timeout(own, 60);
	tcase_add_checked_fixture(own, setup_own, teardown_own);
	tcase_add_test(own, test_nothing_is_lost_while_the_daemon_is_away);
	tcase_add_test(own, test_root_is_moved_to_inotify_and_back_and_nothing_is_lost);
	suite_add_tcase(suite, own);

	tcase_set_timeout(fake, 60);
	tcase_add_checked_fixture(fake, setup_false, teardown_false);
	tcase_add_test(fake, test_changes_in_pieces_of_any_size_are_taken);
	tcase_add_test(fake, test_message_beyond_the_bound_is_one_look_at_the_whole);
	tcase_add_test(fake, test_name_that_leads_out_is_a_look_at_the_root_and_nothing_else);
	tcase_add_loop_test(fake, test_nonsense_ends_the_connection_and_it_is_tried_again, 0,
			    sizeof(nonsense) / sizeof(*nonsense));
	tcase_add_test(fake, test_daemon_that_does_not_want_the_folder_is_quoted);
	suite_add_tcase(suite, fake);

	tcase_set_timeout(none, 30);
	tcase_add_checked_fixture(none, setup_none, teardown_none);
	if (!getenv("CK_FORK")) /* in one process with the others there has been a daemon */
		tcase_add_test(none, test_no_daemon_is_explained);
	tcase_add_test(none, test_command_that_hangs_has_five_seconds);
	suite_add_tcase(suite, none);
	return suite;
}
