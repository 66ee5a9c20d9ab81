/*
 * explain: would a change of this path count, and which rule says so? See explain.h.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decide/judge.h"
#include "decide/rules.h"
#include "report/sentence.h"
#include "watch/explain.h"
#include "watch/ignorefiles.h"
#include "watch/scan.h"

char *fr_explain_absolute(const char *value, char *path, size_t size)
{
	const char *slash = strrchr(value, '/');
	char *folder = strndup(value, slash ? (size_t)(slash - value) : 0);
	char *resolved = realpath(!slash ? "." : slash == value ? "/" : folder ? folder : "", NULL);
	char *current = resolved ? NULL : getcwd(NULL, 0);

	if (resolved)
		snprintf(path, size, "%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved,
			 slash ? slash + 1 : value);
	else
		snprintf(path, size, "%s%s%s", value[0] != '/' && current ? current : "",
			 value[0] != '/' ? "/" : "", value);
	free(folder);
	free(resolved);
	free(current);
	return path;
}

static void print_verdict(FILE *out, const char *path, bool counts,
			  const struct fr_verdict *verdict, const char *where)
{
	char text[1024], origin[1024];

	fr_sentence_path(path, text, sizeof(text));
	if (!verdict->pattern)
		fprintf(out, "%s: does not count: no pattern says that it does\n", text);
	else if (verdict->line > 0)
		fprintf(out, "%s: %s: %s\"%s\" (%s:%u)\n", text,
			counts ? "counts" : "does not count", where, verdict->pattern,
			fr_sentence_path(verdict->origin, origin, sizeof(origin)), verdict->line);
	else
		fprintf(out, "%s: %s: %s\"%s\" (%s)\n", text, counts ? "counts" : "does not count",
			where, verdict->pattern, verdict->origin);
}

/* Walks down from the watched folder: what lies in a folder that is not entered does not count,
 * whatever its name. */
static void explain_below(const struct fr_judge *judge, struct fr_ignorefiles *files, char *path,
			  const char *relative, FILE *out)
{
	struct fr_folder_facts facts;
	struct fr_verdict verdict;

	for (char *slash = strchr(relative, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		fr_scan_facts(-1, path, &facts);
		fr_judge_folder(judge, path, relative, false, &facts, &verdict);
		if (verdict.counts && files)
			(void)fr_ignorefiles_read(files, path, false);
		*slash = '/';
		if (!verdict.counts) {
			print_verdict(out, relative, false, &verdict,
				      "a folder on its way is left out by ");
			return;
		}
	}
	fr_judge_file(judge, path, relative, false, &verdict);
	print_verdict(out, relative, verdict.counts, &verdict, "");
}

bool fr_explain_path(const struct fr_rules *rules, struct fr_ignorefiles *files, const char *root,
		     const char *path, FILE *out)
{
	struct fr_judge judge = {.rules = rules};
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
	char *copy;

	if (strncmp(path, root, len) != 0 || path[len] != '/')
		return false;
	if (files) {
		judge.ignores = fr_ignorefiles_ignores(files);
		(void)fr_ignorefiles_read(files, root, false);
		(void)fr_ignorefiles_read_above(files, root, false, NULL, NULL);
	}
	copy = strdup(path);
	if (copy)
		explain_below(&judge, files, copy, copy + len + 1, out);
	free(copy);
	return true;
}
