/*
 * websocket: the server's side of RFC 6455, as far as text needs it: the answer to a handshake, and
 * frames.
 *
 * Bytes in, bytes out. What comes is from anybody, and is bounded; no extension is spoken.
 */
#ifndef FR_WEBSOCKET_H
#define FR_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than this in one frame or message is refused. LiveReload's clients send less than 1 KiB. */
#define FR_WEBSOCKET_MAX_PAYLOAD 4096
#define FR_WEBSOCKET_MAX_HEAD    14 /* of a frame from a client */

#define FR_WEBSOCKET_KEY_LEN     24 /* base64 of 16 bytes */
#define FR_WEBSOCKET_ACCEPT_SIZE 29 /* base64 of 20 bytes, and a NUL */

enum fr_websocket_opcode {
	FR_WEBSOCKET_CONTINUATION = 0,
	FR_WEBSOCKET_TEXT = 1,
	FR_WEBSOCKET_BINARY = 2,
	FR_WEBSOCKET_CLOSE = 8,
	FR_WEBSOCKET_PING = 9,
	FR_WEBSOCKET_PONG = 10,
};

/* Why a connection is closed: RFC 6455, 7.4.1. */
enum fr_websocket_status {
	FR_WEBSOCKET_NORMAL = 1000,
	FR_WEBSOCKET_GOING = 1001,
	FR_WEBSOCKET_PROTOCOL = 1002,
	FR_WEBSOCKET_TOO_BIG = 1009,
};

struct fr_websocket_frame {
	enum fr_websocket_opcode opcode;
	bool is_last;     /* of a message */
	uint8_t *payload; /* in the bytes that were given, unmasked there */
	size_t len;
};

/* Is it the base64 text of 16 bytes? */
bool fr_websocket_is_key(const char *key, size_t len);

/* Sec-WebSocket-Accept for a key (fr_websocket_is_key). */
void fr_websocket_accept(const char *key, char ret_accept[FR_WEBSOCKET_ACCEPT_SIZE]);

/*
 * Reads the first frame of a client. Returns how many bytes it takes; 0: it is not whole yet; or,
 * as a negative number, the status to close with: it is not masked, too long, or not as it should
 * be.
 */
int fr_websocket_read(uint8_t *bytes, size_t len, struct fr_websocket_frame *ret_frame);

/* Writes a whole frame, which a server does not mask, and returns its length: that of the payload
 * and 4 more at most. */
size_t fr_websocket_write(enum fr_websocket_opcode opcode, const void *payload, size_t len,
			  uint8_t *ret_bytes);

#endif
