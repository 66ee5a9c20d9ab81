/*
 * excerpt: the lines of a source file around one. See excerpt.h.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "browser/excerpt.h"

/* A line that is wrong further behind is not shown. */
#define FR_EXCERPT_MAX_BYTES (4 * 1024 * 1024)

static FILE *open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *file;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return NULL;
	}
	file = fdopen(fd, "re");
	if (!file)
		close(fd);
	return file;
}

/* Cuts a line that is too long where no character is cut in two. */
static void note_line(struct fr_excerpt *excerpt, const char *text, size_t len)
{
	char *line = excerpt->lines[excerpt->len++];

	if (len > FR_EXCERPT_LINE) {
		len = FR_EXCERPT_LINE;
		while (len > 0 && (text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(line, text, len);
	line[len] = '\0';
}

void fr_excerpt_read(const char *path, long line, struct fr_excerpt *ret_excerpt)
{
	long first = line > FR_EXCERPT_AROUND ? line - FR_EXCERPT_AROUND : 1, number = 1;
	char text[FR_EXCERPT_LINE + 4]; /* and the rest of a character */
	FILE *file = line > 0 ? open_file(path) : NULL;
	size_t len = 0;
	bool is_ending = !file;

	ret_excerpt->first = first;
	ret_excerpt->len = 0;
	for (long bytes = 0; !is_ending && bytes < FR_EXCERPT_MAX_BYTES; bytes++) {
		int c = getc_unlocked(file);

		is_ending = c == EOF;
		if (c != '\n' && !is_ending) {
			if (len < sizeof(text) && c != '\r')
				text[len++] = (char)(c ? c : ' ');
			continue;
		}
		if (number >= first && (!is_ending || len > 0))
			note_line(ret_excerpt, text, len);
		len = 0;
		is_ending |= ++number > line + FR_EXCERPT_AROUND;
	}
	if (file)
		fclose(file);
}
