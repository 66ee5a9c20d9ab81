/*
 * Anything at all from Watchman's socket, in pieces of any size: no crash, bounded memory, and no
 * name that leads out of the folder. The first byte says how the rest is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "watch/watchman_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || name[0] == '/' || name[len - 1] == '/' || strstr(name, "//") ||
	    strncmp(name, "../", 3) == 0 || strstr(name, "/../") || strcmp(name, "..") == 0 ||
	    (len > 2 && strcmp(name + len - 3, "/..") == 0))
		abort();
}

static void read_message(const char *text, size_t len)
{
	struct fr_watchman_message message;
	struct fr_watchman_file file;
	char path[64];

	(void)fr_watchman_read_sockname(text, len, path, sizeof(path));
	if (fr_watchman_message_read(text, len, &message) < 0)
		return;
	if (message.clock && strlen(message.clock) >= FR_WATCHMAN_MAX_CLOCK)
		abort();
	for (size_t i = 0; i < message.files_len; i++) {
		if (fr_watchman_message_file(&message, i, &file) == 0)
			check_name(file.name);
	}
	if (message.watch)
		free(fr_watchman_write_subscribe(message.watch, message.relative_path, "s",
						 message.clock, FR_WATCHMAN_TEXT_NAMES));
	fr_watchman_message_clear(&message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fr_watchman_stream stream = {0};
	size_t piece = size > 0 ? 1 + (size_t)data[0] * 7 : 1;

	for (size_t at = 1; at < size;) {
		size_t room_len, len;
		const char *text;
		char *room;

		if (fr_watchman_stream_room(&stream, &room, &room_len) < 0)
			abort();
		len = size - at < piece ? size - at : piece;
		len = len < room_len ? len : room_len;
		memcpy(room, data + at, len);
		fr_watchman_stream_filled(&stream, len);
		at += len;
		while (fr_watchman_stream_next(&stream, &text, &len) == 1)
			read_message(text, len);
	}
	fr_watchman_stream_clear(&stream);
	return 0;
}
