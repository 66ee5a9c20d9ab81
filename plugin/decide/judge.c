/*
 * judge: the rules, the ignore files, and what the application has loaded. See judge.h.
 */
#include <stddef.h>

#include "decide/ignores.h"
#include "decide/judge.h"
#include "decide/loaded.h"
#include "decide/rules.h"

/* The line by which it is ignored, or NULL. */
static const struct fr_ignore_line *find_line(const struct fr_judge *judge, const char *path,
					      const char *relative, bool is_folder, bool was,
					      struct fr_ignore_line *line)
{
	if (!judge->ignores ||
	    !fr_ignores_judge(judge->ignores, path, relative, is_folder, was, line))
		return NULL;
	return line;
}

/* Is it this line alone that leaves the file out, and one that does not hold whatever was loaded?
 */
static bool is_by_line_alone(const struct fr_judge *judge, const char *relative,
			     const struct fr_ignore_line *ignored, const struct fr_verdict *verdict)
{
	struct fr_verdict without;

	if (!ignored || ignored->is_final || verdict->line == 0)
		return false;
	fr_rules_judge_file(judge->rules, relative, NULL, &without);
	return without.counts;
}

void fr_judge_file(const struct fr_judge *judge, const char *path, const char *relative, bool was,
		   struct fr_verdict *ret_verdict)
{
	struct fr_ignore_line line;
	const struct fr_ignore_line *ignored = find_line(judge, path, relative, false, was, &line);
	const struct fr_loaded *loaded = ignored ? fr_ignores_loaded(judge->ignores) : NULL;

	fr_rules_judge_file(judge->rules, relative, ignored, ret_verdict);
	if (fr_loaded_has(loaded, path) && !fr_loaded_is_written(loaded, path) &&
	    is_by_line_alone(judge, relative, ignored, ret_verdict))
		ret_verdict->counts = ret_verdict->is_loaded = true;
}

void fr_judge_folder(const struct fr_judge *judge, const char *path, const char *relative, bool was,
		     const struct fr_folder_facts *facts, struct fr_verdict *ret_verdict)
{
	struct fr_ignore_line line;

	fr_rules_judge_folder(judge->rules, relative, facts,
			      find_line(judge, path, relative, true, was, &line), ret_verdict);
}

enum fr_judge_reason fr_judge_why_not(const struct fr_judge *judge, const char *path,
				      const char *relative)
{
	struct fr_ignore_line line;
	const struct fr_ignore_line *ignored =
		find_line(judge, path, relative, false, false, &line);
	const struct fr_loaded *loaded = ignored ? fr_ignores_loaded(judge->ignores) : NULL;
	struct fr_verdict verdict;

	fr_rules_judge_file(judge->rules, relative, ignored, &verdict);
	if (!is_by_line_alone(judge, relative, ignored, &verdict))
		return FR_JUDGE_OTHER;
	if (!loaded)
		return FR_JUDGE_NOT_KNOWN;
	return fr_loaded_has(loaded, path) ? FR_JUDGE_WRITTEN : FR_JUDGE_NOT_LOADED;
}
