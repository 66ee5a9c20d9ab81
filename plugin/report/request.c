/*
 * request: one line of --fastreload-control. See request.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "path.h"
#include "report/json.h"
#include "report/request.h"

#define FR_COMMAND_LIST "status, pause, resume, reload, explain and journal"

static const char *const names[FR_COMMANDS] = {
	[FR_COMMAND_STATUS] = "status",   [FR_COMMAND_PAUSE] = "pause",
	[FR_COMMAND_RESUME] = "resume",   [FR_COMMAND_RELOAD] = "reload",
	[FR_COMMAND_EXPLAIN] = "explain", [FR_COMMAND_JOURNAL] = "journal",
};

const char *fr_command_name(enum fr_command command)
{
	return names[command];
}

enum fr_command fr_command_of(const char *word)
{
	unsigned command = 0;

	while (command < FR_COMMANDS && strcmp(names[command], word) != 0)
		command++;
	return (enum fr_command)command;
}

static int refuse(char *error, size_t error_size, const char *sentence)
{
	snprintf(error, error_size, "%s", sentence);
	return -EINVAL;
}

int fr_request_read(const char *line, size_t len, struct fr_request *ret_request, char *error,
		    size_t error_size)
{
	char command[32], as[32];
	struct fr_request request = {.path = ""};
	struct fr_json_member members[] = {
		{.key = "command", .value = command, .size = sizeof(command)},
		{.key = "path", .value = request.path, .size = sizeof(request.path)},
		{.key = "as", .value = as, .size = sizeof(as)},
	};
	int code = fr_json_read(line, len, members, 3, error, error_size);

	if (code)
		return code;
	for (size_t i = 0; i < 3; i++) {
		if (members[i].is_there && !members[i].is_string)
			return refuse(error, error_size,
				      "\"command\", \"path\" and \"as\" are strings");
	}
	request.command = members[0].is_there ? fr_command_of(command) : FR_COMMANDS;
	if (request.command == FR_COMMANDS)
		return refuse(error, error_size,
			      members[0].is_there
				      ? "the command is unknown; there are " FR_COMMAND_LIST
				      : "\"command\" is missing; there are " FR_COMMAND_LIST);
	if (members[1].is_there != (request.command == FR_COMMAND_EXPLAIN))
		return refuse(error, error_size,
			      members[1].is_there ? "\"path\" is for \"explain\" only"
						  : "\"explain\" needs a \"path\"");
	if (members[1].is_there && !fr_path_is_plain(request.path))
		return refuse(error, error_size,
			      "\"path\" has to be absolute, without \"//\", \".\" and \"..\"");
	if (members[2].is_there && strcmp(as, "text") != 0 && strcmp(as, "json") != 0)
		return refuse(error, error_size, "\"as\" is unknown; there are json and text");
	request.is_for_people = members[2].is_there && strcmp(as, "text") == 0;
	*ret_request = request;
	return 0;
}

size_t fr_request_write(const struct fr_request *request, char text[FR_REQUEST_LINE_MAX + 1])
{
	struct fr_json json;

	fr_json_begin(&json, text, FR_REQUEST_LINE_MAX + 1);
	fr_json_open(&json, NULL, '{');
	fr_json_string(&json, "command", names[request->command]);
	if (request->path[0])
		fr_json_string(&json, "path", request->path);
	if (request->is_for_people)
		fr_json_string(&json, "as", "text");
	fr_json_close(&json, '}');
	fr_json_raw(&json, "\n");
	return json.len;
}
