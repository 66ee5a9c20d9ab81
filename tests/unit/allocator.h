/*
 * allocator: makes the core run out of memory on purpose. The linker sends malloc and its kin here
 * (see the Makefile).
 */
#ifndef FR_TEST_ALLOCATOR_H
#define FR_TEST_ALLOCATOR_H

#include <stdbool.h>

/* Check is linked statically and gets its memory from here, too: no assertion, not even one that
 * holds, while one is to fail. */

/* The nth allocation from now on fails, and each after it; 1 is the next one. 0: none fails any
 * more. */
void fr_allocator_fail_from(unsigned nth);

/* As above, but only the nth fails. */
void fr_allocator_fail_once(unsigned nth);

/* Has one failed since the last call of the above? */
bool fr_allocator_has_failed(void);

#endif
