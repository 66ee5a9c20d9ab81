/*
 * json: writes JSON into a bounded text, and reads one flat object of strings.
 *
 * Strings are bytes, as paths are: what is not UTF-8 is written as \udc80 to \udcff, one for each
 * byte, and read back so. That is what Python's json and os.fsencode make of it, too. Nothing here
 * allocates.
 */
#ifndef FR_JSON_H
#define FR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text that is being written. What does not fit is left out, and is_full is set: the caller
 * either sees to it that all fits, or goes back to a mark. */
struct fr_json {
	char *text; /* always ends with a NUL */
	size_t size, len;
	bool is_full;
	bool has_item; /* a comma is due before the next one */
};

/* Where to go back to. */
struct fr_json_mark {
	size_t len;
	bool has_item;
};

/* Begins to write into text, of size bytes (at least 1); borrowed. */
void fr_json_begin(struct fr_json *json, char *text, size_t size);

/* Opens and closes an object ('{', '}') or an array ('[', ']'). key is NULL where there is none:
 * at the top and in an array; it needs no escapes. */
void fr_json_open(struct fr_json *json, const char *key, char bracket);
void fr_json_close(struct fr_json *json, char bracket);

/* Members of an object, or with NULL for the key items of an array. A NULL string is null. */
void fr_json_string(struct fr_json *json, const char *key, const char *value);
void fr_json_number(struct fr_json *json, const char *key, int64_t value);
void fr_json_bool(struct fr_json *json, const char *key, bool value);

/* Seconds with three digits behind the point, from milliseconds. */
void fr_json_seconds(struct fr_json *json, const char *key, int64_t value_ms);

/* Bytes as they are, for what is between values. */
void fr_json_raw(struct fr_json *json, const char *text);

/* Drops what was written since, if it did not fit or for another reason. */
struct fr_json_mark fr_json_mark(const struct fr_json *json);
void fr_json_go_back(struct fr_json *json, struct fr_json_mark mark);

/* One member that is wanted. A string is read into value, another one into it as it is written. */
struct fr_json_member {
	const char *key;
	char *value; /* the caller's, of size bytes; ends with a NUL */
	size_t size;
	bool is_there;  /* set by the reader */
	bool is_string; /* else it is true, false, null or a number */
};

/*
 * Reads one object of len bytes: its members are strings, numbers, true, false or null, their keys
 * are among the wanted ones, and none comes twice. 0, or -EINVAL with a sentence in error that says
 * what, at which byte. What the members hold then is undefined.
 */
int fr_json_read(const char *text, size_t len, struct fr_json_member *members, size_t members_len,
		 char *error, size_t error_size);

#endif
