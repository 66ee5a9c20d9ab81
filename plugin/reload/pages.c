/*
 * pages: which pages of memory a copy of a process comes to need. See pages.h.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reload/pages.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define FR_PAGES_MAX_RANGES 4000
#define FR_PAGES_MAX_OWN    4096 /* of those that cost memory */
#define FR_PAGES_AT_ONCE    4096

/* Bits of an entry of pagemap: Documentation/admin-guide/mm/pagemap.rst in the kernel. */
#define FR_PAGES_EXCLUSIVE (1ull << 56)
#define FR_PAGES_OF_FILE   (1ull << 61)
#define FR_PAGES_PRESENT   (1ull << 63)

struct range {
	uintptr_t start;
	uint32_t len; /* in pages */
	bool is_own;  /* has been written to */
};

struct fr_pages {
	bool is_known; /* written last */
	uint32_t own_len;
	uint32_t ranges_len;
	struct range ranges[FR_PAGES_MAX_RANGES];
};

struct fr_pages *fr_pages_new(void)
{
	void *pages = mmap(NULL, sizeof(struct fr_pages), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

void fr_pages_free(struct fr_pages *pages)
{
	if (pages)
		(void)munmap(pages, sizeof(*pages));
}

bool fr_pages_are_known(const struct fr_pages *pages)
{
	return !pages || __atomic_load_n(&pages->is_known, __ATOMIC_ACQUIRE);
}

static void add(struct fr_pages *pages, uintptr_t page, uintptr_t page_size, bool is_own)
{
	struct range *last = pages->ranges_len ? &pages->ranges[pages->ranges_len - 1] : NULL;

	if (is_own && pages->own_len >= FR_PAGES_MAX_OWN)
		return;
	if (last && last->is_own == is_own && last->start + last->len * page_size == page)
		last->len++;
	else if (pages->ranges_len < FR_PAGES_MAX_RANGES)
		pages->ranges[pages->ranges_len++] =
			(struct range){.start = page, .len = 1, .is_own = is_own};
	else
		return;
	pages->own_len += is_own;
}

/* A private mapping from start to end. After a fork the pages of files are absent until they are
 * looked at, and all others are shared until they are written to. */
static void note_mapping(struct fr_pages *pages, int pagemap, uintptr_t start, uintptr_t end)
{
	static uint64_t entries[FR_PAGES_AT_ONCE];
	uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);

	while (start < end) {
		size_t wanted = (end - start) / page_size;
		ssize_t size;

		if (wanted > FR_PAGES_AT_ONCE)
			wanted = FR_PAGES_AT_ONCE;
		size = pread(pagemap, entries, wanted * sizeof(entries[0]),
			     (off_t)(start / page_size * sizeof(entries[0])));
		if (size <= 0)
			return;
		for (size_t i = 0; i < (size_t)size / sizeof(entries[0]); i++) {
			uint64_t entry = entries[i];
			bool is_of_file = (entry & FR_PAGES_OF_FILE) != 0;

			if (entry & FR_PAGES_PRESENT && (is_of_file || entry & FR_PAGES_EXCLUSIVE))
				add(pages, start + i * page_size, page_size, !is_of_file);
		}
		start += (size_t)size / sizeof(entries[0]) * page_size;
	}
}

void fr_pages_note(struct fr_pages *pages)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long start, end;
	char line[512], rights[8];

	while (pages && maps && pagemap >= 0 && fgets(line, sizeof(line), maps)) {
		/* What is left of a line that is too long does not begin like one. */
		if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && strlen(rights) == 4 &&
		    rights[0] == 'r' && rights[3] == 'p')
			note_mapping(pages, pagemap, start, end);
	}
	if (maps)
		fclose(maps);
	if (pagemap >= 0)
		close(pagemap);
	if (pages)
		__atomic_store_n(&pages->is_known, true, __ATOMIC_RELEASE);
}

/* What has been mapped since, by the copy that noted it, is not there: an error that is as good as
 * none. */
size_t fr_pages_prepare(const struct fr_pages *pages)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE), own = 0;

	if (!pages || !fr_pages_are_known(pages))
		return 0;
	for (uint32_t i = 0; i < pages->ranges_len; i++) {
		const struct range *range = &pages->ranges[i];

		if (madvise((void *)range->start, range->len * page_size,
			    range->is_own ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0 &&
		    range->is_own)
			own += range->len * page_size / 1024;
	}
	return own;
}
