/*
 * judge: the rules and the ignore files together. See judge.h.
 */
#include <stddef.h>

#include "decide/ignores.h"
#include "decide/judge.h"
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

void fr_judge_file(const struct fr_judge *judge, const char *path, const char *relative, bool was,
		   struct fr_verdict *ret_verdict)
{
	struct fr_ignore_line line;

	fr_rules_judge_file(judge->rules, relative,
			    find_line(judge, path, relative, false, was, &line), ret_verdict);
}

void fr_judge_folder(const struct fr_judge *judge, const char *path, const char *relative, bool was,
		     const struct fr_folder_facts *facts, struct fr_verdict *ret_verdict)
{
	struct fr_ignore_line line;

	fr_rules_judge_folder(judge->rules, relative, facts,
			      find_line(judge, path, relative, true, was, &line), ret_verdict);
}
