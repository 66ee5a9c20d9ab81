/*
 * script: client.js. See script.h.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "browser/script.h"
#include "hash.h"

/* client.js, and a NUL. The assembler finds it where the compiler finds our headers (-I). */
__asm__(".section .rodata\n"
	"fr_script_source:\n"
	".incbin \"browser/client.js\"\n"
	".byte 0\n"
	".previous\n");
extern const char fr_script_source[];

const char *fr_script_text(size_t *ret_len)
{
	*ret_len = strlen(fr_script_source);
	return fr_script_source;
}

char *fr_script_etag(char etag[FR_SCRIPT_ETAG_SIZE])
{
	size_t len;
	const char *text = fr_script_text(&len);

	snprintf(etag, FR_SCRIPT_ETAG_SIZE, "\"%016" PRIx64 "\"",
		 fr_hash_bytes(FR_HASH_START, text, len));
	return etag;
}
