/*
 * ignore_oracle: what compare_ignore.py asks. It answers for a tree of ignore files as git does,
 * with nothing but decide/ignores below it.
 *
 * Each line of the input is a letter, a space and words:
 *   R                        forget all files
 *   S kind id folder bytes   the folder's file of the kind E (info/exclude), G (.gitignore) or L
 *                            (.reloadignore); bytes are hexadecimal
 *   T folder                 the folder is a repository's top
 *   F path, D path           a file, a folder below "/r", the watched folder: prints "id line" of
 * the line that decides, or "- 0"
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide/ignores.h"

#define ROOT "/r"

static struct fr_ignores *ignores;

static void must(int r)
{
	if (r < 0) {
		fprintf(stderr, "ignore_oracle: %s\n", strerror(-r));
		exit(2);
	}
}

static void forget(void)
{
	fr_ignores_free(ignores);
	must(fr_ignores_new(&ignores));
}

/* Writes the bytes over the digits. Returns how many there are. */
static size_t unhex(char *text)
{
	size_t len = 0;
	unsigned byte;

	for (const char *at = text; sscanf(at, "%2x", &byte) == 1; at += 2)
		text[len++] = (char)byte;
	return len;
}

static enum fr_ignores_kind kind_of(char letter)
{
	return letter == 'E'   ? FR_IGNORES_EXCLUDE
	       : letter == 'G' ? FR_IGNORES_GIT
			       : FR_IGNORES_RELOAD;
}

/* The folder is hexadecimal, too: it may hold spaces. */
static void set(char *words)
{
	char *rest = words;
	const char *kind = strsep(&rest, " ");
	const char *id = strsep(&rest, " ");
	char *folder = strsep(&rest, " ");
	struct fr_ignore *file;
	size_t len;

	folder[unhex(folder)] = '\0';
	len = unhex(rest);
	must(fr_ignore_new(id, rest, len, FR_IGNORE_PATTERNS, NULL, NULL, &file));
	must(fr_ignores_set(ignores, folder, kind_of(*kind), file, false));
}

static void judge(const char *path, bool is_folder)
{
	struct fr_ignore_line line;

	(void)fr_ignores_judge(ignores, path, path + sizeof(ROOT), is_folder, false, &line);
	printf("%s %u\n", line.text ? line.file : "-", line.number);
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	forget();
	while ((len = getline(&line, &size, stdin)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		if (line[0] == 'R')
			forget();
		else if (line[0] == 'S')
			set(line + 2);
		else if (line[0] == 'T')
			must(fr_ignores_set_repository(ignores, line + 2, true, false));
		else
			judge(line + 2, line[0] == 'D');
	}
	fr_ignores_free(ignores);
	free(line);
	return 0;
}
