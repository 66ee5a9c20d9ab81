/*
 * python: what has to be asked of Python, by name, at run time.
 *
 * The plugin is not linked with any Python: an instance may have one of any version, or none, and
 * its functions are found in the process (uWSGI loads the Python plugin RTLD_GLOBAL). Only
 * functions of the stable ABI of Python 3.8 and later are used.
 */
#ifndef FR_PYTHON_H
#define FR_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct fr_uses;

/* Is there a Python in this process, with all that is needed? */
bool fr_python_is_there(void);

/* Just forked off the master to load the application: brings the interpreter into the state that
 * uWSGI expects when it starts to load. */
void fr_python_after_fork(void);

/* From now on, notes in uses (borrowed, for ever) what Python reads. */
bool fr_python_note_uses(struct fr_uses *uses);

/* From now on, calls writes with each path (as it was given) that Python opens for writing or puts
 * another file in place of; also in all that is forked off this process. After
 * fr_python_note_uses. */
void fr_python_note_writes(void (*writes)(const char *path));

/* When a process is frozen. */
enum fr_python_moment {
	FR_PYTHON_ON_WAY, /* now and then before a module that is_watched, while the load began at
			     the beginning, so that not much is left to load after the last of these
			   */
	FR_PYTHON_BEFORE_EDITED, /* just before the module that is wanted is imported for the first
				    time */
	FR_PYTHON_IN_EDITED,     /* behind one of its statements that took long; the file is aside
				    (fr_uses_set_aside) */
};

struct fr_python_hooks {
	bool (*is_watched)(const char *path);
	/* With Python's lock held. Returns NULL in the process that goes on at once, and the new
	 * `wanted` in one that has waited. */
	const char *(*freeze)(enum fr_python_moment moment);
	/* Do the statements of the module that is wanted take long, as far as is known? */
	bool (*is_slow)(void);
	/* They do. */
	void (*note_slow)(void);
	/* In a load that has waited: so much of it went to the import of a module that is_watched
	 * is not true of, behind the edited one. */
	void (*note_heavy)(const char *name, long ms);
};

/* From now on, calls these (borrowed, for ever). wanted: the file of the module that was edited,
 * absolute; "": none. Returns false where that could not be arranged. */
bool fr_python_freeze(const char *wanted, const struct fr_python_hooks *hooks);

/* After fr_python_freeze: imports modules (a line each), and freezes behind them, as on the way.
 * Returns in the process that goes on at once, and in each copy that has waited. False: one of them
 * cannot be imported; *ret_error tells which, and why. */
bool fr_python_preload(const char *modules, char *ret_error, size_t error_size);

/* In a copy of a process that was frozen in the edited module, with an order: can it go on with
 * what the module says now? Always, where it was frozen elsewhere. */
bool fr_python_fits(void);

/* In a copy that waits, in `freeze`: compiles ahead what another copy has imported behind it, as
 * that one told it. Not where the application would notice (an audit hook of its own). */
void fr_python_prepare(const char *imports, size_t len);

/* Collects what is garbage, which otherwise waits while the application loads. False: it does not.
 */
bool fr_python_collect(void);

/* The application has been loaded: there is nothing to freeze before any more. Calls tell_imports
 * with the modules that were imported since the last freeze; they are valid until it returns. */
void fr_python_end_load(void (*tell_imports)(const char *imports, size_t len));

/* Forks with Python's lock held (in `freeze`), telling Python about it: as fork(2). */
pid_t fr_python_fork(void);

/* The two halves of that, for a copy that is forked twice: before, and then after in the process
 * that goes on (is_child) and in the one that forked. */
void fr_python_before_fork(void);
void fr_python_after_forking(bool is_child);

#endif
