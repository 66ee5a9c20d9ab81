/*
 * explain: would a change of this path count, and which rule says so? See explain.h.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decide/rules.h"
#include "report/sentence.h"
#include "watch/explain.h"
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
	char text[1024];

	fr_sentence_path(path, text, sizeof(text));
	if (!verdict->pattern)
		fprintf(out, "%s: does not count: no pattern says that it does\n", text);
	else
		fprintf(out, "%s: %s: %s\"%s\" (%s)\n", text, counts ? "counts" : "does not count",
			where, verdict->pattern, verdict->origin);
}

/* Walks down from the watched folder: what lies in a folder that is not entered does not count,
 * whatever its name. */
static void explain_below(const struct fr_rules *rules, const char *root, const char *relative,
			  FILE *out)
{
	char path[PATH_MAX], folder[PATH_MAX];
	struct fr_folder_facts facts;
	struct fr_verdict verdict;

	for (const char *slash = strchr(relative, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - relative), relative);
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", root, folder) >= sizeof(path))
			break;
		fr_scan_facts(-1, path, &facts);
		fr_rules_judge_folder(rules, folder, &facts, NULL, &verdict);
		if (!verdict.counts) {
			print_verdict(out, relative, false, &verdict,
				      "a folder on its way is left out by ");
			return;
		}
	}
	fr_rules_judge_file(rules, relative, NULL, &verdict);
	print_verdict(out, relative, verdict.counts, &verdict, "");
}

bool fr_explain_path(const struct fr_rules *rules, const char *root, const char *path, FILE *out)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, len) != 0 || path[len] != '/')
		return false;
	explain_below(rules, root, path + len + 1, out);
	return true;
}
