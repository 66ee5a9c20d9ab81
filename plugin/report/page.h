/*
 * page: the page that a browser gets while the new code does not load.
 *
 * Text in, text out. All that comes from outside (paths, tracebacks) is escaped.
 */
#ifndef FR_PAGE_H
#define FR_PAGE_H

#include <stddef.h>

/*
 * Writes a complete HTML page into html and returns its length. headline is one sentence, output
 * what the language printed (its end is kept if it is too long). html_size must be at least
 * FR_PAGE_MIN_BYTES.
 */
size_t fr_page_write(const char *headline, const char *output, char *html, size_t html_size);

#define FR_PAGE_MIN_BYTES 4096

#endif
