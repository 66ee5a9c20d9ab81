/*
 * Lines into files, pipes and sockets that may be full: none is torn, none is waited for.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator.h"
#include "disk.h"
#include "report/lines.h"

#define LINE_MAX_LEN 65536

static char *folder;
static char path[512], error[256];
static char line[LINE_MAX_LEN], text[4 * 1024 * 1024];
static struct fr_lines *lines;

static void setup(void)
{
	folder = fr_disk_new();
	snprintf(path, sizeof(path), "%s/events", folder);
	lines = NULL;
}

static void teardown(void)
{
	fr_lines_free(lines);
	fr_disk_free(folder);
}

static int open_lines(const char *value)
{
	return fr_lines_open(value, sizeof(line), &lines, error, sizeof(error));
}

static void write_line(const char *value)
{
	fr_lines_write(lines, value, strlen(value));
}

/* What there is to read now. */
static size_t read_all(int fd, char *at)
{
	size_t len = 0;
	ssize_t now;

	while ((now = read(fd, at + len, sizeof(text) - (size_t)(at - text) - len)) > 0)
		len += (size_t)now;
	return len;
}

START_TEST(test_a_file_is_appended_to)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int fds[FR_LINES_MAX_FDS];

	ck_assert_int_eq(write(fd, "old\n", 4), 4);
	close(fd);
	ck_assert_int_eq(open_lines(path), 0);
	write_line("new\n");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_uint_eq(read_all(fd, text), 8);
	ck_assert_int_eq(memcmp(text, "old\nnew\n", 8), 0);
	close(fd);
	ck_assert_uint_eq(fr_lines_dropped(lines), 0);
	ck_assert_uint_eq(fr_lines_fds(lines, fds), 1);
	ck_assert_int_ne(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(fr_lines_inherited(lines), -1);
}
END_TEST

START_TEST(test_a_new_file_is_not_for_everybody)
{
	struct stat st;

	ck_assert_int_eq(open_lines(path), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0137, 0);
}
END_TEST

START_TEST(test_what_cannot_be_opened_is_explained)
{
	char number[32];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(open_lines(folder), -EISDIR);
	ck_assert(strstr(error, "name a file"));
	ck_assert_int_eq(open_lines("/nonexistent/x"), -ENOENT);
	ck_assert_int_eq(open_lines("fd:"), -EINVAL);
	ck_assert_int_eq(open_lines("fd:3x"), -EINVAL);
	ck_assert_int_eq(open_lines("fd:-1"), -EINVAL);
	ck_assert_int_eq(open_lines("fd:99999999999"), -EINVAL);
	ck_assert_int_eq(open_lines("fd:999"), -EBADF);
	snprintf(number, sizeof(number), "fd:%d", fd);
	ck_assert_int_eq(open_lines(number), -EBADF);
	ck_assert(strstr(error, "open for writing"));
	close(fd);
	fr_allocator_fail_from(1);
	fd = open_lines(path);
	fr_allocator_fail_from(0);
	ck_assert_int_eq(fd, -ENOMEM);
	ck_assert_ptr_null(lines);
}
END_TEST

/* Writes lines of growing length into something that is full soon, reads a little now and then, and
 * looks at what has come out. */
static void fill_and_check(int reader)
{
	size_t written = 0, len = 0, whole = 0;
	bool is_torn = false;

	for (int i = 0; i < 400; i++) {
		size_t line_len = 1 + (size_t)i * 97 % 20000;

		memset(line, 'a' + i % 26, line_len);
		line[line_len - 1] = '\n';
		fr_lines_write(lines, line, line_len);
		written++;
		if (i % 50 == 49)
			len += read_all(reader, text + len);
	}
	for (int i = 0; i < 10; i++) {
		fr_lines_flush(lines);
		len += read_all(reader, text + len);
	}
	ck_assert_uint_gt(fr_lines_dropped(lines), 0);
	for (size_t at = 0; at < len; whole++) {
		char *end = memchr(text + at, '\n', len - at);

		ck_assert_ptr_nonnull(end);
		for (char *byte = text + at; byte < end;
		     byte++) /* Check's own assertions are slow */
			is_torn |= *byte != text[at];
		ck_assert(!is_torn);
		at = (size_t)(end - text) + 1;
	}
	ck_assert_uint_eq(whole + fr_lines_dropped(lines), written);
}

START_TEST(test_of_a_full_pipe_no_line_is_torn)
{
	int reader;

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(open_lines(path), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fill_and_check(reader);
	close(reader);
}
END_TEST

START_TEST(test_of_a_full_inherited_pipe_no_line_is_torn)
{
	char number[32];
	int ends[2], fds[FR_LINES_MAX_FDS];

	ck_assert_int_eq(pipe(ends), 0);
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	snprintf(number, sizeof(number), "fd:%d", ends[1]);
	ck_assert_int_eq(open_lines(number), 0);
	ck_assert_int_eq(fr_lines_inherited(lines), ends[1]);
	ck_assert_uint_eq(fr_lines_fds(lines, fds), 2);
	ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0); /* it is others', too */
	fill_and_check(ends[0]);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(test_of_a_full_socket_no_line_is_torn)
{
	char number[32];
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	snprintf(number, sizeof(number), "fd:%d", ends[1]);
	ck_assert_int_eq(open_lines(number), 0);
	fill_and_check(ends[0]);
	close(ends[0]);
	write_line("into nothing\n"); /* and no SIGPIPE */
	close(ends[1]);
}
END_TEST

Suite *fr_check_lines_suite(void);

Suite *fr_check_lines_suite(void)
{
	Suite *suite = suite_create("lines");
	TCase *tcase = tcase_create("lines");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_a_file_is_appended_to);
	tcase_add_test(tcase, test_a_new_file_is_not_for_everybody);
	tcase_add_test(tcase, test_what_cannot_be_opened_is_explained);
	tcase_add_test(tcase, test_of_a_full_pipe_no_line_is_torn);
	tcase_add_test(tcase, test_of_a_full_inherited_pipe_no_line_is_torn);
	tcase_add_test(tcase, test_of_a_full_socket_no_line_is_torn);
	suite_add_tcase(suite, tcase);
	return suite;
}
