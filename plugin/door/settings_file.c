/*
 * settings_file: --fastreload-config. See settings_file.h.
 */
#include <uwsgi.h>

#include <sys/mman.h>

#include "decide/config.h"
#include "decide/config_file.h"
#include "door/door.h"
#include "door/settings.h"
#include "door/settings_file.h"
#include "report/sentence.h"

extern struct uwsgi_server uwsgi;

#define FR_SETTINGS_FILE_ENV "FASTRELOAD_CONFIG_TEXT"
#define FR_OPTION_PREFIX     "fastreload-"

static struct {
	char *path;                  /* resolved; NULL: there is none */
	struct fr_config_file *file; /* in force */
} settings_file;

const char *fr_settings_file_path(void)
{
	return settings_file.path;
}

/* ---- what does not go with the other options ---- */

static struct uwsgi_option *find_option(const char *key)
{
	for (struct uwsgi_option *option = fr_settings_options; option->name; option++) {
		if (strncmp(option->name, FR_OPTION_PREFIX, strlen(FR_OPTION_PREFIX)) == 0 &&
		    strcmp(option->name + strlen(FR_OPTION_PREFIX), key) == 0)
			return option;
	}
	return NULL;
}

/* Was it given outside the file, with another value? While the file is in force, its own values
 * stand in the same place: they are known by their address. */
static bool is_given_elsewhere(const struct fr_config_value *value)
{
	const struct uwsgi_option *option = find_option(value->key);
	const struct fr_config_value *own =
		settings_file.file ? fr_config_file_find(settings_file.file, value->key, NULL)
				   : NULL;

	if (option->func == uwsgi_opt_set_str) {
		const char *given = *(char **)option->data;

		return given && !(own && own->text == given);
	}
	return option->func == uwsgi_opt_true && *(int *)option->data && !own &&
	       strcmp(value->text, "false") == 0;
}

/* The text of an option: as the file says, else as it is given elsewhere, else NULL. */
static const char *text_of(const struct fr_config_file *file, const char *key, const char *given)
{
	const struct fr_config_value *value = fr_config_file_find(file, key, NULL);

	return value ? value->text : given;
}

/* The first fault of a file that is well-formed; false: there is none. */
static bool find_fault(const struct fr_config_file *file, char *error, size_t error_size)
{
	for (size_t i = 0; i < file->len; i++) {
		const struct fr_config_value *value = &file->values[i];
		const char *obstacle = fr_settings_find_obstacle(
			value->key, value->text,
			text_of(file, "browser", fr_settings.browser_text));
		unsigned line, column;

		if (!obstacle && !is_given_elsewhere(value))
			continue;
		fr_config_file_locate(file, &value->place, &line, &column);
		snprintf(error, error_size, "line %u, column %u: \"%s\": \"%s\" %s%s%s", line,
			 column, value->key, value->text,
			 obstacle ? obstacle : "contradicts --" FR_OPTION_PREFIX,
			 obstacle ? "" : value->key, obstacle ? "" : "; leave one of them out");
		return true;
	}
	return false;
}

/* Does the strategy contradict the others? Each of them is known to be good for itself. */
static bool is_at_odds(const struct fr_config_file *file, char *error, size_t error_size)
{
	const char *strategy = text_of(file, "strategy", fr_settings.strategy_text);
	const char *action_text = text_of(file, "action", fr_settings.action_text), *argument;
	const char *number = text_of(file, "snapshots", fr_settings.snapshots_text);
	enum fr_action action = FR_ACTION_AUTO;
	enum fr_pin pin = FR_PIN_AUTO;
	char reason[512];

	if (!strategy || fr_config_parse_strategy(strategy, &pin, reason, sizeof(reason)) < 0)
		return false; /* what is wrong elsewhere is said there */
	if (action_text)
		(void)fr_config_parse_action(action_text, &action, &argument, reason,
					     sizeof(reason));
	if (fr_config_pin(pin, number ? atoi(number) : 1, &action, reason, sizeof(reason)) == 0)
		return false;
	snprintf(error, error_size, "\"strategy\": \"%s\" %s", strategy, reason);
	return true;
}

static int understand(const char *text, size_t len, struct fr_config_file **ret_file, char *error,
		      size_t error_size)
{
	struct fr_config_file *file;
	int r = fr_config_file_parse(text, len, &file, error, error_size);

	if (r == 0 &&
	    (find_fault(file, error, error_size) || is_at_odds(file, error, error_size))) {
		fr_config_file_free(file);
		r = -EINVAL;
	}
	if (r == 0)
		*ret_file = file;
	return r;
}

static int read_file(struct fr_config_file **ret_file, char *error, size_t error_size)
{
	size_t len;
	char *text;
	int r = fr_config_file_load(settings_file.path, &text, &len, error, error_size);

	if (r < 0)
		return r;
	r = understand(text, len, ret_file, error, error_size);
	free(text);
	return r;
}

bool fr_settings_file_is_good(char *error, size_t error_size)
{
	struct fr_config_file *file;

	if (read_file(&file, error, error_size) < 0)
		return false;
	fr_config_file_free(file);
	return true;
}

/* ---- from image to image ---- */

void fr_settings_file_leave(void)
{
	const char *text = settings_file.file ? settings_file.file->source : NULL;
	char number[16];
	int fd = text ? memfd_create("fastreload-config", 0) : -1; /* not close-on-exec */

	if (fd < 0)
		return;
	snprintf(number, sizeof(number), "%d", fd);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    setenv(FR_SETTINGS_FILE_ENV, number, 1) < 0)
		close(fd);
	else
		uwsgi_add_safe_fd(fd); /* uwsgi_reload closes all others (core/master_utils.c) */
}

/* What the image before had in force, or NULL. The environment may say anything: only a memfd is
 * believed. */
static struct fr_config_file *take_left(void)
{
	const char *number = getenv(FR_SETTINGS_FILE_ENV);
	struct fr_config_file *file = NULL;
	int fd = number ? atoi(number) : -1;
	struct stat st;
	char *text, error[64];

	unsetenv(FR_SETTINGS_FILE_ENV);
	if (fd < 3 || fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0 ||
	    st.st_size > FR_CONFIG_FILE_MAX_BYTES)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	if (text && pread(fd, text, (size_t)st.st_size, 0) == (ssize_t)st.st_size &&
	    understand(text, (size_t)st.st_size, &file, error, sizeof(error)) < 0)
		file = NULL;
	free(text);
	close(fd);
	return file;
}

/* ---- reading ---- */

static void apply(const struct fr_config_file *file)
{
	for (size_t i = 0; i < file->len; i++) {
		const struct fr_config_value *value = &file->values[i];
		struct uwsgi_option *option = find_option(value->key);

		if (strcmp(value->text, "false") != 0 || option->func != uwsgi_opt_true)
			option->func((char *)(uintptr_t)option->name, value->text, option->data);
	}
}

void fr_settings_file_read(void)
{
	const char *given = fr_settings.config;
	struct fr_config_file *left = take_left();
	char error[1024], shown[1024];

	if (!given)
		return;
	settings_file.path = realpath(given, NULL);
	if (!settings_file.path)
		settings_file.path = uwsgi_str((char *)(uintptr_t)given);
	if (read_file(&settings_file.file, error, sizeof(error)) < 0) {
		fr_sentence_path(error, shown, sizeof(shown));
		if (!uwsgi.is_a_reload || !left)
			fr_settings_refuse("fastreload-config", given, shown);
		fr_log("%s: %s; the old rules stay\n", given, shown);
		settings_file.file = left;
		left = NULL;
	}
	fr_config_file_free(left);
	apply(settings_file.file);
}

char *fr_settings_file_origin(const char *option, const char *value, char *text, size_t text_size)
{
	const char *key = option + strlen(FR_OPTION_PREFIX);
	const struct fr_config_value *found =
		settings_file.file ? fr_config_file_find(settings_file.file, key, value) : NULL;
	unsigned line, column;

	if (found)
		fr_config_file_locate(settings_file.file, &found->place, &line, &column);
	if (found)
		snprintf(text, text_size, "%s, line %u, column %u, \"%s\"", fr_settings.config,
			 line, column, key);
	else
		snprintf(text, text_size, "--%s", option);
	return text;
}
