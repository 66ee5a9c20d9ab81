/*
 * allocator: makes the core run out of memory on purpose. See allocator.h.
 */
#include <stddef.h>
#include <stdlib.h>

#include "allocator.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

static unsigned left; /* allocations until one fails; 0: none does */
static bool is_for_good, has_failed;

static bool fails(void)
{
	if (left == 0 || --left > 0)
		return false;
	left = is_for_good;
	has_failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
	return fails() ? NULL : __real_strndup(text, size);
}

void fr_allocator_fail_from(unsigned nth)
{
	left = nth;
	is_for_good = true;
	has_failed = false;
}

void fr_allocator_fail_once(unsigned nth)
{
	left = nth;
	is_for_good = false;
	has_failed = false;
}

bool fr_allocator_has_failed(void)
{
	return has_failed;
}
