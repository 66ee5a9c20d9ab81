/*
 * Any answer of an application: the place for the script is the same whether the bytes come whole
 * or one by one, what can be passed on never goes back, and no more than a few bytes are held back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "browser/inject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fr_inject whole, bytes;
	uint64_t safe = 0;

	fr_inject_begin(&whole);
	fr_inject_begin(&bytes);
	fr_inject_feed(&whole, (const char *)data, size);
	for (size_t i = 0; i < size; i++) {
		fr_inject_feed(&bytes, (const char *)data + i, 1);
		if (bytes.verdict != FR_INJECT_PAGE)
			continue;
		if (bytes.safe < safe || bytes.safe > i + 1 ||
		    i + 1 - bytes.safe > FR_INJECT_MAX_HELD)
			abort();
		safe = bytes.safe;
	}
	if (whole.verdict != bytes.verdict || whole.safe != bytes.safe || whole.at != bytes.at ||
	    strcmp(whole.meta.policies, bytes.meta.policies) != 0)
		abort();
	if (whole.verdict == FR_INJECT_PLACE && (whole.at < safe || whole.at > size))
		abort();
	return 0;
}
