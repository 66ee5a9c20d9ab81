/*
 * config: the values of the options, checked. Turns text into values and says in one sentence what
 * is wrong with the rest.
 *
 * Knows no uWSGI and looks at the disk only where a value names something on it.
 */
#ifndef FR_CONFIG_H
#define FR_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "decide/plan.h"

/* Longest quiet time that can be asked for. */
#define FR_CONFIG_MAX_SETTLE_MS 60000

/* Most processes that may wait with a half-loaded application. */
#define FR_CONFIG_MAX_SNAPSHOTS 16

/* Most memory that these may have of their own. */
#define FR_CONFIG_MAX_MIB 65536

/* Longest time that a worker can be given to leave, or to load. */
#define FR_CONFIG_MAX_SECONDS 3600

/* "auto", "swap", "reload", "workers", "chain" or "touch:FILE"; *ret_file points into value for the
 * last, else it is NULL. 0, or -EINVAL with a sentence in error. */
int fr_config_parse_action(const char *value, enum fr_action *ret_action, const char **ret_file,
			   char *error, size_t error_size);

/* "auto", "full", "workers", "swap", "warm" or "checkpoint". 0, or -EINVAL with a sentence in
 * error.
 */
int fr_config_parse_strategy(const char *value, enum fr_pin *ret_pin, char *error,
			     size_t error_size);

/*
 * The action that a strategy amounts to; *action is what --fastreload-action says, and is
 * overwritten. snapshots: what --fastreload-snapshots says. 0, or -EINVAL with a sentence in error,
 * where they contradict each other.
 */
int fr_config_pin(enum fr_pin pin, int snapshots, enum fr_action *action, char *error,
		  size_t error_size);

/* Is that a module's name, as Python has it? 0, or -EINVAL with a sentence in error. */
int fr_config_check_module(const char *name, char *error, size_t error_size);

/* Whole MiB from 1 to FR_CONFIG_MAX_MIB. 0, or -EINVAL with a sentence in error. */
int fr_config_parse_memory(const char *value, int64_t *ret_kib, char *error, size_t error_size);

/*
 * What --fastreload-on may say behind the pattern: any action, with what it needs behind a colon or
 * a blank; the argument points into value. 0, or -EINVAL with a sentence in error.
 */
int fr_config_parse_reaction(const char *value, struct fr_reaction *ret_reaction, char *error,
			     size_t error_size);

/* Whole seconds from 1 to FR_CONFIG_MAX_SECONDS, given back in ms. 0, or -EINVAL with a sentence in
 * error. */
int fr_config_parse_seconds(const char *value, int64_t *ret_ms, char *error, size_t error_size);

/* A number of processes, from 0 to FR_CONFIG_MAX_SNAPSHOTS. 0, or -EINVAL with a sentence in error.
 */
int fr_config_parse_snapshots(const char *value, int *ret_number, char *error, size_t error_size);

/* Whole milliseconds from 0 to FR_CONFIG_MAX_SETTLE_MS. 0, or -EINVAL with a sentence in error. */
int fr_config_parse_settle(const char *value, int64_t *ret_ms, char *error, size_t error_size);

/*
 * The absolute, resolved path of a folder that can be listed, relative to the current one. The
 * caller frees *ret_path. 0, or a negative errno with a sentence in error.
 */
int fr_config_resolve_folder(const char *value, char **ret_path, char *error, size_t error_size);

#endif
