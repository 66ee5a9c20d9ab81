/*
 * rehearsal: an application that takes long to load is loaded once more when the start is over, so
 * that not even the first edit has to load everything. See fr_nursery_rehearse.
 */
#ifndef FR_REHEARSAL_H
#define FR_REHEARSAL_H

#include <stdint.h>

/* Something has changed: it comes too late. */
void fr_rehearsal_cancel(void);

/* Once in every turn, where there is a nursery. Returns when to look again at the latest, or -1. */
int64_t fr_rehearsal_step(int64_t now_ms);

#endif
