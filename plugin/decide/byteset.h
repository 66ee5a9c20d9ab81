/*
 * byteset: sets of bytes, for what stands in brackets. It knows neither patterns nor regular
 * expressions.
 */
#ifndef FR_BYTESET_H
#define FR_BYTESET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Plain values; {0} is the empty set. */
struct fr_byteset {
	unsigned char bits[(UCHAR_MAX + 1) / CHAR_BIT];
};

bool fr_byteset_has(const struct fr_byteset *set, unsigned char byte);
bool fr_byteset_is_empty(const struct fr_byteset *set);

/* Both ends are in the range; one that ends before it begins is empty. */
void fr_byteset_add(struct fr_byteset *set, unsigned char low, unsigned char high);
void fr_byteset_remove(struct fr_byteset *set, unsigned char byte);
void fr_byteset_invert(struct fr_byteset *set);

/*
 * Adds the POSIX class of that name ("alpha", without "[:" and ":]"), of ASCII alone. Returns false
 * where there is none. "space" is git's, without \v and \f (sane-ctype.h), if that is asked for.
 */
bool fr_byteset_add_class(struct fr_byteset *set, const char *name, size_t name_len, bool is_gits);

#endif
