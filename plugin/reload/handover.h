/*
 * handover: what one image of the master leaves to the next across the exec of a full reload.
 *
 * A memfd that uWSGI is told not to close, named in the environment until the next image has read
 * it: a few numbers and words first, and whatever the caller writes behind them.
 */
#ifndef FR_HANDOVER_H
#define FR_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/loop_guard.h"
#include "reload/reload.h"
#include "report/tally.h"
#include "watch/watcher.h"

struct fr_handover {
	uint32_t magic;        /* set by fr_handover_new */
	int32_t control_fd;    /* the socket of --fastreload-control; 0: there is none */
	int32_t livereload_fd; /* that of --fastreload-livereload, in the same way */
	int64_t generation;    /* of the code, for open pages; 0: there are none */
	bool is_paused;        /* somebody has asked for that */
	struct fr_tally tally;
	struct fr_reload_times times;
	char no_swap[100]; /* why the next image is to do without generations; "": it may have them
			    */
	struct fr_loop_guard loop_guard;
	char sources[FR_WATCHER_SAVED_SIZE]; /* for fr_watcher_restore; NUL-terminated */
	char what[200]; /* what changed, for people; NUL-terminated. "": the reload was not ours */
};

/*
 * To be called just before the exec (master_cleanup). Returns the descriptor to write more to,
 * which now survives the exec, or a negative errno.
 */
int fr_handover_leave(struct fr_handover *handover);

/*
 * Takes over what was left, if anything: 1 and *ret_handover filled, with *ret_fd (for the caller
 * to close) standing behind it; 0 if nothing is there.
 */
int fr_handover_take(struct fr_handover *ret_handover, int *ret_fd);

#endif
