/*
 * Runs the suites of all modules. build/unit/suites.inc, which the Makefile writes, has one line
 * for each file tests/unit/check_<module>.c: FR_SUITE(fr_check_<module>_suite). So a new file is
 * all that a new suite needs.
 *
 * The environment chooses, as Check documents it: CK_RUN_SUITE, CK_RUN_CASE, CK_FORK, CK_VERBOSITY.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define FR_SUITE(name) Suite *name(void);
#include "suites.inc"
#undef FR_SUITE

static Suite *(*const suites[])(void) = {
#define FR_SUITE(name) name,
#include "suites.inc"
#undef FR_SUITE
	NULL,
};

int main(void)
{
	SRunner *runner = srunner_create(NULL);
	int has_failed;

	for (size_t i = 0; suites[i]; i++)
		srunner_add_suite(runner, suites[i]());
	srunner_run_all(runner, CK_ENV);
	has_failed = srunner_ntests_failed(runner) > 0;
	if (srunner_ntests_run(runner) == 0) {
		fprintf(stderr, "no test has run: is CK_RUN_SUITE or CK_RUN_CASE mistyped?\n");
		has_failed = 1;
	}
	srunner_free(runner);
	return has_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
