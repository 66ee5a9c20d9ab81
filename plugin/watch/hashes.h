/*
 * hashes: hashes of contents by number, in memory that is shared with the process which finds them
 * out.
 *
 * They stay where they were put: to copy them would write to pages that forked workers share with
 * the master, and each page that is written to is there twice from then on. A table and nothing
 * more: it reads no file and knows no tree.
 */
#ifndef FR_HASHES_H
#define FR_HASHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_hashes;
struct fr_stamp;

/* Room for the numbers from 1 to len: 0 and *ret_hashes, which the caller owns, or -ENOMEM. */
int fr_hashes_new(size_t len, struct fr_hashes **ret_hashes);

/* Lets go of it in this process; NULL is fine. */
void fr_hashes_free(struct fr_hashes *hashes);

/* Notes what a stamp, one that has a hash, says of the content. A number that is none is left
 * alone. */
void fr_hashes_put(struct fr_hashes *hashes, uint32_t number, const struct fr_stamp *stamp);

/* Completes a stamp, the same but for what is noted here, and returns whether that is known.
 * hashes may be NULL: nothing is. */
bool fr_hashes_get(const struct fr_hashes *hashes, uint32_t number, struct fr_stamp *stamp);

#endif
