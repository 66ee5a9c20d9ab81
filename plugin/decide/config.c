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
