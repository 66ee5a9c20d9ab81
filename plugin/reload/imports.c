/*
 * imports: which modules a copy of a process imports when it goes on. See imports.h.
 */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "reload/imports.h"

struct fr_imports {
	uint32_t len; /* written last; 0 while the text changes */
	char text[FR_IMPORTS_TEXT];
};

struct fr_imports *fr_imports_new(void)
{
	void *imports = mmap(NULL, sizeof(struct fr_imports), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return imports == MAP_FAILED ? NULL : imports;
}

void fr_imports_free(struct fr_imports *imports)
{
	if (imports)
		(void)munmap(imports, sizeof(*imports));
}

void fr_imports_note(struct fr_imports *imports, const char *text, size_t len)
{
	if (!imports || len > sizeof(imports->text))
		return;
	__atomic_store_n(&imports->len, 0, __ATOMIC_SEQ_CST);
	memcpy(imports->text, text, len);
	__atomic_store_n(&imports->len, (uint32_t)len, __ATOMIC_SEQ_CST);
}

size_t fr_imports_read(const struct fr_imports *imports, char *text)
{
	uint32_t len = imports ? __atomic_load_n(&imports->len, __ATOMIC_SEQ_CST) : 0;

	if (len == 0)
		return 0;
	memcpy(text, imports->text, len);
	return __atomic_load_n(&imports->len, __ATOMIC_SEQ_CST) == len ? len : 0;
}
