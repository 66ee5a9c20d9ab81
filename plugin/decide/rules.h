/*
 * rules: does a path count, and may a folder be skipped altogether? The built-in tables, then what
 * the ignore files say, then what the user added, the last match decides.
 *
 * Knows patterns and their order. Knows no disk (what must be looked up there comes in as facts)
 * and no clock.
 */
#ifndef FR_RULES_H
#define FR_RULES_H

#include <stdbool.h>
#include <stdio.h>

struct fr_ignore_line;

/*
 * What a rule is. Tried in the order SOURCE, FOLDER, then the user's as they were given; the last
 * match decides. NEVER stands outside that order: see fr_rules_judge_file.
 */
enum fr_rule_kind {
	FR_RULE_SOURCE,  /* built in: counts ("*.py") */
	FR_RULE_FOLDER,  /* built in: a folder that is not entered (".git/") */
	FR_RULE_INCLUDE, /* --fastreload-include */
	FR_RULE_EXCLUDE, /* --fastreload-exclude */
	FR_RULE_NEVER,   /* built in: files that no blanket include takes in ("*.swp") */
};

/* What is known of a folder that decides whether it is entered; the scan fills it in. */
struct fr_folder_facts {
	bool has_pyvenv_cfg; /* holds "pyvenv.cfg": a virtual environment */
	bool has_init_py;    /* holds "__init__.py": a Python package, whatever its name */
};

/* A verdict and the rule behind it. The strings belong to the rules or to the ignore file, or are
 * static. */
struct fr_verdict {
	bool counts;         /* file: a change of it matters; folder: it is watched and entered */
	const char *pattern; /* the pattern that decided, or NULL where none matched */
	const char *origin;  /* "built-in source files", "--fastreload-exclude", … or NULL */
	unsigned line;  /* then origin is the path of an ignore file, and this the line; or 0 */
	bool is_loaded; /* it counts although that line ignores it (see decide/judge) */
};

struct fr_rules;

/* Makes the rules with the built-in tables. 0 or -ENOMEM; the caller owns *ret_rules. */
int fr_rules_new(struct fr_rules **ret_rules);

/* Frees rules; NULL is fine. */
void fr_rules_free(struct fr_rules *rules);

/*
 * Adds a user's pattern (borrowed) of kind FR_RULE_INCLUDE or FR_RULE_EXCLUDE after all others; a
 * leading '!' turns one into the other, as in gitignore, and leaves the origin the option that it
 * came from. 0, -EINVAL or -ENOMEM with *ret_reason set to a static sentence (see fr_pattern_new).
 */
int fr_rules_add(struct fr_rules *rules, enum fr_rule_kind kind, const char *pattern,
		 const char **ret_reason);

/* The same for a pattern that another option gave: origin (static) is its name. */
int fr_rules_add_from(struct fr_rules *rules, enum fr_rule_kind kind, const char *pattern,
		      const char *origin, const char **ret_reason);

/*
 * Does the file at path count? path is relative to the watched folder, without a leading '/'. A
 * rule that matches one of its parent folders counts as matching the file. A file of a NEVER kind
 * does not count, unless an include names that kind: it matches the file's own path and is not
 * blanket (fr_pattern_is_blanket). "templates/" does not take "templates/a.html~"; "*.log" takes
 * "a.log".
 *
 * Does not look whether the scan would get there: ask fr_rules_judge_folder for each parent first.
 * In particular what depends on facts (virtual environments, "build/", "dist/") is not known here,
 * so that a file in "build" counts as anywhere else. Never blocks.
 *
 * ignored: the line of an ignore file by which it is left out, unless the user's own rules say
 * otherwise; NULL for none (see decide/judge).
 */
void fr_rules_judge_file(const struct fr_rules *rules, const char *path,
			 const struct fr_ignore_line *ignored, struct fr_verdict *ret_verdict);

/*
 * Is the folder at path (relative, as above; never the watched folder itself) entered? It is,
 * unless the last rule that matches it or a parent leaves it out; and it is entered all the same
 * where a later include may match below it. A virtual environment is entered only if an include
 * matches the folder itself or may match below it; a "build" or "dist" with __init__.py is a
 * package and entered. facts (borrowed, not NULL) are those of the folder, not of its parents.
 * ignored: as above. Never blocks.
 */
void fr_rules_judge_folder(const struct fr_rules *rules, const char *path,
			   const struct fr_folder_facts *facts,
			   const struct fr_ignore_line *ignored, struct fr_verdict *ret_verdict);

/* Prints the built-in tables, a pattern a line under their headings, as README.rst shows them. */
void fr_rules_print_builtin(FILE *out);

#endif
