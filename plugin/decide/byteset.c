/*
 * byteset: see byteset.h.
 */
#include <string.h>

#include "decide/byteset.h"

bool fr_byteset_has(const struct fr_byteset *set, unsigned char byte)
{
	return set->bits[byte / CHAR_BIT] & (1U << byte % CHAR_BIT);
}

bool fr_byteset_is_empty(const struct fr_byteset *set)
{
	for (size_t i = 0; i < sizeof(set->bits); i++) {
		if (set->bits[i])
			return false;
	}
	return true;
}

void fr_byteset_add(struct fr_byteset *set, unsigned char low, unsigned char high)
{
	for (unsigned byte = low; byte <= high; byte++)
		set->bits[byte / CHAR_BIT] |= (unsigned char)(1U << byte % CHAR_BIT);
}

void fr_byteset_remove(struct fr_byteset *set, unsigned char byte)
{
	set->bits[byte / CHAR_BIT] &= (unsigned char)~(1U << byte % CHAR_BIT);
}

void fr_byteset_invert(struct fr_byteset *set)
{
	for (size_t i = 0; i < sizeof(set->bits); i++)
		set->bits[i] = (unsigned char)~set->bits[i];
}

bool fr_byteset_add_class(struct fr_byteset *set, const char *name, size_t name_len, bool is_gits)
{
	static const char gits_space[] = "\t\n\r\r  ";
	static const struct {
		const char *name;
		const char *ranges; /* pairs of first and last byte */
	} classes[] = {
		{"alnum", "09AZaz"},   {"alpha", "AZaz"},
		{"blank", "\t\t  "},   {"cntrl", "\x01\x1f\x7f\x7f"},
		{"digit", "09"},       {"graph", "!~"},
		{"lower", "az"},       {"print", " ~"},
		{"punct", "!/:@[`{~"}, {"space", "\t\r  "},
		{"upper", "AZ"},       {"xdigit", "09AFaf"},
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
		const char *range = classes[i].ranges;

		if (strlen(classes[i].name) != name_len ||
		    memcmp(classes[i].name, name, name_len) != 0)
			continue;
		if (is_gits && strcmp(classes[i].name, "space") == 0)
			range = gits_space;
		for (; *range; range += 2)
			fr_byteset_add(set, (unsigned char)range[0], (unsigned char)range[1]);
		return true;
	}
	return false;
}
