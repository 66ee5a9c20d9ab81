/*
 * config: the values of the options, checked. See config.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decide/config.h"

static int bad(char *error, size_t error_size, const char *sentence)
{
	snprintf(error, error_size, "%s", sentence);
	return -EINVAL;
}

/* Digits only: no sign, no space, no unit. */
static bool parse_number(const char *value, long min, long max, long *ret_number)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno || number < min ||
	    number > max)
		return false;
	*ret_number = number;
	return true;
}

int fr_config_parse_action(const char *value, enum fr_action *ret_action, const char **ret_file,
			   char *error, size_t error_size)
{
	static const char touch[] = "touch:";

	if (strncmp(value, touch, sizeof(touch) - 1) == 0) {
		const char *file = value + sizeof(touch) - 1;

		if (*file == '\0')
			return bad(error, error_size,
				   "names no file; write touch:FILE, as in touch:/tmp/reload.me");
		*ret_action = FR_ACTION_TOUCH;
		*ret_file = file;
		return 0;
	}
	for (int action = FR_ACTION_AUTO; action < FR_ACTION_TOUCH; action++) {
		if (strcmp(value, fr_action_name((enum fr_action)action)) == 0) {
			*ret_action = (enum fr_action)action;
			*ret_file = NULL;
			return 0;
		}
	}
	return bad(error, error_size,
		   "is no action; there are auto, swap, reload, workers, chain and touch:FILE");
}

/* The action whose name is the first name_len bytes of value, or FR_ACTIONS. */
static enum fr_action find_action(const char *value, size_t name_len)
{
	int action = FR_ACTION_AUTO;

	for (; action < FR_ACTIONS; action++) {
		const char *name = fr_action_name((enum fr_action)action);

		if (strlen(name) == name_len && strncmp(name, value, name_len) == 0)
			break;
	}
	return (enum fr_action)action;
}

/* Does the argument, which may be empty, suit the action? Returns what is wrong with it, or NULL.
 */
static const char *check_argument(enum fr_action action, const char *argument)
{
	long number;

	switch (action) {
	case FR_ACTION_TOUCH:
		return *argument ? NULL
				 : "names no file; write touch:FILE, as in touch:/tmp/reload.me";
	case FR_ACTION_EXEC:
		return *argument ? NULL : "names no command; write exec:COMMAND, as in exec:make";
	case FR_ACTION_SIGNAL:
		return parse_number(argument, 0, 255, &number)
			       ? NULL
			       : "has no signal of uWSGI; write signal:N with a number from 0 to "
				 "255, as in signal:17";
	default:
		return *argument ? "has something behind an action that needs nothing more" : NULL;
	}
}

int fr_config_parse_reaction(const char *value, struct fr_reaction *ret_reaction, char *error,
			     size_t error_size)
{
	size_t name_len = strcspn(value, ": \t");
	const char *argument = value + name_len, *reason;
	enum fr_action action = find_action(value, name_len);

	if (action == FR_ACTIONS)
		return bad(
			error, error_size,
			"has no action that is known; there are auto, swap, reload, workers, "
			"chain, mules, spoolers, touch:FILE, signal:N, exec:COMMAND, browser, log "
			"and ignore");
	if (*argument)
		argument++;
	while (*argument == ' ' || *argument == '\t')
		argument++;
	reason = check_argument(action, argument);
	if (reason)
		return bad(error, error_size, reason);
	*ret_reaction = (struct fr_reaction){action, *argument ? argument : NULL};
	return 0;
}

int fr_config_parse_settle(const char *value, int64_t *ret_ms, char *error, size_t error_size)
{
	long ms;

	if (!parse_number(value, 0, FR_CONFIG_MAX_SETTLE_MS, &ms))
		return bad(error, error_size,
			   "is no quiet time; write whole milliseconds from 0 to 60000, as in 10");
	*ret_ms = ms;
	return 0;
}

int fr_config_parse_seconds(const char *value, int64_t *ret_ms, char *error, size_t error_size)
{
	long seconds;

	if (!parse_number(value, 1, FR_CONFIG_MAX_SECONDS, &seconds))
		return bad(error, error_size,
			   "is no time; write whole seconds from 1 to 3600, as in 5");
	*ret_ms = seconds * 1000;
	return 0;
}

int fr_config_parse_snapshots(const char *value, int *ret_number, char *error, size_t error_size)
{
	long number;

	if (!parse_number(value, 0, FR_CONFIG_MAX_SNAPSHOTS, &number))
		return bad(error, error_size,
			   "is no number of snapshots; write one from 0 to 16, as in 3");
	*ret_number = (int)number;
	return 0;
}

int fr_config_parse_memory(const char *value, int64_t *ret_kib, char *error, size_t error_size)
{
	long mib;

	if (!parse_number(value, 1, FR_CONFIG_MAX_MIB, &mib))
		return bad(error, error_size,
			   "is no amount of memory; write whole MiB from 1 to 65536, as in 256");
	*ret_kib = mib * 1024;
	return 0;
}

/* Of what is not ASCII Python decides. */
static bool begins_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

int fr_config_check_module(const char *name, char *error, size_t error_size)
{
	bool is_first = true;

	for (const char *at = name; *at; at++) {
		if (!begins_name(*at) && (is_first || ((*at < '0' || *at > '9') && *at != '.')))
			return bad(error, error_size,
				   "is no name of a module; write one, as in numpy or os.path");
		is_first = *at == '.';
	}
	return is_first ? bad(error, error_size,
			      "is no name of a module; write one, as in numpy or os.path")
			: 0;
}

int fr_config_parse_strategy(const char *value, enum fr_pin *ret_pin, char *error,
			     size_t error_size)
{
	for (int pin = 0; pin < FR_PINS; pin++) {
		if (strcmp(value, fr_pin_name((enum fr_pin)pin)) == 0) {
			*ret_pin = (enum fr_pin)pin;
			return 0;
		}
	}
	return bad(error, error_size,
		   "is no strategy; there are auto, full, workers, swap, warm and checkpoint");
}

int fr_config_pin(enum fr_pin pin, int snapshots, enum fr_action *action, char *error,
		  size_t error_size)
{
	static const enum fr_action amounts_to[FR_PINS] = {
		[FR_PIN_FULL] = FR_ACTION_RELOAD,     [FR_PIN_WORKERS] = FR_ACTION_WORKERS,
		[FR_PIN_SWAP] = FR_ACTION_SWAP,       [FR_PIN_WARM] = FR_ACTION_SWAP,
		[FR_PIN_CHECKPOINT] = FR_ACTION_SWAP,
	};

	if (pin == FR_PIN_AUTO)
		return 0;
	if (*action != FR_ACTION_AUTO && *action != amounts_to[pin]) {
		snprintf(error, error_size,
			 "contradicts --fastreload-action = %s; leave one of them out, or make the "
			 "action %s",
			 fr_action_name(*action), fr_action_name(amounts_to[pin]));
		return -EINVAL;
	}
	if ((pin == FR_PIN_WARM || pin == FR_PIN_CHECKPOINT) && snapshots == 0)
		return bad(
			error, error_size,
			"contradicts --fastreload-snapshots = 0; allow one or more, or pin swap");
	*action = amounts_to[pin];
	return 0;
}

int fr_config_resolve_folder(const char *value, char **ret_path, char *error, size_t error_size)
{
	struct stat st;
	char *path;

	if (*value == '\0')
		return bad(error, error_size, "is empty; name a folder, as in \".\"");
	path = realpath(value, NULL);
	if (!path || stat(path, &st) < 0) {
		int code = errno;

		free(path);
		snprintf(error, error_size, "%s; name a folder that exists and can be read",
			 code == ENOENT ? "does not exist" : strerror(code));
		return -code;
	}
	if (!S_ISDIR(st.st_mode)) {
		free(path);
		return bad(error, error_size, "is no folder; name the folder that it is in");
	}
	if (access(path, R_OK | X_OK) < 0) {
		free(path);
		snprintf(error, error_size,
			 "cannot be read by user %ld; give it read and search permission",
			 (long)geteuid());
		return -EACCES;
	}
	*ret_path = path;
	return 0;
}
