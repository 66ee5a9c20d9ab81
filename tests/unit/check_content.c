/*
 * How files look: stamps and hashes, of files of all kinds.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "watch/content.h"
#include "watch/tree.h"

static char *folder;
static char path[PATH_MAX];

static void setup(void)
{
	folder = fr_disk_new();
	snprintf(path, sizeof(path), "%s", fr_disk_at(folder, "a.py"));
}

static void teardown(void)
{
	fr_disk_free(folder);
	folder = NULL;
}

static struct fr_stamp stamp(bool with_hash)
{
	struct fr_stamp made;

	ck_assert_int_eq(fr_content_stamp(AT_FDCWD, path, with_hash, &made), 0);
	return made;
}

START_TEST(test_same_file_has_the_same_stamp_and_hash)
{
	struct fr_stamp a, b;

	fr_disk_write(path, "one");
	a = stamp(true);
	b = stamp(true);
	ck_assert(a.has_hash);
	ck_assert_int_eq(a.size, 3);
	ck_assert(fr_content_same_stamp(&a, &b));
	ck_assert(fr_content_same_hash(&a, &b));
}
END_TEST

/* On a file system that keeps that time, which moves at the next reading after a write. */
START_TEST(test_a_file_does_not_show_that_it_was_read)
{
	const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000001}};
	struct stat st;

	fr_disk_write(path, "one");
	ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
	ck_assert(stamp(true).has_hash);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_atim.tv_sec, 1000000000);
}
END_TEST

START_TEST(test_same_content_in_another_file_has_the_same_hash_only)
{
	struct fr_stamp a, b;

	fr_disk_write(path, "one");
	a = stamp(true);
	fr_disk_write(fr_disk_at(folder, "b"), "one");
	ck_assert_int_eq(rename(fr_disk_at(folder, "b"), path), 0);
	b = stamp(true);
	ck_assert(!fr_content_same_stamp(&a, &b));
	ck_assert(fr_content_same_hash(&a, &b));
}
END_TEST

START_TEST(test_other_content_of_the_same_size_has_another_hash)
{
	struct fr_stamp a, b;

	fr_disk_write(path, "one");
	a = stamp(true);
	fr_disk_write(path, "two");
	b = stamp(true);
	ck_assert(!fr_content_same_hash(&a, &b));
}
END_TEST

START_TEST(test_hash_that_is_not_known_is_never_the_same)
{
	struct fr_stamp a, b;

	fr_disk_write(path, "one");
	a = stamp(false);
	b = stamp(true);
	ck_assert(!a.has_hash);
	ck_assert(!fr_content_same_hash(&a, &a));
	ck_assert(!fr_content_same_hash(&a, &b));
	ck_assert(!fr_content_same_hash(&b, &a));
}
END_TEST

START_TEST(test_empty_file_has_a_hash)
{
	struct fr_stamp a;

	fr_disk_write(path, "");
	a = stamp(true);
	ck_assert(a.has_hash);
	ck_assert_int_eq(a.size, 0);
}
END_TEST

START_TEST(test_file_of_the_largest_size_is_read_and_a_larger_one_is_not)
{
	fr_disk_write(path, "x");
	ck_assert_int_eq(truncate(path, FR_CONTENT_MAX_BYTES), 0);
	ck_assert(stamp(true).has_hash);
	ck_assert_int_eq(truncate(path, FR_CONTENT_MAX_BYTES + 1), 0);
	ck_assert(!stamp(true).has_hash);
}
END_TEST

START_TEST(test_file_that_was_just_written_is_fresh_and_an_old_one_is_not)
{
	struct fr_stamp a;

	fr_disk_write(path, "one");
	/* A machine that takes longer than that from the one to the other is tried again. */
	for (int trial = 0; trial < 20; trial++) {
		fr_disk_write(path, "two");
		a = stamp(true);
		if (a.is_fresh)
			break;
	}
	ck_assert(a.is_fresh);
	while (stamp(true).is_fresh)
		usleep(5000);
	/* Old times can be set; the time of the change itself cannot. */
	fr_disk_set_time(path, 1000000000);
	ck_assert_int_eq(stamp(false).mtime_ns, 1000000000LL * 1000000000LL);
}
END_TEST

START_TEST(test_what_is_no_regular_file_is_not_there)
{
	static const char *const names[] = {"socket", "folder", "fifo", "dangling",
					    "loop",   "link",   "no",   "a.py/x"};
	struct fr_stamp untouched = {.size = 77}, made = untouched;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fr_disk_mkdir(fr_disk_at(folder, "folder"));
	fr_disk_write(path, "one");
	ck_assert_int_eq(mkfifo(fr_disk_at(folder, "fifo"), 0666), 0);
	ck_assert_int_eq(symlink("nowhere", fr_disk_at(folder, "dangling")), 0);
	ck_assert_int_eq(symlink("loop", fr_disk_at(folder, "loop")), 0);
	ck_assert_int_eq(symlink("folder", fr_disk_at(folder, "link")), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		ck_assert_msg(fr_content_stamp(AT_FDCWD, fr_disk_at(folder, names[i]), true,
					       &made) == -ENOENT,
			      "%s", names[i]);
		ck_assert_int_eq(made.size, untouched.size);
	}
	close(fd);
}
END_TEST

START_TEST(test_link_is_stamped_as_what_it_leads_to)
{
	struct fr_stamp a, b;

	fr_disk_write(path, "one");
	ck_assert_int_eq(symlink("a.py", fr_disk_at(folder, "link.py")), 0);
	a = stamp(true);
	ck_assert_int_eq(fr_content_stamp(AT_FDCWD, fr_disk_at(folder, "link.py"), true, &b), 0);
	ck_assert(fr_content_same_stamp(&a, &b));
}
END_TEST

START_TEST(test_name_is_relative_to_a_folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fr_stamp a, b;

	fr_disk_write(path, "one");
	a = stamp(true);
	ck_assert_int_eq(fr_content_stamp(fd, "a.py", true, &b), 0);
	ck_assert(fr_content_same_stamp(&a, &b));
	close(fd);
}
END_TEST

START_TEST(test_path_that_is_too_long_is_an_error_of_its_own)
{
	char longest[PATH_MAX + 10];
	struct fr_stamp made;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(fr_content_stamp(AT_FDCWD, longest, true, &made), -ENAMETOOLONG);
}
END_TEST

START_TEST(test_file_that_cannot_be_read_has_a_stamp_and_no_hash)
{
	struct fr_stamp made;
	int status;
	pid_t child;

	fr_disk_write(path, "one");
	ck_assert_int_eq(chmod(path, 0), 0);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	child = fork();
	if (child == 0) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(99);
		_exit(fr_content_stamp(AT_FDCWD, path, true, &made) == 0 && made.size == 3 &&
				      !made.has_hash
			      ? 0
			      : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* The content that is believed is one that the file had as a whole. */
START_TEST(test_file_that_changes_while_it_is_read_has_no_mixed_hash)
{
	static char ones[200001], twos[200001];
	struct fr_stamp one, two, made;
	pid_t child;

	memset(ones, '1', sizeof(ones) - 1);
	memset(twos, '2', sizeof(twos) - 1);
	fr_disk_write(path, ones);
	one = stamp(true);
	fr_disk_write(path, twos);
	two = stamp(true);
	child = fork();
	if (child == 0) {
		for (int fd = open(path, O_WRONLY | O_CLOEXEC);;) {
			if (pwrite(fd, ones, sizeof(ones) - 1, 0) < 0 ||
			    pwrite(fd, twos, sizeof(twos) - 1, 0) < 0)
				_exit(1);
		}
	}
	for (int i = 0; i < 300; i++) {
		made = stamp(true);
		/* While it is fresh, nobody may take it for proved. */
		ck_assert(!made.has_hash || made.is_fresh || made.hash == one.hash ||
			  made.hash == two.hash);
	}
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

Suite *fr_check_content_suite(void)
{
	Suite *suite = suite_create("content");
	TCase *tcase = tcase_create("content");

	tcase_set_timeout(tcase, 20);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_same_file_has_the_same_stamp_and_hash);
	tcase_add_test(tcase, test_a_file_does_not_show_that_it_was_read);
	tcase_add_test(tcase, test_same_content_in_another_file_has_the_same_hash_only);
	tcase_add_test(tcase, test_other_content_of_the_same_size_has_another_hash);
	tcase_add_test(tcase, test_hash_that_is_not_known_is_never_the_same);
	tcase_add_test(tcase, test_empty_file_has_a_hash);
	tcase_add_test(tcase, test_file_of_the_largest_size_is_read_and_a_larger_one_is_not);
	tcase_add_test(tcase, test_file_that_was_just_written_is_fresh_and_an_old_one_is_not);
	tcase_add_test(tcase, test_what_is_no_regular_file_is_not_there);
	tcase_add_test(tcase, test_link_is_stamped_as_what_it_leads_to);
	tcase_add_test(tcase, test_name_is_relative_to_a_folder);
	tcase_add_test(tcase, test_path_that_is_too_long_is_an_error_of_its_own);
	tcase_add_test(tcase, test_file_that_cannot_be_read_has_a_stamp_and_no_hash);
	tcase_add_test(tcase, test_file_that_changes_while_it_is_read_has_no_mixed_hash);
	suite_add_tcase(suite, tcase);
	return suite;
}
