/*
 * disk: folders and files for tests: below a temporary folder, and gone after the test.
 */
#ifndef FR_TEST_DISK_H
#define FR_TEST_DISK_H

#include <stddef.h>

/* A new folder below $TMPDIR (/tmp), resolved. The caller gives it to fr_disk_free. */
char *fr_disk_new(void);

/* Removes the folder with all in it and frees its path; NULL is fine. */
void fr_disk_free(char *folder);

/* Removes path with all below it, whatever it is; one that is not there is fine. 0 or a negative
 * errno. */
int fr_disk_remove(const char *path);

/* "folder/name", in one of sixteen buffers that take turns. */
const char *fr_disk_at(const char *folder, const char *name);

/* As mkdir -p. */
void fr_disk_mkdir(const char *path);

/* Writes the file in place, made if it is not there. */
void fr_disk_write(const char *path, const char *text);

/* Makes so many events about nothing that counts in the folder, no two of which the kernel joins.
 */
void fr_disk_make_events(const char *folder, long len);

/* Sets both times of the file (of the link itself if it is one), in whole seconds since 1970. */
void fr_disk_set_time(const char *path, long seconds);

#endif
