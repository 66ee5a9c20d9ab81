/*
 * script: client.js, which pages load, as it was when the plugin was built.
 */
#ifndef FR_SCRIPT_H
#define FR_SCRIPT_H

#include <stddef.h>

#define FR_SCRIPT_ETAG_SIZE 24

/* The text and its length; static. */
const char *fr_script_text(size_t *ret_len);

/* A strong entity tag of it, in its quotes. Returns etag. */
char *fr_script_etag(char etag[FR_SCRIPT_ETAG_SIZE]);

#endif
