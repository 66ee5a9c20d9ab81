/*
 * hashes: hashes of contents by number. See hashes.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "watch/hashes.h"
#include "watch/tree.h"

/* One word holds all, so that it is there as a whole or not at all. */
#define FR_HASHES_IS_SET   1u
#define FR_HASHES_IS_FRESH 2u
#define FR_HASHES_SHIFT    (64 - FR_STAMP_HASH_BITS)

struct fr_hashes {
	uint64_t *words;
	size_t len;
};

int fr_hashes_new(size_t len, struct fr_hashes **ret_hashes)
{
	struct fr_hashes *hashes = len > 0 && len < UINT32_MAX ? malloc(sizeof(*hashes)) : NULL;

	if (!hashes)
		return -ENOMEM;
	hashes->len = len;
	hashes->words = mmap(NULL, len * sizeof(*hashes->words), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (hashes->words == MAP_FAILED) {
		free(hashes);
		return -ENOMEM;
	}
	*ret_hashes = hashes;
	return 0;
}

void fr_hashes_free(struct fr_hashes *hashes)
{
	if (!hashes)
		return;
	munmap(hashes->words, hashes->len * sizeof(*hashes->words));
	free(hashes);
}

void fr_hashes_put(struct fr_hashes *hashes, uint32_t number, const struct fr_stamp *stamp)
{
	uint64_t word = stamp->hash << FR_HASHES_SHIFT | FR_HASHES_IS_SET |
			(stamp->is_fresh ? FR_HASHES_IS_FRESH : 0);

	if (number > 0 && number <= hashes->len)
		__atomic_store_n(&hashes->words[number - 1], word, __ATOMIC_RELEASE);
}

bool fr_hashes_get(const struct fr_hashes *hashes, uint32_t number, struct fr_stamp *stamp)
{
	uint64_t word = hashes && number > 0 && number <= hashes->len
				? __atomic_load_n(&hashes->words[number - 1], __ATOMIC_ACQUIRE)
				: 0;

	if (!word)
		return false;
	stamp->hash = word >> FR_HASHES_SHIFT;
	stamp->has_hash = true;
	stamp->is_fresh = word & FR_HASHES_IS_FRESH;
	return true;
}
