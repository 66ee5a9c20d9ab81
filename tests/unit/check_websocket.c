/*
 * check_websocket: the handshake, and frames, with those of RFC 6455.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "browser/websocket.h"

Suite *fr_check_websocket_suite(void);

static int read_copy(const void *bytes, size_t len, struct fr_websocket_frame *ret_frame)
{
	static uint8_t copy[8192];

	memcpy(copy, bytes, len);
	return fr_websocket_read(copy, len, ret_frame);
}

START_TEST(test_the_handshake_of_the_rfc)
{
	char accept[FR_WEBSOCKET_ACCEPT_SIZE];

	ck_assert(fr_websocket_is_key("dGhlIHNhbXBsZSBub25jZQ==", 24));
	fr_websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
	ck_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	ck_assert(!fr_websocket_is_key("dGhlIHNhbXBsZSBub25jZQ=", 23));
	ck_assert(!fr_websocket_is_key("dGhlIHNhbXBsZSBub25jZQ=x", 24));
	ck_assert(!fr_websocket_is_key("dGhlIHNhbXBs\r\nA: bjZQ==", 24));
	ck_assert(!fr_websocket_is_key("", 0));
}
END_TEST

START_TEST(test_a_masked_text_is_read_however_it_comes)
{
	static const uint8_t hello[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
					0x7f, 0x9f, 0x4d, 0x51, 0x58};
	struct fr_websocket_frame frame;

	for (size_t len = 0; len < sizeof(hello); len++)
		ck_assert_int_eq(read_copy(hello, len, &frame), 0);
	ck_assert_int_eq(read_copy(hello, sizeof(hello), &frame), sizeof(hello));
	ck_assert_int_eq(frame.opcode, FR_WEBSOCKET_TEXT);
	ck_assert(frame.is_last);
	ck_assert_uint_eq(frame.len, 5);
	ck_assert_int_eq(memcmp(frame.payload, "Hello", 5), 0);
}
END_TEST

START_TEST(test_what_a_client_must_not_send_is_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
		int status;
	} bad[] = {
		{"\x81\x05Hello", 7, 1002}, /* not masked */
		{"\xc1\x80____", 6, 1002},  /* an extension */
		{"\x83\x80____", 6, 1002},  /* an opcode that there is not */
		{"\x8b\x80____", 6, 1002},
		{"\x09\x80____", 6, 1002},             /* a ping in pieces */
		{"\x89\xfe\x01\x00", 4, 1002},         /* a long ping */
		{"\x81\xfe\x00\x05", 4, 1002},         /* a length that is not the shortest */
		{"\x81\xfe\x10\x01", 4, 1009},         /* 4097 bytes */
		{"\x81\xff\x00\x00\x00\x00", 6, 1009}, /* more */
	};
	struct fr_websocket_frame frame;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(read_copy(bad[i].bytes, bad[i].len, &frame) == -bad[i].status, "%zu",
			      i);
}
END_TEST

START_TEST(test_the_longest_frame_is_read)
{
	static uint8_t bytes[FR_WEBSOCKET_MAX_PAYLOAD + 8] = {0x82, 0xfe, 0x10, 0x00};
	struct fr_websocket_frame frame;

	ck_assert_int_eq(read_copy(bytes, sizeof(bytes) - 1, &frame), 0);
	ck_assert_int_eq(read_copy(bytes, sizeof(bytes), &frame), sizeof(bytes));
	ck_assert_uint_eq(frame.len, FR_WEBSOCKET_MAX_PAYLOAD);
}
END_TEST

START_TEST(test_frames_are_written_unmasked)
{
	uint8_t bytes[300];
	char text[200] = {0};

	ck_assert_uint_eq(fr_websocket_write(FR_WEBSOCKET_TEXT, "Hello", 5, bytes), 7);
	ck_assert_int_eq(memcmp(bytes, "\x81\x05Hello", 7), 0);
	ck_assert_uint_eq(fr_websocket_write(FR_WEBSOCKET_PING, NULL, 0, bytes), 2);
	ck_assert_uint_eq(fr_websocket_write(FR_WEBSOCKET_TEXT, text, 200, bytes), 204);
	ck_assert_int_eq(memcmp(bytes, "\x81\x7e\x00\xc8", 4), 0);
}
END_TEST

Suite *fr_check_websocket_suite(void)
{
	Suite *suite = suite_create("websocket");
	TCase *tcase = tcase_create("websocket");

	tcase_add_test(tcase, test_the_handshake_of_the_rfc);
	tcase_add_test(tcase, test_a_masked_text_is_read_however_it_comes);
	tcase_add_test(tcase, test_what_a_client_must_not_send_is_refused);
	tcase_add_test(tcase, test_the_longest_frame_is_read);
	tcase_add_test(tcase, test_frames_are_written_unmasked);
	suite_add_tcase(suite, tcase);
	return suite;
}
