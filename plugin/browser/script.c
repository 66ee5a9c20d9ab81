/*
 * script: client.js. See script.h.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "browser/script.h"
#include "hash.h"

/* The assembler finds it where the compiler finds our headers (-I). */
__asm__(".section .rodata\n"
	"fr_script_begin:\n"
	".incbin \"browser/client.js\"\n"
	"fr_script_end:\n"
	".byte 0\n"
	".previous\n");

extern const char fr_script_begin[] __attribute__((visibility("hidden")));
extern const char fr_script_end[] __attribute__((visibility("hidden")));

const char *fr_script_text(size_t *ret_len)
{
	*ret_len = (size_t)(fr_script_end - fr_script_begin);
	return fr_script_begin;
}

char *fr_script_etag(char etag[FR_SCRIPT_ETAG_SIZE])
{
	size_t len;
	const char *text = fr_script_text(&len);

	snprintf(etag, FR_SCRIPT_ETAG_SIZE, "\"%016" PRIx64 "\"",
		 fr_hash_bytes(FR_HASH_START, text, len));
	return etag;
}
