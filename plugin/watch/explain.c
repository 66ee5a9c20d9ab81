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

char *fr_explain_text(const struct fr_explanation *explanation, char text[FR_EXPLAIN_TEXT_SIZE])
{
	const struct fr_verdict *verdict = &explanation->verdict;
	const char *where = explanation->is_by_folder ? "a folder on its way is left out by " : "";
	const char *counts = verdict->counts ? "counts" : "does not count";
	static const char *const reasons[] = {
		[FR_JUDGE_OTHER] = "",
		[FR_JUDGE_NOT_LOADED] = ", and the application has not loaded it",
		[FR_JUDGE_NOT_KNOWN] = ", unless a Python application loads it",
		[FR_JUDGE_WRITTEN] = ", and the application, which has loaded it, writes it itself",
	};
	char path[1024], origin[1024];

	fr_sentence_path(explanation->relative, path, sizeof(path));
	if (!verdict->pattern)
		snprintf(text, FR_EXPLAIN_TEXT_SIZE,
			 "%s: does not count: no pattern says that it does", path);
	else if (verdict->is_loaded)
		snprintf(text, FR_EXPLAIN_TEXT_SIZE,
			 "%s: counts: it is ignored by \"%s\" (%s:%u), but the application has "
			 "loaded "
			 "it",
			 path, verdict->pattern,
			 fr_sentence_path(verdict->origin, origin, sizeof(origin)), verdict->line);
	else if (verdict->line > 0)
		snprintf(text, FR_EXPLAIN_TEXT_SIZE, "%s: %s: %s\"%s\" (%s:%u)%s", path, counts,
			 where, verdict->pattern,
			 fr_sentence_path(verdict->origin, origin, sizeof(origin)), verdict->line,
			 reasons[explanation->why_not]);
	else
		snprintf(text, FR_EXPLAIN_TEXT_SIZE, "%s: %s: %s\"%s\" (%s)", path, counts, where,
			 verdict->pattern, verdict->origin);
	return text;
}

/* What is known of folders before anybody looks at them. */
struct walk {
	const struct fr_judge *judge;
	struct fr_ignorefiles *files; /* to be read on the way; NULL: none */
	bool may_look;
};

/* Walks down from the watched folder: what lies in a folder that is not entered does not count,
 * whatever its name. copy: of the path, to be cut here and there. */
static void walk_down(const struct walk *walk, char *copy, const char *relative,
		      struct fr_explanation *explanation)
{
	for (char *slash = strchr(relative, '/'); slash; slash = strchr(slash + 1, '/')) {
		struct fr_folder_facts facts = {0};

		*slash = '\0';
		if (walk->may_look)
			fr_scan_facts(-1, copy, &facts);
		fr_judge_folder(walk->judge, copy, relative, false, &facts, &explanation->verdict);
		if (explanation->verdict.counts && walk->files)
			(void)fr_ignorefiles_read(walk->files, copy, false);
		*slash = '/';
		if (!explanation->verdict.counts) {
			explanation->is_by_folder = true;
			return;
		}
	}
	fr_judge_file(walk->judge, copy, relative, false, &explanation->verdict);
	if (!explanation->verdict.counts)
		explanation->why_not = fr_judge_why_not(walk->judge, copy, relative);
}

bool fr_explain_judge(const struct fr_judge *judge, struct fr_ignorefiles *files, bool may_look,
		      const char *root, const char *path, struct fr_explanation *ret_explanation)
{
	const struct walk walk = {.judge = judge, .files = files, .may_look = may_look};
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
	char *copy = strncmp(path, root, len) == 0 && path[len] == '/' ? strdup(path) : NULL;

	if (!copy)
		return false;
	if (files) {
		(void)fr_ignorefiles_read(files, root, false);
		(void)fr_ignorefiles_read_above(files, root, false, NULL, NULL);
	}
	*ret_explanation = (struct fr_explanation){.relative = path + len + 1};
	walk_down(&walk, copy, copy + len + 1, ret_explanation);
	free(copy);
	return true;
}

bool fr_explain_path(const struct fr_rules *rules, struct fr_ignorefiles *files, const char *root,
		     const char *path, FILE *out)
{
	const struct fr_judge judge = {
		.rules = rules,
		.ignores = files ? fr_ignorefiles_ignores(files) : NULL,
	};
	struct fr_explanation explanation;
	char text[FR_EXPLAIN_TEXT_SIZE];

	if (!fr_explain_judge(&judge, files, true, root, path, &explanation))
		return false;
	fprintf(out, "%s\n", fr_explain_text(&explanation, text));
	return true;
}
