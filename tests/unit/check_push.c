/*
 * Listeners and clients, over real sockets, with a clock of our own.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "watch/push.h"
#include "watch/push_line.h"
#include "watch/push_socket.h"

static struct fr_push *push;
static char *folder;
static char address[200], error[512];
static char heard[4096];
static size_t looks, says;
static int64_t now_ms;

static bool is_watched(void *ctx, const char *path)
{
	(void)ctx;
	return strncmp(path, "/srv/app", 8) == 0 && (path[8] == '/' || path[8] == '\0');
}

static bool is_folder(void *ctx, const char *path)
{
	(void)ctx;
	return strcmp(path, "/srv/app") == 0;
}

static void look(void *ctx, const char *path)
{
	size_t used = strlen(heard);

	(void)ctx;
	looks++;
	ck_assert(is_watched(NULL, path));
	snprintf(heard + used, sizeof(heard) - used, "%s%s", used ? "|" : "", path);
}

static void look_everywhere(void *ctx)
{
	(void)ctx;
	looks++;
	strcpy(heard, "EVERYTHING"); /* whatever came before */
}

static const char *watched_folder(void *ctx, size_t i)
{
	(void)ctx;
	return i == 0 ? "/srv/app" : NULL;
}

static void say(void *ctx, const char *who, const char *sentence, const char *what)
{
	(void)ctx;
	(void)what;
	ck_assert(*who && *sentence);
	says++;
}

static const struct fr_push_hooks hooks = {is_watched,      is_folder,      look,
					   look_everywhere, watched_folder, say};

static void setup(void)
{
	folder = fr_disk_new();
	snprintf(address, sizeof(address), "%s/push.sock", folder);
	heard[0] = '\0';
	looks = says = 0;
	now_ms = 100000;
	ck_assert_int_eq(fr_push_new(&hooks, NULL, &push), 0);
}

static void teardown(void)
{
	fr_push_free(push);
	push = NULL;
	fr_disk_free(folder);
}

static void listen_here(void)
{
	error[0] = '\0';
	ck_assert_msg(fr_push_listen(push, address, error, sizeof(error)) == 0, "%s", error);
}

static int connect_here(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(un.sun_path, address);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN) {
			fr_push_step(push, now_ms += 50, false);
			continue;
		}
		if (sent < 0)
			return; /* hung up on */
		bytes += sent;
		len -= (size_t)sent;
	}
}

static void send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

/* All that is waiting is read; the clock stands nearly still. */
static void run(void)
{
	for (int i = 0; i < 100; i++)
		fr_push_step(push, now_ms, false);
}

static bool is_hung_up(int fd)
{
	char text[4096];
	ssize_t len;

	while ((len = recv(fd, text, sizeof(text), MSG_DONTWAIT)) > 0)
		continue;
	return len == 0 || errno == ECONNRESET;
}

START_TEST(test_lines_become_looks)
{
	int fd;

	listen_here();
	fd = connect_here();
	send_text(fd, "/srv/app/a.py\n/srv/app/sub/ CLOSE_WRITE,CLOSE b.py\nc.py\n/srv/app/d");
	run();
	ck_assert_str_eq(heard, "/srv/app/a.py|/srv/app/sub/b.py|/srv/app/c.py");
	heard[0] = '\0';
	send_text(fd, ".py\n");
	run();
	ck_assert_str_eq(heard, "/srv/app/d.py");
	close(fd);
	run();
}
END_TEST

START_TEST(test_a_last_line_needs_no_end)
{
	int fd;

	listen_here();
	fd = connect_here();
	send_text(fd, ".");
	close(fd);
	run();
	ck_assert_str_eq(heard, "EVERYTHING");
}
END_TEST

START_TEST(test_lines_can_end_with_nul)
{
	static const char bytes[] = "/srv/app/a.py\n/srv/app/b.py\0/srv/app/c\nd.py";
	int fd;

	listen_here();
	fd = connect_here();
	send_all(fd, bytes, sizeof(bytes));
	run();
	ck_assert_str_eq(heard, "/srv/app/a.py|/srv/app/b.py|/srv/app/c\nd.py");
	close(fd);
}
END_TEST

START_TEST(test_what_is_not_watched_is_not_looked_at)
{
	int fd;

	listen_here();
	fd = connect_here();
	send_text(fd, "/etc/passwd\n/srv/app/../../etc/passwd\n/srv/application/a.py\n../x.py\n"
		      "{\"path\": \"/etc/shadow\"}\n");
	run();
	ck_assert_uint_eq(looks, 0);
	ck_assert_uint_eq(says, 1); /* once for each sender */
	close(fd);
}
END_TEST

START_TEST(test_a_folder_above_means_what_is_below)
{
	int fd;

	listen_here();
	fd = connect_here();
	send_text(fd, "/srv\n");
	run();
	ck_assert_str_eq(heard, "/srv/app");
	close(fd);
}
END_TEST

START_TEST(test_paths_are_mapped)
{
	int fd;

	ck_assert_int_eq(fr_push_add_map(push, "/Users/me/code=/srv/app", error, sizeof(error)), 0);
	listen_here();
	fd = connect_here();
	send_text(fd, "/Users/me/code/a.py\n");
	run();
	ck_assert_str_eq(heard, "/srv/app/a.py");
	close(fd);
}
END_TEST

#define TOKEN "0123456789abcdef"

START_TEST(test_the_token_comes_first)
{
	static const char *const wrong[] = {"/srv/app/a.py\n",
					    "token 0123456789abcdeF\n/srv/app/a.py\n",
					    "token \n",
					    "token " TOKEN "0\n.\n",
					    "{\"token\": \"x\", \"path\": \"/srv/app/a.py\"}\n",
					    ".\n",
					    "\n"};
	int fd;

	ck_assert_int_eq(fr_push_use_token(push, TOKEN, error, sizeof(error)), 0);
	listen_here();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		fd = connect_here();
		send_text(fd, wrong[i]);
		run();
		ck_assert_msg(is_hung_up(fd), "after \"%s\"", wrong[i]);
		close(fd);
	}
	ck_assert_uint_eq(looks, 0);
	fd = connect_here();
	send_text(fd, "token " TOKEN "\n/srv/app/a.py\n");
	run();
	ck_assert_str_eq(heard, "/srv/app/a.py");
	close(fd);
	fd = connect_here();
	send_text(fd, "{\"token\": \"" TOKEN "\", \"path\": \"/srv/app/b.py\"}\n");
	run();
	ck_assert_str_eq(heard, "/srv/app/a.py|/srv/app/b.py");
	close(fd);
}
END_TEST

START_TEST(test_the_token_does_not_come_for_ever)
{
	int fd;

	ck_assert_int_eq(fr_push_use_token(push, TOKEN, error, sizeof(error)), 0);
	listen_here();
	fd = connect_here();
	run();
	ck_assert(!is_hung_up(fd));
	now_ms = fr_push_step(push, now_ms, false); /* it says itself when to look */
	ck_assert_int_ge(now_ms, 100001);
	run();
	ck_assert(is_hung_up(fd));
	close(fd);
}
END_TEST

START_TEST(test_a_line_does_not_take_for_ever)
{
	int fd, silent;

	listen_here();
	silent = connect_here();
	fd = connect_here();
	for (int i = 0; i < 100; i++) {
		send_text(fd, "x");
		now_ms += 1000;
		fr_push_step(push, now_ms, false);
	}
	ck_assert(is_hung_up(fd));
	ck_assert(!is_hung_up(silent)); /* people go for lunch */
	close(fd);
	close(silent);
}
END_TEST

START_TEST(test_a_line_too_long_ends_the_connection)
{
	static char line[FR_PUSH_LINE_MAX + 2];
	int fd;

	listen_here();
	memset(line, 'x', sizeof(line));
	fd = connect_here();
	line[sizeof(line) - 2] = '\n';
	send_all(fd, line, sizeof(line) - 1);
	run();
	ck_assert(!is_hung_up(fd));
	line[sizeof(line) - 2] = 'x';
	send_all(fd, line, sizeof(line));
	run();
	ck_assert(is_hung_up(fd));
	ck_assert_uint_eq(looks, 0);
	close(fd);
}
END_TEST

START_TEST(test_garbage_ends_the_connection)
{
	int fd;

	listen_here();
	fd = connect_here();
	for (int i = 0; i < 100; i++)
		send_text(fd, "{garbage}\n");
	run();
	ck_assert(is_hung_up(fd));
	ck_assert_uint_le(says, 8);
	ck_assert_uint_eq(looks, 0);
	close(fd);
}
END_TEST

START_TEST(test_a_flood_is_read_at_a_steady_rate)
{
	int64_t start_ms = now_ms;
	char line[64];
	int fd, polite;

	listen_here();
	fd = connect_here();
	polite = connect_here();
	for (int i = 0; i < 30000; i++) {
		snprintf(line, sizeof(line), "/srv/app/%014d.py\n", i);
		send_text(fd, line); /* 0.8 MB; the clock moves on only when no more is taken */
	}
	ck_assert_int_ge(now_ms - start_ms, 100);
	/* Where nothing more is taken, nobody is woken before it is. */
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(fr_push_step(push, now_ms, false), now_ms);
	fr_push_step(push, now_ms += 40000, false);
	run();
	heard[0] = '\0';
	send_text(polite, "/srv/app/polite.py\n");
	run();
	ck_assert_str_eq(heard, "/srv/app/polite.py");
	close(fd);
	close(polite);
}
END_TEST

START_TEST(test_the_one_who_speaks_outlives_a_thousand_who_do_not)
{
	int fd, idle[1000], open_before;
	int fds[FR_PUSH_MAX_FDS];

	listen_here();
	fd = connect_here();
	send_text(fd, "/srv/app/a.py\n");
	run();
	open_before = (int)fr_push_fds(push, fds);
	for (size_t i = 0; i < 1000; i++) {
		idle[i] = connect_here();
		fr_push_step(push, now_ms += 50, false);
	}
	ck_assert_int_eq(open_before, 3);
	ck_assert_uint_eq(fr_push_fds(push, fds), 2 + FR_PUSH_MAX_CLIENTS);
	heard[0] = '\0';
	send_text(fd, "/srv/app/b.py\n");
	run();
	ck_assert_ptr_nonnull(strstr(heard, "/srv/app/b.py"));
	ck_assert(is_hung_up(idle[0]));
	ck_assert(!is_hung_up(idle[999]));
	for (size_t i = 0; i < 1000; i++)
		close(idle[i]);
	close(fd);
}
END_TEST

START_TEST(test_connections_survive_an_exec)
{
	char left[FR_PUSH_LEFT_SIZE], expected[64];
	int fd, fds[FR_PUSH_MAX_FDS], listener, client;

	ck_assert_int_eq(fr_push_use_token(push, TOKEN, error, sizeof(error)), 0);
	listen_here();
	fd = connect_here();
	send_text(fd, "token " TOKEN "\n/srv/app/a.py\n/srv/app/cu");
	run();
	ck_assert_uint_eq(fr_push_fds(push, fds), 3);
	fr_push_leave(push, left);
	snprintf(expected, sizeof(expected), "0d %dl %dcts ", fds[1], fds[2]);
	ck_assert_str_eq(left, expected);
	ck_assert_int_eq(fcntl(fds[1], F_GETFD), 0);
	ck_assert_int_eq(fcntl(fds[2], F_GETFD), 0);

	listener = dup(fds[1]);
	client = dup(fds[2]);
	snprintf(left, sizeof(left), "0d %dl %dcts ", listener, client);
	fr_push_free(push);
	heard[0] = '\0';
	ck_assert_int_eq(fr_push_new(&hooks, NULL, &push), 0);
	ck_assert_int_eq(fr_push_use_token(push, TOKEN, error, sizeof(error)), 0);
	ck_assert(fr_push_take(push, left));
	listen_here();
	ck_assert_int_eq(fcntl(listener, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(client, F_GETFD), FD_CLOEXEC);
	send_text(fd, "t.py\n/srv/app/b.py\n");
	run();
	/* Of the line that was cut only that there was one is known. */
	ck_assert_str_eq(heard, "EVERYTHING|/srv/app/b.py");
	close(connect_here());
	close(fd);
}
END_TEST

START_TEST(test_what_was_left_may_be_anything)
{
	static const char *const texts[] = {"x", "99999l ", "0c ", "1000000000000l", "3", "3z"};
	char text[32];
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		ck_assert(!fr_push_take(push, texts[i]));
	snprintf(text, sizeof(text), "%dct ", file);
	ck_assert(!fr_push_take(push, text));
	ck_assert(fr_push_take(push, ""));
	close(file);
}
END_TEST

static const struct {
	const char *value, *reason;
} refused[] = {
	{"0.0.0.0:9001", "--fastreload-token"},
	{"*:9001", "--fastreload-token"},
	{"192.0.2.1:9001", "--fastreload-token"},
	{"[::]:9001", "--fastreload-token"},
	{"9001", "is no address"},
	{"127.0.0.1", "is no address"},
	{"127.0.0.1:", "is no address"},
	{"127.0.0.1:0", "is no address"},
	{"127.0.0.1:65536", "is no address"},
	{"127.0.0.1:9001x", "is no address"},
	{"example.org:9001", "is no address"},
	{":9001", "is no address"},
	{"", "is no address"},
	{"/nowhere/at/all.sock", "cannot be listened on"},
};

START_TEST(test_bad_addresses_are_refused)
{
	error[0] = '\0';
	ck_assert_int_lt(fr_push_listen(push, refused[_i].value, error, sizeof(error)), 0);
	ck_assert_msg(strstr(error, refused[_i].reason), "\"%s\": %s", refused[_i].value, error);
}
END_TEST

START_TEST(test_loopback_needs_no_token)
{
	static const char *const values[] = {"127.0.0.1:9001", "127.1.2.3:9001", "[::1]:9001",
					     "localhost:9001"};
	struct fr_push_address parsed;

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		ck_assert_int_eq(fr_push_address_parse(values[i], &parsed, error, sizeof(error)),
				 0);
		ck_assert(!parsed.is_open);
	}
}
END_TEST

START_TEST(test_a_unix_socket_is_the_users_alone)
{
	struct stat st;

	listen_here();
	ck_assert_int_eq(lstat(address, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	/* One that is listened on is not taken away. */
	ck_assert_int_eq(fr_push_listen(push, address, error, sizeof(error)), -EADDRINUSE);
	/* One that is left over is. */
	fr_push_free(push);
	ck_assert_int_eq(fr_push_new(&hooks, NULL, &push), 0);
	listen_here();
}
END_TEST

START_TEST(test_a_file_is_not_replaced_by_a_socket)
{
	struct stat st;

	fr_disk_write(address, "mine");
	ck_assert_int_eq(fr_push_listen(push, address, error, sizeof(error)), -EADDRINUSE);
	ck_assert_int_eq(lstat(address, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
}
END_TEST

START_TEST(test_a_unix_socket_in_an_open_folder_needs_a_token)
{
	ck_assert_int_eq(chmod(folder, 0777), 0);
	ck_assert_int_eq(fr_push_listen(push, address, error, sizeof(error)), -EPERM);
	ck_assert_int_eq(chmod(folder, 01777), 0);
	listen_here();
}
END_TEST

START_TEST(test_tokens_are_read_from_files)
{
	const char *file = fr_disk_at(folder, "token");
	char token[FR_PUSH_TOKEN_MAX];

	fr_disk_write(file, TOKEN "\nmore\n");
	ck_assert_int_eq(chmod(file, 0600), 0);
	ck_assert_int_eq(fr_push_token_read(file, token, error, sizeof(error)), 0);
	ck_assert_str_eq(token, TOKEN);
	ck_assert_int_eq(chmod(file, 0644), 0);
	ck_assert_int_eq(fr_push_token_read(file, token, error, sizeof(error)), -EPERM);
	ck_assert_ptr_nonnull(strstr(error, "chmod"));
	ck_assert_int_eq(chmod(file, 0600), 0);
	fr_disk_write(file, "short\n");
	ck_assert_int_eq(fr_push_token_read(file, token, error, sizeof(error)), -EINVAL);
	ck_assert_int_eq(fr_push_token_read(folder, token, error, sizeof(error)), -EINVAL);
	ck_assert_int_eq(fr_push_token_read("/nowhere", token, error, sizeof(error)), -ENOENT);
	ck_assert_int_eq(fr_push_token_read("", token, error, sizeof(error)), -EINVAL);
	ck_assert_int_eq(fr_push_token_read(TOKEN, token, error, sizeof(error)), 0);
	ck_assert(fr_push_token_is(TOKEN, TOKEN));
	ck_assert(!fr_push_token_is(TOKEN, ""));
	ck_assert(!fr_push_token_is(TOKEN, TOKEN TOKEN));
}
END_TEST

START_TEST(test_without_memory_a_client_is_dropped_and_everything_looked_at)
{
	int fd;

	listen_here();
	fd = connect_here();
	send_text(fd, "/srv/app/a"); /* to be kept, until it ends */
	fr_allocator_fail_from(1);
	for (int i = 0; i < 5; i++)
		fr_push_step(push, now_ms, false);
	fr_allocator_fail_from(0);
	run();
	ck_assert_str_eq(heard, "EVERYTHING");
	ck_assert(is_hung_up(fd));
	close(fd);
}
END_TEST

START_TEST(test_without_memory_there_is_none)
{
	struct fr_push *none = NULL;

	for (unsigned nth = 1; nth <= 2; nth++) {
		int code;

		fr_allocator_fail_once(nth);
		code = fr_push_new(&hooks, NULL, &none);
		fr_allocator_fail_once(0);
		ck_assert_int_eq(code, -ENOMEM);
		ck_assert_ptr_null(none);
	}
}
END_TEST

Suite *fr_check_push_suite(void);

Suite *fr_check_push_suite(void)
{
	Suite *suite = suite_create("push");
	TCase *tcase = tcase_create("clients");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 20);
	tcase_add_test(tcase, test_lines_become_looks);
	tcase_add_test(tcase, test_a_last_line_needs_no_end);
	tcase_add_test(tcase, test_lines_can_end_with_nul);
	tcase_add_test(tcase, test_what_is_not_watched_is_not_looked_at);
	tcase_add_test(tcase, test_a_folder_above_means_what_is_below);
	tcase_add_test(tcase, test_paths_are_mapped);
	tcase_add_test(tcase, test_the_token_comes_first);
	tcase_add_test(tcase, test_the_token_does_not_come_for_ever);
	tcase_add_test(tcase, test_a_line_does_not_take_for_ever);
	tcase_add_test(tcase, test_a_line_too_long_ends_the_connection);
	tcase_add_test(tcase, test_garbage_ends_the_connection);
	tcase_add_test(tcase, test_a_flood_is_read_at_a_steady_rate);
	tcase_add_test(tcase, test_the_one_who_speaks_outlives_a_thousand_who_do_not);
	tcase_add_test(tcase, test_connections_survive_an_exec);
	tcase_add_test(tcase, test_what_was_left_may_be_anything);
	tcase_add_test(tcase, test_without_memory_a_client_is_dropped_and_everything_looked_at);
	tcase_add_test(tcase, test_without_memory_there_is_none);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("start");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, test_bad_addresses_are_refused, 0,
			    sizeof(refused) / sizeof(*refused));
	tcase_add_test(tcase, test_loopback_needs_no_token);
	tcase_add_test(tcase, test_a_unix_socket_is_the_users_alone);
	tcase_add_test(tcase, test_a_file_is_not_replaced_by_a_socket);
	tcase_add_test(tcase, test_a_unix_socket_in_an_open_folder_needs_a_token);
	tcase_add_test(tcase, test_tokens_are_read_from_files);
	suite_add_tcase(suite, tcase);
	return suite;
}
