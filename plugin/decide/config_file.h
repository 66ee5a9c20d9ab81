/*
 * config_file: the options in a file of JSON, --fastreload-config, checked as a whole.
 *
 * A key has the name of an option without "fastreload-", and its values become the texts that the
 * option would be given, so that there is one place that understands each. Knows the form of JSON
 * and of the options, not what they do. configs/fastreload.schema.json says the same for editors.
 */
#ifndef FR_CONFIG_FILE_H
#define FR_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* A larger file is refused. */
#define FR_CONFIG_FILE_MAX_BYTES (1024 * 1024)

/* Steps down from the root: the number of a member or an element, from 0. */
#define FR_CONFIG_FILE_DEPTH 3

struct fr_config_place {
	size_t at[FR_CONFIG_FILE_DEPTH];
	size_t depth;
	bool is_at_key; /* of the last step, not at its value */
};

/* One value, as the option of this name would be given it; a list gives several. */
struct fr_config_value {
	const char *key; /* static */
	char *text;
	struct fr_config_place place; /* for fr_config_file_locate */
};

struct fr_config_file {
	char *source;                   /* the text, NUL-terminated */
	struct fr_config_value *values; /* in the order of the file */
	size_t len;
};

/*
 * Reads a regular file into memory that the caller frees. 0, or a negative errno with a sentence
 * in error. Does not wait for what is no file.
 */
int fr_config_file_load(const char *path, char **ret_text, size_t *ret_len, char *error,
			size_t error_size);

/*
 * Understands text (borrowed). The caller owns *ret_file. 0, or -EINVAL or -ENOMEM with a sentence
 * in error: "line 3, column 12: …", and what was expected there.
 */
int fr_config_file_parse(const char *text, size_t len, struct fr_config_file **ret_file,
			 char *error, size_t error_size);

/* NULL is fine. */
void fr_config_file_free(struct fr_config_file *file);

/* Line and column, from 1, of a place in the text. */
void fr_config_file_locate(const struct fr_config_file *file, const struct fr_config_place *place,
			   unsigned *ret_line, unsigned *ret_column);

/* The first value of a key with this text (NULL: any), or NULL. */
const struct fr_config_value *fr_config_file_find(const struct fr_config_file *file,
						  const char *key, const char *text);

#endif
