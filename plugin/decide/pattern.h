/*
 * pattern: one gitignore-style pattern, compiled once and matched many times.
 *
 * Knows the pattern language (gitignore(5)) and nothing else: no disk, no clock, no rule order.
 * Paths and patterns are bytes, not characters; only '/' and NUL are special in a path.
 */
#ifndef FR_PATTERN_H
#define FR_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct fr_pattern;

/*
 * Compiles text (borrowed, need not outlive the call) into *ret_pattern, which the caller owns.
 * Returns 0; -EINVAL where git itself could never match it (an unclosed bracket, an unknown
 * "[:class:]", brackets that hold nothing, a lone backslash at the end, nothing at all, "//"),
 * with *ret_reason set to a static sentence that says what is wrong and what would be right;
 * -ENOMEM (with *ret_reason set as well). Does not block.
 *
 * A leading '!' is a negation for the caller to use (fr_pattern_is_negated); a leading '\' makes it
 * literal; a trailing '/' limits the pattern to folders; trailing spaces go unless escaped; a
 * pattern with a '/' at its start or in its middle is anchored to the folder that it is relative
 * to. A leading '#' is a byte like any other: comments belong to the file that patterns come from.
 */
int fr_pattern_new(const char *text, struct fr_pattern **ret_pattern, const char **ret_reason);

/* Frees a pattern; NULL is fine. */
void fr_pattern_free(struct fr_pattern *pattern);

/*
 * Does the pattern match path itself (not one of its parents)? path is relative to the folder that
 * the pattern belongs to, has no leading or trailing '/', and is borrowed. The cost is bounded by
 * O(length of path² × length of pattern), whatever the pattern: a hostile one cannot stop the
 * master.
 */
bool fr_pattern_matches(const struct fr_pattern *pattern, const char *path, bool is_folder);

/*
 * The same for the first path_len bytes of path, so that a caller can ask for each parent folder
 * of a path without a copy of it.
 */
bool fr_pattern_matches_span(const struct fr_pattern *pattern, const char *path, size_t path_len,
			     bool is_folder);

/* Does the pattern match path, or a folder that path lies in? Arguments as of fr_pattern_matches.
 */
bool fr_pattern_matches_with_parents(const struct fr_pattern *pattern, const char *path,
				     bool is_folder);

/*
 * Could the pattern match something below the folder `path`? True only for anchored patterns whose
 * start leads there, name by name: "vendor/lib/x.py" may match below "vendor" and "vendor/lib", not
 * below "other"; "lib*" + "/x.py" below "libfoo", not below "other"; from a "**" on the answer is
 * true. False for patterns that are not anchored, and for those that start with a "**" and a '/',
 * which means the same to git: "every folder" is no reason to enter one that is left out.
 */
bool fr_pattern_may_match_below(const struct fr_pattern *pattern, const char *path);

/* Could the last name of whatever it matches begin, or end, with that byte? Where they say no,
 * there is no need to ask. */
bool fr_pattern_may_begin(const struct fr_pattern *pattern, unsigned char byte);
bool fr_pattern_may_end(const struct fr_pattern *pattern, unsigned char byte);

/* Was there a leading '!'? */
bool fr_pattern_is_negated(const struct fr_pattern *pattern);

/*
 * Does it take what is in a folder whatever its name: a folder pattern ("templates/"), or a last
 * name of only stars, question marks and dots, with a star ("*", "**", "*.*", "templates/" + "**")?
 */
bool fr_pattern_is_blanket(const struct fr_pattern *pattern);

/* The text that it was made from, unchanged, owned by the pattern. */
const char *fr_pattern_text(const struct fr_pattern *pattern);

#endif
