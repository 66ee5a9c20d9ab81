/*
 * explain: would a change of this path count, and which rule says so? For people who ask.
 *
 * Asks the rules in the order in which the scan does, and looks at the disk for what they want to
 * know.
 */
#ifndef FR_EXPLAIN_H
#define FR_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "decide/rules.h"

struct fr_ignorefiles;
struct fr_judge;

struct fr_explanation {
	struct fr_verdict verdict;
	bool is_by_folder;    /* it is one of its folders that is left out */
	int why_not;          /* of a file that an ignore file leaves out: enum fr_judge_reason */
	const char *relative; /* points into the path that was asked about */
};

/* Longest text of an explanation, with its NUL. */
#define FR_EXPLAIN_TEXT_SIZE 4096

/*
 * The absolute path of what may not exist (yet), with its folder resolved as far as there is one;
 * relative to the current folder. Writes it to path, cut if it does not fit, and returns path.
 */
char *fr_explain_absolute(const char *value, char *path, size_t size);

/*
 * What the judge says of path (absolute, borrowed), if it is below the watched folder root
 * (absolute). files, which are those of the judge, are read from the disk on the way; NULL: they
 * are taken as they are. may_look: the disk is asked what kind of folders are on the way; else
 * nothing is known of them. Returns whether it is below root; also false where memory is short.
 */
bool fr_explain_judge(const struct fr_judge *judge, struct fr_ignorefiles *files, bool may_look,
		      const char *root, const char *path, struct fr_explanation *ret_explanation);

/* Writes it as a sentence, without a newline. Returns text. */
char *fr_explain_text(const struct fr_explanation *explanation, char text[FR_EXPLAIN_TEXT_SIZE]);

/* Prints one sentence about path (absolute) to out, if it is below the watched folder root
 * (absolute). Returns whether it is. files (may be NULL) are read from the disk on the way. */
bool fr_explain_path(const struct fr_rules *rules, struct fr_ignorefiles *files, const char *root,
		     const char *path, FILE *out);

#endif
