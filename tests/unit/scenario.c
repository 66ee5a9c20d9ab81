/*
 * scenario: runs a script from tests/scenarios. See scenario.h.
 */
#define _GNU_SOURCE /* renameat2, unshare, asprintf */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "scenario.h"
#include "world.h"

#define WORDS       64
#define MOUNTS      8
#define MAPPED_SIZE 4096

struct player {
	struct fr_world world;
	const char *file;
	int line;
	char *words[WORDS + 1]; /* of the line at hand, NULL at the end; owned */
	int fd;                 /* of "open", or -1 */
	char *mapped;           /* of "map", or NULL */
	unsigned losses;        /* that were expected already */
	char *mounts[MOUNTS];
	size_t mounts_len;
	bool is_skipped;
};

/* What a script asks for and the system refuses is a mistake in the script. */
#define must(player, call)                                                                         \
	ck_assert_msg((call) >= 0, "%s:%d: %s: %s", (player)->file, (player)->line, #call,         \
		      strerror(errno))

/* ---- words ---- */

/* Writes the word with its \xHH and {x*N} replaced. */
static char *unescape(const char *word)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	unsigned byte;
	int count, used;
	char repeated;

	ck_assert_ptr_nonnull(out);
	while (*word) {
		used = 0;
		if (sscanf(word, "\\x%2x%n", &byte, &used) == 1 && used == 4) {
			fputc((int)byte, out);
		} else if (sscanf(word, "{%c*%d}%n", &repeated, &count, &used) == 2 && used > 0) {
			while (count-- > 0)
				fputc(repeated, out);
		} else {
			fputc(*word, out);
			used = 1;
		}
		word += used;
	}
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static void forget_words(struct player *player)
{
	for (char **word = player->words; *word; word++) {
		free(*word);
		*word = NULL;
	}
}

static size_t split(struct player *player, char *line)
{
	size_t len = 0;
	char *rest, *comment = line[0] == '#' ? line : strstr(line, " #");

	if (comment)
		*comment = '\0';
	for (char *word = strtok_r(line, " \t\n", &rest); word;
	     word = strtok_r(NULL, " \t\n", &rest)) {
		ck_assert_uint_lt(len, WORDS);
		player->words[len++] = unescape(word);
	}
	return len;
}

/* The nth word as an absolute path. */
static const char *path_at(const struct player *player, size_t n)
{
	const char *word = player->words[n];
	const char *above = fr_disk_at(player->world.top, "above");

	ck_assert_msg(word != NULL, "%s:%d: a path is missing", player->file, player->line);
	if (strcmp(word, ".") == 0)
		return player->world.root;
	if (strcmp(word, "..") == 0)
		return above;
	if (strncmp(word, "../", 3) == 0)
		return fr_disk_at(above, word + 3);
	if (strncmp(word, "outside/", 8) == 0)
		return fr_disk_at(player->world.top, word);
	return fr_disk_at(player->world.root, word);
}

/* The words from the nth on, as text with a newline. */
static const char *text_at(const struct player *player, size_t n)
{
	static char text[4096];
	size_t used = 0;

	for (; player->words[n] && used < sizeof(text); n++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", player->words[n]);
	ck_assert_uint_lt(used + 1, sizeof(text));
	snprintf(text + used, sizeof(text) - used, "\n");
	return text;
}

static long number_at(const struct player *player, size_t n, int base)
{
	ck_assert_msg(player->words[n] != NULL, "%s:%d: a number is missing", player->file,
		      player->line);
	return strtol(player->words[n], NULL, base);
}

/* ---- writing ---- */

static void write_all(struct player *player, int fd, const char *text)
{
	must(player, write(fd, text, strlen(text)));
}

static void do_write(struct player *player)
{
	fr_disk_write(path_at(player, 1), text_at(player, 2));
}

static void do_append(struct player *player)
{
	int fd = open(path_at(player, 1), O_WRONLY | O_APPEND | O_CLOEXEC);

	must(player, fd);
	write_all(player, fd, text_at(player, 2));
	close(fd);
}

static void do_atomic(struct player *player)
{
	char temporary[PATH_MAX * 2 + 8];

	snprintf(temporary, sizeof(temporary), "%s.tmp", path_at(player, 1));
	fr_disk_write(temporary, text_at(player, 2));
	must(player, rename(temporary, path_at(player, 1)));
}

static void do_tmpfile(struct player *player)
{
	char folder[PATH_MAX * 2], link[64];
	int fd;

	snprintf(folder, sizeof(folder), "%s", path_at(player, 1));
	*strrchr(folder, '/') = '\0';
	fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EOPNOTSUPP) {
		fprintf(stderr, "skipped: %s: no O_TMPFILE on this file system\n", player->file);
		player->is_skipped = true;
		return;
	}
	must(player, fd);
	write_all(player, fd, text_at(player, 2));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	must(player, linkat(AT_FDCWD, link, AT_FDCWD, path_at(player, 1), AT_SYMLINK_FOLLOW));
	close(fd);
}

static void do_open(struct player *player)
{
	player->fd = open(path_at(player, 1), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	must(player, player->fd);
}

static void do_put(struct player *player)
{
	write_all(player, player->fd, text_at(player, 1));
}

static void do_close(struct player *player)
{
	must(player, close(player->fd));
	player->fd = -1;
}

static void do_map(struct player *player)
{
	int fd = open(path_at(player, 1), O_RDWR | O_CLOEXEC);

	must(player, fd);
	player->mapped = mmap(NULL, MAPPED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(player->mapped, MAP_FAILED);
	close(fd);
}

static void do_store(struct player *player)
{
	memcpy(player->mapped, player->words[1], strlen(player->words[1]));
	must(player, msync(player->mapped, MAPPED_SIZE, MS_SYNC));
}

static void do_unmap(struct player *player)
{
	must(player, munmap(player->mapped, MAPPED_SIZE));
	player->mapped = NULL;
}

/* ---- names and attributes ---- */

static void do_mkdir(struct player *player)
{
	fr_disk_mkdir(path_at(player, 1));
}

static void do_rename(struct player *player)
{
	must(player, rename(path_at(player, 1), path_at(player, 2)));
}

static void do_exchange(struct player *player)
{
	must(player, renameat2(AT_FDCWD, path_at(player, 1), AT_FDCWD, path_at(player, 2),
			       RENAME_EXCHANGE));
}

static void do_hardlink(struct player *player)
{
	must(player, link(path_at(player, 1), path_at(player, 2)));
}

static void do_symlink(struct player *player)
{
	must(player, symlink(player->words[1], path_at(player, 2)));
}

static void do_touch(struct player *player)
{
	must(player, utimensat(AT_FDCWD, path_at(player, 1), NULL, 0));
}

static void do_utime(struct player *player)
{
	fr_disk_set_time(path_at(player, 1), number_at(player, 2, 10));
}

static void do_chmod(struct player *player)
{
	must(player, chmod(path_at(player, 1), (mode_t)number_at(player, 2, 8)));
}

static void do_truncate(struct player *player)
{
	must(player, truncate(path_at(player, 1), number_at(player, 2, 10)));
}

static void do_delete(struct player *player)
{
	must(player, unlink(path_at(player, 1)));
}

static void do_rmdir(struct player *player)
{
	must(player, rmdir(path_at(player, 1)));
}

static void do_rmtree(struct player *player)
{
	must(player, fr_disk_remove(path_at(player, 1)));
}

/* ---- mounts ---- */

/* In a mount namespace of this process and its children, so that no other one sees them. */
static void enter_namespace(struct player *player)
{
	if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0)
		return;
	fprintf(stderr, "skipped: %s: a mount namespace: %s\n", player->file, strerror(errno));
	player->is_skipped = true;
}

static void mounted(struct player *player, const char *from, const char *to, const char *type,
		    unsigned long flags)
{
	if (mount(from, to, type, flags, NULL) < 0) {
		fprintf(stderr, "skipped: %s: mounting: %s\n", player->file, strerror(errno));
		player->is_skipped = true;
		return;
	}
	ck_assert_uint_lt(player->mounts_len, MOUNTS);
	player->mounts[player->mounts_len++] = strdup(to);
}

static void do_mount(struct player *player)
{
	mounted(player, "none", path_at(player, 1), "tmpfs", 0);
}

static void do_bind(struct player *player)
{
	mounted(player, path_at(player, 1), path_at(player, 2), "none", MS_BIND);
}

static void do_unmount(struct player *player)
{
	must(player, umount(path_at(player, 1)));
	free(player->mounts[--player->mounts_len]);
}

/* ---- the watcher ---- */

static void do_root(struct player *player)
{
	must(player,
	     fr_watcher_add_root(player->world.watcher, path_at(player, 1), player->world.ops));
}

/* What a backend cannot tell, however well it is made. Watchman says that a path changed, and not
 * how; its daemon sees the mounts of its own namespace, does not wait for mappings to end, and now
 * and then stays silent about a root that was replaced in the same moment. */
static void do_needs(struct player *player)
{
	static const struct {
		const char *backend, *what;
	} lacking[] = {
		{"watchman", "touches"},
		{"watchman", "mounts"},
		{"watchman", "mappings"},
		{"watchman", "roots that come back at once"},
	};

	for (size_t i = 0; i < sizeof(lacking) / sizeof(*lacking); i++) {
		if (strcmp(lacking[i].backend, player->world.ops->name) == 0 &&
		    strncmp(lacking[i].what, player->words[1], strlen(player->words[1])) == 0)
			player->is_skipped = true;
	}
	if (player->is_skipped)
		fprintf(stderr, "skipped: %s: %s does not tell %s\n", player->file,
			player->world.ops->name, player->words[1]);
}

static void do_arm(struct player *player)
{
	must(player, fr_world_arm(&player->world, true));
}

static void do_arm_without_baseline(struct player *player)
{
	must(player, fr_world_arm(&player->world, false));
}

static void do_step(struct player *player)
{
	(void)fr_watcher_step(player->world.watcher);
}

static void do_rescan(struct player *player)
{
	fr_watcher_rescan(player->world.watcher);
}

static void do_overflow(struct player *player)
{
	fr_disk_make_events(player->world.root, number_at(player, 1, 10));
}

/* ---- what must have come of it ---- */

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the lines and joins them, frees them. */
static char *join(char **lines, size_t len)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	if (len > 0)
		qsort(lines, len, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < len; i++) {
		fprintf(out, "\t%s\n", lines[i]);
		free(lines[i]);
	}
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static char *line_of(const char *kind, const char *path)
{
	char *line;

	ck_assert_int_ge(asprintf(&line, "%s %s", kind, path), 0);
	return line;
}

static char *wanted_changes(const struct player *player)
{
	static const char *const kinds[] = {"added", "modified", "removed", "touched"};
	const char *kind = NULL;
	char *lines[WORDS] = {NULL};
	size_t len = 0;

	for (size_t n = 1; player->words[n]; n++) {
		const char *word = player->words[n];
		bool is_kind = false;

		for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
			if (strcmp(word, kinds[i]) == 0) {
				kind = kinds[i];
				is_kind = true;
			}
		}
		if (strcmp(word, "lost") == 0 && player->world.ops != &fr_inotify_ops)
			continue; /* no queue of the kernel is between us and that source */
		if (strcmp(word, "lost") == 0)
			lines[len++] = line_of("lost", "events");
		else if (!is_kind && strcmp(word, "nothing") != 0)
			lines[len++] = line_of(kind ? kind : "?", path_at(player, n));
	}
	return join(lines, len);
}

static char *seen_changes(struct player *player)
{
	static const char *const kinds[] = {
		[FR_CHANGE_NONE] = "none",         [FR_CHANGE_ADDED] = "added",
		[FR_CHANGE_MODIFIED] = "modified", [FR_CHANGE_TOUCHED] = "touched",
		[FR_CHANGE_REMOVED] = "removed",
	};
	struct fr_world *world = &player->world;
	char **lines = calloc(world->changes_len + 1, sizeof(*lines)), *text;
	size_t len = 0;

	ck_assert_ptr_nonnull(lines);
	for (; len < world->changes_len; len++)
		lines[len] = line_of(kinds[world->changes[len].kind], world->changes[len].path);
	if (world->losses > player->losses && world->ops == &fr_inotify_ops)
		lines[len++] = line_of("lost", "events");
	player->losses = world->losses;
	text = join(lines, len);
	free(lines);
	return text;
}

static void do_expect(struct player *player)
{
	char *wanted = wanted_changes(player), *seen;

	fr_world_look(&player->world);
	seen = seen_changes(player);
	ck_assert_msg(strcmp(wanted, seen) == 0, "%s:%d: wanted:\n%sseen by %s:\n%s", player->file,
		      player->line, wanted, player->world.ops->name, seen);
	free(wanted);
	free(seen);
}

/* ---- the script ---- */

static const struct {
	const char *word;
	void (*run)(struct player *player);
} commands[] = {
	{"append", do_append},     {"arm", do_arm},
	{"atomic", do_atomic},     {"arm-without-baseline", do_arm_without_baseline},
	{"bind", do_bind},         {"chmod", do_chmod},
	{"close", do_close},       {"delete", do_delete},
	{"exchange", do_exchange}, {"expect", do_expect},
	{"hardlink", do_hardlink}, {"map", do_map},
	{"mkdir", do_mkdir},       {"mount", do_mount},
	{"needs", do_needs},       {"movein", do_rename},
	{"moveout", do_rename},    {"open", do_open},
	{"overflow", do_overflow}, {"put", do_put},
	{"rename", do_rename},     {"rescan", do_rescan},
	{"rmdir", do_rmdir},       {"rmtree", do_rmtree},
	{"root", do_root},         {"step", do_step},
	{"store", do_store},       {"symlink", do_symlink},
	{"tmpfile", do_tmpfile},   {"touch", do_touch},
	{"truncate", do_truncate}, {"unmap", do_unmap},
	{"unmount", do_unmount},   {"utime", do_utime},
	{"write", do_write},
};

/* "poll: expect nothing" is for that backend alone. Takes the word away. */
static bool is_for(struct player *player)
{
	char *word = player->words[0];
	size_t len = strlen(word);
	bool is_ours;

	if (word[len - 1] != ':')
		return true;
	word[len - 1] = '\0';
	is_ours = strcmp(word, player->world.ops->name) == 0;
	free(word);
	memmove(player->words, player->words + 1, WORDS * sizeof(*player->words));
	return is_ours;
}

static void run_command(struct player *player)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(player->words[0], commands[i].word) == 0) {
			commands[i].run(player);
			return;
		}
	}
	ck_abort_msg("%s:%d: what is \"%s\"?", player->file, player->line, player->words[0]);
}

static void tidy(struct player *player)
{
	forget_words(player);
	if (player->fd >= 0)
		close(player->fd);
	if (player->mapped)
		munmap(player->mapped, MAPPED_SIZE);
	while (player->mounts_len > 0) {
		umount2(player->mounts[--player->mounts_len], MNT_DETACH);
		free(player->mounts[player->mounts_len]);
	}
	fr_world_clear(&player->world);
}

/* All of it at once: a child that ends while the file is open could move the place where the parent
 * reads on. */
static void read_script(const char *file, char *text, size_t size)
{
	FILE *script = fopen(file, "re");
	size_t len = 0;

	if (script)
		len = fread(text, 1, size - 1, script);
	ck_assert_msg(script != NULL, "%s: %s", file, strerror(errno));
	ck_assert_msg(len < size - 1, "%s is too long", file);
	text[len] = '\0';
	if (script)
		fclose(script);
}

void fr_scenario_run(const char *file, const struct fr_source_ops *ops)
{
	const char *slash = strrchr(file, '/');
	struct player player = {.file = slash ? slash + 1 : file, .fd = -1};
	char text[16384], *rest = text, *line;

	read_script(file, text, sizeof(text));
	fr_world_init(&player.world, ops);
	if (strstr(text, "\nmount ") || strstr(text, "\nbind "))
		enter_namespace(&player); /* before any process is forked */
	while (!player.is_skipped && (line = strsep(&rest, "\n"))) {
		player.line++;
		if (split(&player, line) > 0 && is_for(&player))
			run_command(&player);
		forget_words(&player);
	}
	tidy(&player);
}
