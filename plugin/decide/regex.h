/*
 * regex: one POSIX extended regular expression, regex(7), searched in a path in bounded time.
 *
 * Not regcomp(3): the GNU C library's can take any amount of time and memory for a short
 * expression, and this runs in uWSGI's master. Here a search takes as many steps as the path has
 * bytes times the expression has states, at most. Bytes, not characters; no locale.
 */
#ifndef FR_REGEX_H
#define FR_REGEX_H

#include <stdbool.h>
#include <stddef.h>

/* Most states of one expression. Each byte is one, times the copies that a "{…}" asks for. */
#define FR_REGEX_MAX_STATES 1000

struct fr_regex;

/*
 * Compiles text (borrowed, need not outlive the call). 0 and *ret_regex, which the caller owns;
 * -EINVAL with *ret_reason, a static sentence; or -ENOMEM.
 *
 * What POSIX leaves undefined is refused: a repetition of nothing, an empty alternative, "{"
 * without numbers, ")" alone. Beyond POSIX: \d, \w and \s, as other tools have them. No
 * back-references.
 */
int fr_regex_new(const char *text, struct fr_regex **ret_regex, const char **ret_reason);

/* NULL is fine. */
void fr_regex_free(struct fr_regex *regex);

/* Does it match anywhere in text? Never blocks, allocates nothing. */
bool fr_regex_finds(const struct fr_regex *regex, const char *text, size_t text_len);

/* How many states it has: what it costs. */
size_t fr_regex_states(const struct fr_regex *regex);

#endif
