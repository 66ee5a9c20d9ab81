/*
 * Anything at all where a traceback should be: no crash, and what is found lies within the text.
 * The page that shows it is whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/page.h"
#include "report/traceback.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_own(void *ctx, const char *file, size_t file_len)
{
	(void)ctx;
	return file_len > 0 && memchr(file, 's', file_len) != NULL;
}

static void check_within(const char *text, const char *piece, size_t len)
{
	if (len > 0 && (piece < text || piece + len > text + strlen(text)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char html[FR_PAGE_MIN_BYTES + 64];
	char *text = malloc(size + 1);
	struct fr_traceback found;
	size_t len;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (fr_traceback_find(text, is_own, NULL, &found) !=
	    (found.file_len > 0 || found.error_len > 0))
		abort();
	check_within(text, found.file, found.file_len);
	check_within(text, found.error, found.error_len);
	len = fr_page_write(text, text, html, sizeof(html));
	if (len > sizeof(html) || memcmp(html + len - 8, "</html>\n", 8) != 0)
		abort();
	free(text);
	return 0;
}
