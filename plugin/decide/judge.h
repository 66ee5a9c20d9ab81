/*
 * judge: the rules, the ignore files and what was loaded together: does what is at this path count?
 *
 * Joins decide/rules, decide/ignores and decide/loaded; knows no disk.
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
 *
 * A file that an ignore file leaves out, and nothing else, counts if the application has loaded it
 * and does not write it itself; then is_loaded is set, and the verdict names the line. The files of
 * the user's options are excepted, and what lies in a folder that is not entered is not asked
 * about.
 */
void fr_judge_file(const struct fr_judge *judge, const char *path, const char *relative, bool was,
		   struct fr_verdict *ret_verdict);
void fr_judge_folder(const struct fr_judge *judge, const char *path, const char *relative, bool was,
		     const struct fr_folder_facts *facts, struct fr_verdict *ret_verdict);

/* Why such a file does not count. */
enum fr_judge_reason {
	FR_JUDGE_OTHER,      /* it is no such file */
	FR_JUDGE_NOT_LOADED, /* the application has not loaded it */
	FR_JUDGE_NOT_KNOWN,  /* whether it has is not known here */
	FR_JUDGE_WRITTEN,    /* the application writes it */
};
enum fr_judge_reason fr_judge_why_not(const struct fr_judge *judge, const char *path,
				      const char *relative);

#endif
