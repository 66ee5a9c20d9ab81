/*
 * scenario: runs a script from tests/scenarios: operations on files, and what a backend must make
 *of them.
 *
 * A line is one command, '#' begins a comment. Paths are relative to the watched folder;
 *"outside/…" lies beside it and is not watched; "." is the watched folder, "..", "../.." are those
 *above it. A word may hold \xHH for a byte, and {x*250} for 250 times x.
 *
 *	BACKEND: COMMAND		only where this backend is tested
 *	arm, arm-without-baseline	watch what is there, with and without knowing the contents
 *	root PATH			before arm: watch this folder, too
 *	mkdir PATH			with those above it
 *	write PATH TEXT…		in place, made if it is missing; append PATH TEXT…
 *	atomic PATH TEXT…		into a temporary file beside it, then rename
 *	tmpfile PATH TEXT…		O_TMPFILE, then linkat
 *	open PATH, put TEXT…, close	a writer that takes its time
 *	map PATH, store TEXT, unmap	the same through shared memory
 *	rename A B, movein A B, moveout A B, exchange A B
 *	hardlink A B, symlink TARGET PATH
 *	touch PATH, utime PATH SECONDS, chmod PATH MODE, truncate PATH SIZE
 *	delete PATH, rmdir PATH, rmtree PATH
 *	mount PATH, bind A B, unmount PATH
 *	needs touches|mounts|mappings|roots	end here for a backend that cannot tell those
 *	step				let the watcher take what is there already
 *	rescan				let it compare everything
 *	overflow N			N events that mean nothing, so that what follows is lost
 *	expect nothing
 *	expect added PATH… modified PATH… removed PATH… touched PATH… lost	all that has changed
 *since the last expect
 */
#ifndef FR_TEST_SCENARIO_H
#define FR_TEST_SCENARIO_H

struct fr_source_ops;

/* Fails the test where the file says so. Says aloud what it had to skip. */
void fr_scenario_run(const char *file, const struct fr_source_ops *ops);

#endif
