/*
 * door: the state, the clock and the log of this room. See door.h.
 */
#include <uwsgi.h>

#include "door/door.h"

struct fr_door fr_door;

int64_t fr_door_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void fr_door_out_of_memory(void)
{
	uwsgi_log("[fastreload] there is not enough memory to start\n");
	exit(1);
}
