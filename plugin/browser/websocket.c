/*
 * websocket: frames and the handshake. See websocket.h.
 */
#include <string.h>

#include "browser/websocket.h"

/* ---- SHA-1 (RFC 3174), of one short text ---- */

static uint32_t rotate(uint32_t word, int bits)
{
	return word << bits | word >> (32 - bits);
}

static void hash_block(uint32_t hash[5], const uint8_t block[64])
{
	uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4], words[80];

	for (int i = 0; i < 16; i++)
		words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
			   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 80; i++)
		words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t mixed = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
				 : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
				 : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
					  : (b ^ c ^ d) + 0xca62c1d6;
		uint32_t sum = rotate(a, 5) + mixed + e + words[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = sum;
	}
	hash[0] += a;
	hash[1] += b;
	hash[2] += c;
	hash[3] += d;
	hash[4] += e;
}

/* Of at most 119 bytes. */
static void hash_text(const char *text, size_t len, uint8_t ret_digest[20])
{
	uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t blocks[128] = {0};
	size_t size = len < 56 ? 64 : 128;

	memcpy(blocks, text, len);
	blocks[len] = 0x80;
	blocks[size - 2] = (uint8_t)(len * 8 >> 8);
	blocks[size - 1] = (uint8_t)(len * 8);
	for (size_t at = 0; at < size; at += 64)
		hash_block(hash, blocks + at);
	for (int i = 0; i < 20; i++)
		ret_digest[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
}

/* ---- the handshake ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool fr_websocket_is_key(const char *key, size_t len)
{
	if (len != FR_WEBSOCKET_KEY_LEN || key[22] != '=' || key[23] != '=')
		return false;
	for (size_t i = 0; i < 22; i++) {
		if (!key[i] || !strchr(digits, key[i]))
			return false;
	}
	return true;
}

void fr_websocket_accept(const char *key, char ret_accept[FR_WEBSOCKET_ACCEPT_SIZE])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[FR_WEBSOCKET_KEY_LEN + sizeof(guid)];
	uint8_t digest[21] = {0};
	char *at = ret_accept;

	memcpy(text, key, FR_WEBSOCKET_KEY_LEN);
	memcpy(text + FR_WEBSOCKET_KEY_LEN, guid, sizeof(guid));
	hash_text(text, sizeof(text) - 1, digest);
	for (int i = 0; i < 21; i += 3) {
		uint32_t three =
			(uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*at++ = digits[three >> shift & 63];
	}
	at[-1] = '='; /* 20 bytes, not 21 */
	*at = '\0';
}

/* ---- frames ---- */

static bool is_control(int opcode)
{
	return (opcode & 8) != 0;
}

static bool is_known(int opcode)
{
	return opcode <= FR_WEBSOCKET_BINARY ||
	       (opcode >= FR_WEBSOCKET_CLOSE && opcode <= FR_WEBSOCKET_PONG);
}

int fr_websocket_read(uint8_t *bytes, size_t len, struct fr_websocket_frame *ret_frame)
{
	size_t head = 2, payload_len;
	int opcode;

	if (len < 2)
		return 0;
	opcode = bytes[0] & 0x0f;
	payload_len = bytes[1] & 0x7f;
	if (bytes[0] & 0x70 || !is_known(opcode) || !(bytes[1] & 0x80) ||
	    (is_control(opcode) && (payload_len > 125 || !(bytes[0] & 0x80))))
		return -FR_WEBSOCKET_PROTOCOL;
	if (payload_len == 127)
		return -FR_WEBSOCKET_TOO_BIG; /* it would have to be more than 64 KiB */
	if (payload_len == 126) {
		head = 4;
		if (len < head)
			return 0;
		payload_len = (size_t)bytes[2] << 8 | bytes[3];
		if (payload_len < 126)
			return -FR_WEBSOCKET_PROTOCOL;
	}
	if (payload_len > FR_WEBSOCKET_MAX_PAYLOAD)
		return -FR_WEBSOCKET_TOO_BIG;
	if (len < head + 4 + payload_len)
		return 0;
	ret_frame->opcode = (enum fr_websocket_opcode)opcode;
	ret_frame->is_last = (bytes[0] & 0x80) != 0;
	ret_frame->payload = bytes + head + 4;
	ret_frame->len = payload_len;
	for (size_t i = 0; i < payload_len; i++)
		ret_frame->payload[i] ^= bytes[head + i % 4];
	return (int)(head + 4 + payload_len);
}

size_t fr_websocket_write(enum fr_websocket_opcode opcode, const void *payload, size_t len,
			  uint8_t *ret_bytes)
{
	size_t head = 2;

	ret_bytes[0] = (uint8_t)(0x80 | opcode);
	if (len < 126) {
		ret_bytes[1] = (uint8_t)len;
	} else {
		ret_bytes[1] = 126;
		ret_bytes[2] = (uint8_t)(len >> 8);
		ret_bytes[3] = (uint8_t)len;
		head = 4;
	}
	if (len > 0)
		memcpy(ret_bytes + head, payload, len);
	return head + len;
}
