/*
 * tally: what has happened so far, in numbers. See tally.h.
 */
#include <string.h>

#include "report/tally.h"

void fr_tally_reload(struct fr_tally *tally, int64_t ms)
{
	tally->reloads++;
	tally->last_ms = ms;
	tally->recent_ms[tally->recent_next % FR_TALLY_RECENT] =
		(int32_t)(ms > INT32_MAX ? INT32_MAX : ms);
	tally->recent_next = (tally->recent_next + 1) % FR_TALLY_RECENT;
	if (tally->recent_len < FR_TALLY_RECENT)
		tally->recent_len++;
}

int64_t fr_tally_median_ms(const struct fr_tally *tally)
{
	int32_t sorted[FR_TALLY_RECENT];
	uint32_t len = tally->recent_len < FR_TALLY_RECENT ? tally->recent_len : FR_TALLY_RECENT;

	for (uint32_t i = 0; i < len; i++) {
		uint32_t place = i;

		for (; place > 0 && sorted[place - 1] > tally->recent_ms[i]; place--)
			sorted[place] = sorted[place - 1];
		sorted[place] = tally->recent_ms[i];
	}
	if (len == 0)
		return 0;
	return len % 2 ? sorted[len / 2] : ((int64_t)sorted[len / 2 - 1] + sorted[len / 2]) / 2;
}
