/*
 * Anything at all from a client of LiveReload: a request's head and frames are read within their
 * bounds, and the same whether they come whole or cut in two.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "browser/message.h"
#include "browser/origin.h"
#include "browser/request.h"
#include "browser/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_head(const uint8_t *data, size_t size)
{
	static const struct fr_origin_names names = {NULL, 0};
	struct fr_http_request request;
	char *text = malloc(size + !size);
	int len;

	memcpy(text, data, size);
	len = fr_http_read(text, size, &request);
	if (len > (int)size || (size >= FR_HTTP_MAX_HEAD && len == 0))
		abort();
	if (len > 0) {
		(void)fr_origin_is_host(&names, request.host.text, request.host.len);
		(void)fr_origin_is_local(&names, request.origin.text, request.origin.len);
		(void)fr_origin_is_same(&names, request.origin.text, request.origin.len,
					request.host.text, request.host.len);
		if (request.is_upgrade)
			(void)fr_websocket_is_key(request.key.text, request.key.len);
	}
	free(text);
}

static void read_frames(const uint8_t *data, size_t size)
{
	struct fr_websocket_frame frame, half;
	size_t at = 0;

	while (at < size) {
		size_t left = size - at;
		uint8_t *bytes = malloc(left), *copy = malloc(left);
		int len, before;

		memcpy(bytes, data + at, left);
		memcpy(copy, data + at, left);
		before = fr_websocket_read(copy, left / 2, &half);
		len = fr_websocket_read(bytes, left, &frame);
		if (len > (int)left || (before != 0 && before != len))
			abort();
		if (len > 0) {
			if (frame.len > FR_WEBSOCKET_MAX_PAYLOAD || frame.payload < bytes ||
			    frame.payload + frame.len != bytes + len)
				abort();
			(void)fr_message_is_livereload_hello((char *)frame.payload, frame.len);
		}
		free(bytes);
		free(copy);
		if (len <= 0)
			break;
		at += (size_t)len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_head(data, size);
	read_frames(data, size);
	return 0;
}
