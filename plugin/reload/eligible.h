/*
 * eligible: is this an instance that generations can be used in? What its options say against it,
 * and what shows only when the application has been loaded.
 */
#ifndef FR_ELIGIBLE_H
#define FR_ELIGIBLE_H

#include <stdbool.h>

/* Why generations cannot be used in this instance: a sentence's end ("cheaper changes the number of
 * workers by itself"), static; NULL: they can. To be asked once all options are known. */
const char *fr_eligible_refusal(void);

/* Does the master itself import some of the code, so that only an exec loads all of it? To be asked
 * once all options are known. */
bool fr_eligible_master_has_modules(void);

/* The first generation has loaded something that cannot be loaded twice in one instance: a
 * sentence's end, static, or NULL. */
const char *fr_eligible_side_effect(void);

#endif
