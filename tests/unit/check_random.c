/*
 * Random operations on files, and after each round a comparison of all contents that knows nothing
 *of events, stamps or hashes: the watcher must have reported what changed, no less and no more.
 *
 *	FR_ORACLE_SEED=7 FR_ORACLE_ROUNDS=1000 CK_RUN_SUITE=random build/unit/check
 *
 * Not among the operations, because no event tells of them: writes through a second name (a hard
 *link, the target of a symbolic one).
 */
#define _GNU_SOURCE /* renameat2, asprintf */

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "decide/rules.h"
#include "disk.h"
#include "world.h"

/* The same each time, so that no change is blamed for what another seed would have found before it;
 * check-oracle takes a new one every night. */
#define DEFAULT_SEED   1
#define DEFAULT_ROUNDS 150
#define MAX_DEPTH      4

static struct fr_world world;
static uint64_t state;

/* Of each the tests are a loop of one. */
static const struct fr_source_ops *const backends[] = {&fr_inotify_ops, &fr_fanotify_ops,
						       &fr_poll_ops};

#define BACKENDS (sizeof(backends) / sizeof(*backends))

static void teardown(void)
{
	fr_world_clear(&world);
}

/* xorshift64*: the same on every machine. */
static unsigned below(unsigned limit)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (unsigned)((state * 2685821657736338717ULL) >> 33) % limit;
}

/* ---- all contents ---- */

struct entry {
	char *path; /* absolute */
	char *content;
	struct timespec mtime;
};

struct picture {
	struct entry *entries; /* sorted by path */
	size_t len;
	bool has_virtualenv;
};

static void picture_clear(struct picture *picture)
{
	for (size_t i = 0; i < picture->len; i++) {
		free(picture->entries[i].path);
		free(picture->entries[i].content);
	}
	free(picture->entries);
	*picture = (struct picture){0};
}

static char *read_all(const char *path)
{
	char text[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, text, sizeof(text) - 1);

	ck_assert_msg(len >= 0, "%s: %s", path, strerror(errno));
	close(fd);
	for (ssize_t i = 0; i < len; i++) {
		if (text[i] == '\0') /* of a file that was made longer */
			text[i] = '0';
	}
	return strdup(text);
}

static void add_file(struct picture *picture, const char *path)
{
	struct fr_verdict verdict;
	struct stat st;

	fr_rules_judge_file(world.rules, path + strlen(world.root) + 1, NULL, &verdict);
	if (!verdict.counts || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	picture->entries =
		realloc(picture->entries, (picture->len + 1) * sizeof(*picture->entries));
	ck_assert_ptr_nonnull(picture->entries);
	picture->entries[picture->len++] = (struct entry){strdup(path), read_all(path), st.st_mtim};
}

static bool is_virtualenv(const char *folder)
{
	return access(fr_disk_at(folder, "pyvenv.cfg"), F_OK) == 0;
}

static void add_folder(struct picture *picture, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	ck_assert_msg(dir != NULL, "%s: %s", folder, strerror(errno));
	while ((entry = readdir(dir))) {
		char *path;
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		ck_assert_int_ge(asprintf(&path, "%s/%s", folder, entry->d_name), 0);
		ck_assert_int_eq(lstat(path, &st), 0);
		if (!S_ISDIR(st.st_mode))
			add_file(picture, path);
		else if (is_virtualenv(path))
			picture->has_virtualenv = true;
		else if (strcmp(entry->d_name, ".git") != 0)
			add_folder(picture, path);
		free(path);
	}
	closedir(dir);
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static void picture_take(struct picture *picture)
{
	*picture = (struct picture){0};
	add_folder(picture, world.root);
	if (picture->len)
		qsort(picture->entries, picture->len, sizeof(*picture->entries), compare_entries);
}

static const struct entry *find(const struct picture *picture, const char *path)
{
	const struct entry wanted = {.path = (char *)(uintptr_t)path};

	return picture->len ? bsearch(&wanted, picture->entries, picture->len,
				      sizeof(*picture->entries), compare_entries)
			    : NULL;
}

/* ---- operations ---- */

static const char *const names[] = {"a",    "b",     "c",     "m.py", "n.py",
				    "x.py", "y.cfg", "z.txt", ".git"};

#define NAMES (sizeof(names) / sizeof(*names))

/* What was done in this round, by this process or its child, for the report. */
static FILE *journal_out;
static const char now_it_is_one[] = " (it is one now)";

/* A random path below root or outside; its folder is there unless somebody removes it. */
static void random_path(char *path, size_t size)
{
	size_t used = (size_t)snprintf(path, size, "%s", below(5) ? world.root : world.outside);
	unsigned depth = below(MAX_DEPTH);
	struct stat st;

	while (depth--) {
		size_t before = used;

		used += (size_t)snprintf(path + used, size - used, "/%s", names[below(5)]);
		if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
			path[before] = '\0';
			used = before;
		}
	}
	snprintf(path + used, size - used, "/%s", names[below(NAMES)]);
}

/* One that exists, if a few trials find one. */
static void existing_path(char *path, size_t size)
{
	struct stat st;

	for (int trial = 0; trial < 8; trial++) {
		random_path(path, size);
		if (lstat(path, &st) == 0)
			return;
	}
}

static bool is_only_name(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 || (S_ISREG(st.st_mode) && st.st_nlink == 1);
}

static const char *new_content(void)
{
	static unsigned count;
	static char text[32];

	/* Now and then one that was there before. */
	snprintf(text, sizeof(text), "content %u", below(8) ? ++count : below(3));
	return text;
}

static void op_write(const char *path)
{
	int fd = is_only_name(path) ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
				    : -1;
	const char *text = new_content();

	if (fd < 0)
		return;
	ck_assert_int_gt(write(fd, text, strlen(text)), 0);
	close(fd);
}

static void op_write_again(const char *path)
{
	int fd = is_only_name(path) ? open(path, O_RDWR | O_CLOEXEC) : -1;
	char text[256];
	ssize_t len;

	if (fd < 0)
		return;
	len = read(fd, text, sizeof(text));
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pwrite(fd, text, (size_t)len, 0), len);
	close(fd);
}

static void op_append(const char *path)
{
	int fd = is_only_name(path) ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	ck_assert_int_gt(write(fd, "+", 1), 0);
	close(fd);
}

static void op_truncate(const char *path)
{
	if (is_only_name(path))
		(void)!truncate(path, below(4));
}

static void op_atomic(const char *path)
{
	char temporary[PATH_MAX * 2];
	int fd;
	const char *text = new_content();

	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	ck_assert_int_gt(write(fd, text, strlen(text)), 0);
	close(fd);
	if (rename(temporary, path) < 0)
		unlink(temporary);
}

static void op_delete(const char *path)
{
	(void)unlink(path);
}

static void op_mkdir(const char *path)
{
	(void)mkdir(path, 0777);
}

static void op_mkdir_deep(const char *path)
{
	char below_it[PATH_MAX * 2];

	(void)mkdir(path, 0777);
	snprintf(below_it, sizeof(below_it), "%s/%s", path, names[below(5)]);
	(void)mkdir(below_it, 0777);
	op_write(fr_disk_at(below_it, names[3 + below(4)]));
}

static void op_rmtree(const char *path)
{
	(void)fr_disk_remove(path);
}

static void op_rename(const char *path)
{
	char to[PATH_MAX * 2];

	random_path(to, sizeof(to));
	fprintf(journal_out, " to %s", to);
	(void)rename(path, to);
}

static void op_exchange(const char *path)
{
	char to[PATH_MAX * 2];

	existing_path(to, sizeof(to));
	fprintf(journal_out, " with %s", to);
	(void)renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_EXCHANGE);
}

/* Targets that nobody writes to: "fixed/0.py", "fixed/1.py", a folder, nothing. */
static const char *fixed(void)
{
	static const char *const targets[] = {"fixed/0.py", "fixed/1.py", "fixed",
					      "fixed/nothing.py"};

	return fr_disk_at(world.top, targets[below(4)]);
}

static void op_symlink(const char *path)
{
	char temporary[PATH_MAX * 2];

	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	if (symlink(fixed(), temporary) == 0 && rename(temporary, path) < 0)
		unlink(temporary);
}

static void op_hardlink(const char *path)
{
	(void)link(fixed(), path);
}

static void op_chmod(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
		(void)chmod(path, below(2) ? 0644 : 0600);
}

static void op_utime(const char *path)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000 + below(9)}};

	if (is_only_name(path))
		(void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static void op_virtualenv(const char *path)
{
	struct stat st;
	int fd;

	if (below(4) || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	fd = open(fr_disk_at(path, "pyvenv.cfg"), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	close(fd);
	fprintf(journal_out, "%s", now_it_is_one);
}

/* Events about nothing until the queue, of 16,384 by default, has no room. */
static void op_overflow(const char *path)
{
	if (below(10) == 0)
		fr_disk_make_events(world.root, 17000);
}

static void op_step(const char *path)
{
	(void)fr_watcher_step(world.watcher);
}

static const struct {
	const char *name;
	void (*run)(const char *path);
	bool wants_existing;
	unsigned weight;
} operations[] = {
	{"write", op_write, false, 8},       {"write again", op_write_again, true, 2},
	{"append", op_append, true, 3},      {"truncate", op_truncate, true, 2},
	{"atomic", op_atomic, false, 5},     {"delete", op_delete, true, 4},
	{"mkdir", op_mkdir, false, 4},       {"mkdir deep", op_mkdir_deep, false, 4},
	{"rmtree", op_rmtree, true, 3},      {"rename", op_rename, true, 9},
	{"exchange", op_exchange, true, 4},  {"symlink", op_symlink, false, 2},
	{"hardlink", op_hardlink, false, 2}, {"chmod", op_chmod, true, 2},
	{"utime", op_utime, true, 2},        {"virtualenv", op_virtualenv, true, 1},
	{"overflow", op_overflow, false, 1}, {"step", op_step, false, 12},
};

#define OPERATIONS (sizeof(operations) / sizeof(*operations))

static void operate(bool with_steps)
{
	char path[PATH_MAX * 2];
	unsigned total = 0, pick;
	size_t i;

	for (i = 0; i < OPERATIONS; i++)
		total += operations[i].weight;
	pick = below(total);
	for (i = 0; pick >= operations[i].weight; i++)
		pick -= operations[i].weight;
	if (operations[i].run == op_step && !with_steps)
		return;
	if (operations[i].wants_existing)
		existing_path(path, sizeof(path));
	else
		random_path(path, sizeof(path));
	fprintf(journal_out, "\t%s %s", operations[i].name, path);
	operations[i].run(path);
	fprintf(journal_out, "\n");
}

/* ---- rounds ---- */

static const char *read_journal(void)
{
	static char text[16384];
	size_t len;

	rewind(journal_out);
	len = fread(text, 1, sizeof(text) - 1, journal_out);
	text[len] = '\0';
	return text;
}

static void complain(unsigned round, const char *what, const char *path, const struct entry *was,
		     const struct entry *is, enum fr_change_kind kind)
{
	ck_abort_msg("%s: round %u: %s: %s\nwas %s, is %s, reported as %d, after\n%s",
		     world.ops->name, round, what, path, was ? was->content : "missing",
		     is ? is->content : "missing", kind, read_journal());
}

/* A file that a virtual environment has swallowed is neither there nor gone, and when that goes it
 * is gone with it: it may have come and gone within the round. */
static bool is_swallowed(const char *path, const struct picture *before,
			 const struct picture *after)
{
	struct stat st;

	return before->has_virtualenv || after->has_virtualenv || stat(path, &st) == 0 ||
	       strstr(read_journal(), now_it_is_one);
}

static void check_path(unsigned round, const char *path, const struct picture *before,
		       const struct picture *after)
{
	const struct entry *was = find(before, path), *is = find(after, path);
	enum fr_change_kind kind = fr_world_change_of(&world, path);
	bool is_same = was && is && strcmp(was->content, is->content) == 0;

	if (is_same) {
		bool is_touched = was->mtime.tv_sec != is->mtime.tv_sec ||
				  was->mtime.tv_nsec != is->mtime.tv_nsec;

		if (kind != FR_CHANGE_NONE && (kind != FR_CHANGE_TOUCHED || !is_touched))
			complain(round, "invented", path, was, is, kind);
	} else if (was && is) {
		if (kind != FR_CHANGE_MODIFIED)
			complain(round, "missed", path, was, is, kind);
	} else if (is) {
		if (kind != FR_CHANGE_ADDED)
			complain(round, "missed", path, was, is, kind);
	} else if (was) {
		if (kind != FR_CHANGE_REMOVED &&
		    (kind != FR_CHANGE_NONE || !is_swallowed(path, before, after)))
			complain(round, "missed", path, was, is, kind);
	} else {
		complain(round, "invented", path, was, is, kind);
	}
}

static void check_round(unsigned round, const struct picture *before, const struct picture *after)
{
	for (size_t i = 0; i < before->len; i++)
		check_path(round, before->entries[i].path, before, after);
	for (size_t i = 0; i < after->len; i++)
		check_path(round, after->entries[i].path, before, after);
	for (size_t i = 0; i < world.changes_len; i++)
		check_path(round, world.changes[i].path, before, after);
}

/* In this process, with a step here and there: the same each time. */
static void play_in_turns(unsigned len)
{
	while (len--)
		operate(true);
}

/* In another process while this one watches: as it is in life. */
static void play_at_once(unsigned len)
{
	pid_t child;

	fflush(journal_out);
	child = fork();
	if (child == 0) {
		state ^= len << 7; /* what it does is not what we shall do next */
		while (len--)
			operate(false);
		fflush(journal_out);
		_exit(0);
	}
	while (waitpid(child, NULL, WNOHANG) == 0)
		(void)fr_watcher_step(world.watcher);
}

static unsigned number_from(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

START_TEST(test_random_operations_are_reported_no_less_and_no_more)
{
	unsigned seed = number_from("FR_ORACLE_SEED", DEFAULT_SEED);
	unsigned rounds = number_from("FR_ORACLE_ROUNDS", DEFAULT_ROUNDS);
	struct picture before, after;

	if (!fr_world_has(backends[_i]))
		return;
	printf("random: %s: %u rounds, FR_ORACLE_SEED=%u\n", backends[_i]->name, rounds, seed);
	fflush(stdout);
	fr_world_init(&world, backends[_i]);
	state = 88172645463325252ULL + seed;
	fr_disk_mkdir(fr_disk_at(world.top, "fixed"));
	fr_disk_write(fr_disk_at(world.top, "fixed/0.py"), "fixed 0");
	fr_disk_write(fr_disk_at(world.top, "fixed/1.py"), "fixed 1");
	ck_assert_int_eq(fr_world_arm(&world, true), 0);
	picture_take(&before);
	for (unsigned round = 0; round < rounds; round++) {
		journal_out = tmpfile();
		ck_assert_ptr_nonnull(journal_out);
		if (below(4))
			play_in_turns(1 + below(12));
		else
			play_at_once(1 + below(30));
		fr_world_look(&world);
		picture_take(&after);
		check_round(round, &before, &after);
		picture_clear(&before);
		before = after;
		fclose(journal_out);
	}
	picture_clear(&before);
	ck_assert_uint_eq(world.troubles, 0);
}
END_TEST

Suite *fr_check_random_suite(void)
{
	Suite *suite = suite_create("random");
	TCase *tcase = tcase_create("random");

	tcase_set_timeout(tcase, 20 + number_from("FR_ORACLE_ROUNDS", DEFAULT_ROUNDS));
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, test_random_operations_are_reported_no_less_and_no_more, 0,
			    (int)BACKENDS);
	suite_add_tcase(suite, tcase);
	return suite;
}
