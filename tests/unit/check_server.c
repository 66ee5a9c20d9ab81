/*
 * The control socket, over real sockets, with a clock of our own; and the other end of it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "report/client.h"
#include "report/json.h"
#include "report/request.h"
#include "report/server.h"

static struct fr_server *server;
static char *folder;
static struct sockaddr_un address;
static int64_t now_ms;
static size_t asked, refused;
static const char *wrong;  /* what the hook answers with; NULL: all is well */
static size_t answer_size; /* of the text in an answer */
static char received[1 << 20];

static const char *answer(void *ctx, const struct fr_request *request, struct fr_json *json)
{
	static char text[FR_SERVER_ANSWER_SIZE];

	(void)ctx;
	asked++;
	memset(text, 'x', answer_size);
	text[answer_size] = '\0';
	fr_json_string(json, request->is_for_people ? "text" : "command",
		       answer_size ? text : fr_command_name(request->command));
	return wrong;
}

static void refuse(void *ctx, uid_t uid)
{
	(void)ctx;
	(void)uid;
	refused++;
}

static const struct fr_server_hooks hooks = {.answer = answer, .refused = refuse};

static int listen_here(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	return fd;
}

static void setup(void)
{
	folder = fr_disk_new();
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
	ck_assert_int_eq(fr_server_new(listen_here(), geteuid(), &hooks, NULL, &server), 0);
	now_ms = 1000;
	asked = refused = answer_size = 0;
	wrong = NULL;
}

static void teardown(void)
{
	fr_server_free(server);
	fr_disk_free(folder);
}

static int connect_here(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool is_awake(void)
{
	struct epoll_event event;

	return epoll_wait(fr_server_fd(server), &event, 1, 0) > 0;
}

/* Until nothing is to be done at once. */
static void run(void)
{
	for (int i = 0; i < 1000; i++) {
		if (fr_server_step(server, now_ms) != now_ms && !is_awake())
			return;
	}
	ck_abort_msg("the server is never done");
}

/* Everything that has come so far; *ret_is_open: the other end has not hung up. */
static const char *receive(int fd, bool *ret_is_open)
{
	size_t len = 0;
	ssize_t now;

	while ((now = recv(fd, received + len, sizeof(received) - 1 - len, 0)) > 0)
		len += (size_t)now;
	received[len] = '\0';
	if (ret_is_open)
		*ret_is_open = now < 0 && errno == EAGAIN;
	return received;
}

static void say(int fd, const char *line)
{
	ck_assert_int_eq(send(fd, line, strlen(line), 0), (ssize_t)strlen(line));
}

#define STATUS    "{\"command\":\"status\"}\n"
#define STATUS_OK "{\"v\":1,\"ok\":true,\"command\":\"status\"}\n"

START_TEST(test_lines_are_answered_in_their_order)
{
	int fd = connect_here();
	bool is_open;

	say(fd, STATUS "{\"command\":\"dance\"}\n{\"command\":\"pause\"}\n{\"comm");
	run();
	ck_assert_str_eq(receive(fd, &is_open), STATUS_OK
			 "{\"v\":1,\"ok\":false,\"error\":\"the command is unknown; there are "
			 "status, pause, resume, reload, explain and journal\"}\n"
			 "{\"v\":1,\"ok\":true,\"command\":\"pause\"}\n");
	ck_assert(is_open);
	say(fd, "and\":\"status\"}\n");
	run();
	ck_assert_str_eq(receive(fd, NULL), STATUS_OK);
	close(fd);
	run();
	ck_assert_uint_eq(asked, 3);
}
END_TEST

START_TEST(test_the_last_line_may_lack_its_end)
{
	int fd = connect_here();
	bool is_open;

	say(fd, STATUS "{\"command\":\"status\"}");
	shutdown(fd, SHUT_WR);
	run();
	ck_assert_str_eq(receive(fd, &is_open), STATUS_OK STATUS_OK);
	ck_assert(!is_open);
	close(fd);
}
END_TEST

START_TEST(test_what_a_hook_refuses_is_an_error_and_nothing_else)
{
	int fd = connect_here();

	wrong = "no";
	say(fd, STATUS);
	run();
	ck_assert_str_eq(receive(fd, NULL), "{\"v\":1,\"ok\":false,\"error\":\"no\"}\n");
	wrong = NULL;
	answer_size = FR_SERVER_ANSWER_SIZE - 1;
	say(fd, STATUS);
	run();
	ck_assert_str_eq(receive(fd, NULL),
			 "{\"v\":1,\"ok\":false,\"error\":\"the answer is too long\"}\n");
	close(fd);
}
END_TEST

START_TEST(test_a_line_without_end_is_not_waited_for)
{
	static char line[FR_REQUEST_LINE_MAX + 100];
	int fd = connect_here();
	bool is_open;

	memset(line, 'x', sizeof(line) - 1);
	say(fd, line);
	run();
	ck_assert_str_eq(receive(fd, &is_open),
			 "{\"v\":1,\"ok\":false,\"error\":\"the line is too long\"}\n");
	ck_assert(!is_open);
	close(fd);
}
END_TEST

START_TEST(test_the_longest_line_is_read)
{
	static char line[FR_REQUEST_LINE_MAX + 2];
	int fd = connect_here();

	memset(line, ' ', FR_REQUEST_LINE_MAX);
	memcpy(line, STATUS, strlen(STATUS) - 1);
	line[FR_REQUEST_LINE_MAX] = '\n';
	say(fd, line);
	run();
	ck_assert_str_eq(receive(fd, NULL), STATUS_OK);
	close(fd);
}
END_TEST

START_TEST(test_whoever_does_not_read_is_hung_up_on_and_costs_nothing)
{
	int fd = connect_here();
	int64_t wake_ms;

	answer_size = 200000;
	for (int i = 0; i < 20; i++)
		say(fd, STATUS);
	run();
	ck_assert_uint_lt(asked, 20);
	wake_ms = fr_server_step(server, now_ms);
	ck_assert_int_eq(wake_ms, now_ms + 10000);
	ck_assert(!is_awake());
	now_ms = wake_ms - 1;
	ck_assert_int_eq(fr_server_step(server, now_ms), wake_ms);
	now_ms = wake_ms;
	ck_assert_int_eq(fr_server_step(server, now_ms), -1);
	close(fd);
}
END_TEST

START_TEST(test_whoever_reads_slowly_gets_all)
{
	int fd = connect_here();
	size_t len = 0;

	answer_size = 200000;
	for (int i = 0; i < 5; i++)
		say(fd, STATUS);
	for (int i = 0; i < 10000 && asked < 5; i++) {
		(void)fr_server_step(server, now_ms);
		len += strlen(receive(fd, NULL));
	}
	for (int i = 0; i < 100; i++) {
		(void)fr_server_step(server, now_ms);
		len += strlen(receive(fd, NULL));
	}
	ck_assert_uint_eq(len, 5 * (200000 + strlen(STATUS_OK) - strlen("status")));
	close(fd);
}
END_TEST

START_TEST(test_of_too_many_clients_the_silent_ones_go)
{
	int fds[FR_SERVER_MAX_CLIENTS + 1];
	bool is_open;

	for (int i = 0; i < FR_SERVER_MAX_CLIENTS; i++) {
		fds[i] = connect_here();
		now_ms++;
		run();
	}
	say(fds[0], STATUS);
	now_ms++;
	run();
	fds[FR_SERVER_MAX_CLIENTS] = connect_here();
	run();
	receive(fds[1], &is_open);
	ck_assert(!is_open);
	say(fds[FR_SERVER_MAX_CLIENTS], STATUS);
	run();
	ck_assert_str_eq(receive(fds[FR_SERVER_MAX_CLIENTS], NULL), STATUS_OK);
	ck_assert_str_eq(receive(fds[0], &is_open), STATUS_OK);
	ck_assert(is_open);
	for (int i = 0; i <= FR_SERVER_MAX_CLIENTS; i++)
		close(fds[i]);
}
END_TEST

START_TEST(test_one_that_floods_does_not_hold_up_another)
{
	int flood = connect_here(), other = connect_here();

	for (int i = 0; i < 200; i++)
		say(flood, STATUS);
	say(other, STATUS);
	(void)fr_server_step(server, now_ms);
	ck_assert_str_eq(receive(other, NULL), STATUS_OK);
	ck_assert_uint_lt(asked, 200);
	run();
	ck_assert_uint_eq(asked, 201);
	close(flood);
	close(other);
}
END_TEST

/* Processes of root are welcome everywhere. */
START_TEST(test_other_users_are_turned_away)
{
	int fd;
	bool is_open;

	if (geteuid() == 0)
		return;
	fr_server_free(server);
	unlink(address.sun_path);
	ck_assert_int_eq(fr_server_new(listen_here(), geteuid() + 1, &hooks, NULL, &server), 0);
	fd = connect_here();
	run();
	ck_assert(strstr(receive(fd, &is_open), "\"ok\":false"));
	ck_assert(!is_open);
	ck_assert_uint_eq(refused, 1);
	close(fd);
}
END_TEST

START_TEST(test_all_descriptors_are_named)
{
	int fds[FR_SERVER_MAX_FDS], fd = connect_here();

	ck_assert_uint_eq(fr_server_fds(server, fds), 2);
	run();
	ck_assert_uint_eq(fr_server_fds(server, fds), 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_ne(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, 0);
	close(fd);
}
END_TEST

START_TEST(test_without_memory_nothing_breaks)
{
	for (unsigned nth = 1; nth <= 3; nth++) {
		int fd = connect_here();
		bool has_failed;

		say(fd, STATUS);
		fr_allocator_fail_from(nth);
		for (int i = 0; i < 10; i++)
			(void)fr_server_step(server, now_ms);
		has_failed = fr_allocator_has_failed();
		fr_allocator_fail_from(0);
		ck_assert_int_eq(has_failed, nth < 3);
		if (nth == 3)
			ck_assert_str_eq(receive(fd, NULL), STATUS_OK);
		close(fd);
		run();
	}
}
END_TEST

/* ---- the other end ---- */

static bool is_serving;

static void *serve(void *unused)
{
	(void)unused;
	while (__atomic_load_n(&is_serving, __ATOMIC_ACQUIRE)) {
		(void)fr_server_step(server, now_ms);
		usleep(1000);
	}
	return NULL;
}

static char printed[4096];

static int ask(const char *path)
{
	const struct fr_request request = {.command = FR_COMMAND_STATUS, .is_for_people = true};
	FILE *out = fmemopen(printed, sizeof(printed), "w");
	int status = fr_client_ask(path, &request, out, out);

	fclose(out);
	return status;
}

START_TEST(test_people_get_the_text_or_the_error)
{
	pthread_t thread;

	__atomic_store_n(&is_serving, true, __ATOMIC_RELEASE);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	ck_assert_int_eq(ask(address.sun_path), 0);
	ck_assert_str_eq(printed, "status");
	wrong = "it may not be";
	ck_assert_int_eq(ask(address.sun_path), 1);
	ck_assert(strstr(printed, "/s: it may not be\n"));
	__atomic_store_n(&is_serving, false, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(test_without_a_server_there_is_one_sentence)
{
	char path[200];

	ck_assert_int_eq(ask("/nonexistent/s"), 1);
	ck_assert(strstr(printed, "there is no such socket"));
	fr_server_free(server);
	server = NULL;
	ck_assert_int_eq(ask(address.sun_path), 1);
	ck_assert(strstr(printed, "nobody listens there any more"));
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(ask(path), 1);
	ck_assert(strstr(printed, "too long"));
}
END_TEST

Suite *fr_check_server_suite(void);

Suite *fr_check_server_suite(void)
{
	Suite *suite = suite_create("server");
	TCase *tcase = tcase_create("server");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_lines_are_answered_in_their_order);
	tcase_add_test(tcase, test_the_last_line_may_lack_its_end);
	tcase_add_test(tcase, test_what_a_hook_refuses_is_an_error_and_nothing_else);
	tcase_add_test(tcase, test_a_line_without_end_is_not_waited_for);
	tcase_add_test(tcase, test_the_longest_line_is_read);
	tcase_add_test(tcase, test_whoever_does_not_read_is_hung_up_on_and_costs_nothing);
	tcase_add_test(tcase, test_whoever_reads_slowly_gets_all);
	tcase_add_test(tcase, test_of_too_many_clients_the_silent_ones_go);
	tcase_add_test(tcase, test_one_that_floods_does_not_hold_up_another);
	tcase_add_test(tcase, test_other_users_are_turned_away);
	tcase_add_test(tcase, test_all_descriptors_are_named);
	tcase_add_test(tcase, test_without_memory_nothing_breaks);
	tcase_add_test(tcase, test_people_get_the_text_or_the_error);
	tcase_add_test(tcase, test_without_a_server_there_is_one_sentence);
	suite_add_tcase(suite, tcase);
	return suite;
}
