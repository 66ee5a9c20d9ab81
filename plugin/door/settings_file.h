/*
 * settings_file: --fastreload-config: the values of a file of JSON become options, as if they had
 * been given.
 *
 * A broken file ends the start; later it changes nothing: the text that was good stays in force,
 * also across a full reload that somebody else asks for.
 */
#ifndef FR_SETTINGS_FILE_H
#define FR_SETTINGS_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Reads the file, if there is one, before the settings are read (init). Ends the process with one
 * line where it is wrong and uWSGI starts. */
void fr_settings_file_read(void);

/* Its resolved path, for it is one of the instance's own files; NULL: there is none. */
const char *fr_settings_file_path(void);

/* Is the file, as it is now, one that could be used? If not, error gets a sentence. */
bool fr_settings_file_is_good(char *error, size_t error_size);

/* Where this value of an option comes from: "FILE, line 3, column 5: "settle"", or
 * "--fastreload-settle". Returns text. */
char *fr_settings_file_origin(const char *option, const char *value, char *text, size_t text_size);

/* Just before an exec: leaves the text in force to the next image. */
void fr_settings_file_leave(void);

#endif
