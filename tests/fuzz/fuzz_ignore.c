/*
 * fuzz_ignore: any bytes as an ignore file of either syntax, and a path (behind the last NUL).
 * Besides memory errors and hangs it looks for answers that contradict each other.
 */
#define _GNU_SOURCE /* memrchr */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decide/ignore.h"
#include "decide/ignores.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOT "/r/"

/* Stops the fuzzer also where assert() is compiled out. */
static void require(bool condition)
{
	if (!condition)
		abort();
}

static void take_complaint(void *ctx, const char *file, unsigned line, const char *reason)
{
	require(strcmp(file, "file") == 0 && reason && *reason);
	require(line <= FR_IGNORE_MAX_LINES + 1);
	(void)ctx;
}

static void check_line(const struct fr_ignore_line *line)
{
	require(strcmp(line->file, "file") == 0 && line->text && *line->text);
	require(line->number > 0 && line->number <= FR_IGNORE_MAX_LINES + 1);
}

/* What one file says of a name, all files together say as well, if no folder on the way is ignored.
 */
static void check_answers(struct fr_ignores *ignores, const struct fr_ignore *file,
			  const char *path, bool is_folder)
{
	const char *relative = path + strlen(ROOT);
	struct fr_ignore_line alone = {0}, together, again;
	bool is_match = fr_ignore_match(file, relative, strlen(relative), is_folder, &alone);
	bool is_ignored = fr_ignores_judge(ignores, path, relative, is_folder, false, &together);

	if (is_match)
		check_line(&alone);
	if (together.text)
		check_line(&together);
	require(!is_ignored || (together.text && !together.is_negated));
	if (!strchr(relative, '/'))
		require(alone.number == together.number);
	require(is_ignored == fr_ignores_judge(ignores, path, relative, is_folder, false, &again));
	require(again.number == together.number);
	require(is_ignored == fr_ignores_judge(ignores, path, relative, is_folder, true, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memrchr(data, '\0', size) : NULL;
	size_t text_len = end ? (size_t)(end - data) : size;
	size_t path_len = end ? size - text_len - 1 : 0;
	struct fr_ignore *file = NULL;
	struct fr_ignores *ignores = NULL;
	char *path = malloc(strlen(ROOT) + path_len + 1);

	if (!path)
		return 0;
	memcpy(path, ROOT, strlen(ROOT));
	if (path_len > 0)
		memcpy(path + strlen(ROOT), end + 1, path_len);
	path[strlen(ROOT) + path_len] = '\0';

	require(fr_ignore_new("file", (const char *)data, text_len, FR_IGNORE_EITHER,
			      take_complaint, NULL, &file) == 0);
	require(fr_ignore_is_from(file, (const char *)data, text_len));
	require(fr_ignores_new(&ignores) == 0);
	if (fr_ignores_set(ignores, "/r", FR_IGNORES_RELOAD, file, false) == 0 && path_len > 0) {
		check_answers(ignores, file, path, false);
		check_answers(ignores, file, path, true);
	}
	fr_ignores_free(ignores);
	free(path);
	return 0;
}
