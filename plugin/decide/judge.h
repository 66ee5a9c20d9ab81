/*
 * judge: the rules and the ignore files together: does what is at this path count?
 *
 * Joins decide/rules and decide/ignores; knows no disk.
 */
#ifndef FR_JUDGE_H
#define FR_JUDGE_H

#include <stdbool.h>

struct fr_folder_facts;
struct fr_ignores;
struct fr_rules;
struct fr_verdict;

/* Both are the caller's; ignores may be NULL: there are no ignore files. */
struct fr_judge {
	const struct fr_rules *rules;
	struct fr_ignores *ignores;
};

/*
 * As fr_rules_judge_file and fr_rules_judge_folder. path is absolute, relative points to the part
 * of it below its watched folder. was: by the ignore files as they were before those that have just
 * changed (see fr_ignores_judge). Never blocks.
 */
void fr_judge_file(const struct fr_judge *judge, const char *path, const char *relative, bool was,
		   struct fr_verdict *ret_verdict);
void fr_judge_folder(const struct fr_judge *judge, const char *path, const char *relative, bool was,
		     const struct fr_folder_facts *facts, struct fr_verdict *ret_verdict);

#endif
