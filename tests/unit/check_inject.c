/*
 * check_inject: where the script goes, and in what it does not go at all; each page whole, byte by
 * byte, and cut in two at every place.
 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "browser/inject.h"

Suite *fr_check_inject_suite(void);

#define SIZE 16384

/* "@" is where the script goes; a text without one is no page. */
static const char *const cases[] = {
	/* before </head> */
	"<!doctype html><html><head><title>x</title>@</head><body>y</body></html>",
	"<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"ab\"><head>@</head>",
	"<!doctype html>\n<html lang=en>\n<HEAD>\n@</HEAD>\n<BODY>",
	"<html><head>@</head></html>",
	"<html a='>' b=\">\"><head x='</head>'>@</head>",
	"<!doctype html><head>@</head/>",
	"<!doctype html><head>@</head\n>",
	/* a head without its end, or without itself */
	"<!doctype html><html><head><title>x</title>@<body>y",
	"<!doctype html><title>x</title>@<p>y",
	"<!doctype html>@<p>y",
	"<!doctype html>@text",
	"<!doctype html><html>@<body></body></html>",
	"<!doctype html><html>@</html>",
	"<!doctype html><meta charset=utf-8><link rel=a href=b><base href=c>@<div>",
	"<!doctype html><html><head>@<frameset>",
	"<!doctype html>@< p",
	"<!doctype html>@<averyverylongelementname x=y>",
	"<!doctype html>@<h1>x</h1></head>",
	/* nothing that ends it: at the end */
	"<!doctype html>@",
	"<!doctype html><html><head><title>x</title>@",
	"<!doctype html><head><script>@",
	/* what looks like an end, and is none */
	"<!doctype html><head><!-- </head> <body> --><title>x</title>@</head>",
	"<!doctype html><head><!--></head--><meta a=b>@</head>",
	"<!doctype html><head><!-- -- > --!>@</head>",
	"<!doctype html><head><script>document.write('</head>')</script>@</head>",
	"<!doctype html><head><script>if (a</b/ && c<d) '</scriptx>'</script>@</head>",
	"<!doctype html><head><style>a::after{content:'</head>'}</style>@</head>",
	"<!doctype html><head><title><body></head></title>@</head>",
	"<!doctype html><head><noscript><p></head></noscript>@</head>",
	"<!doctype html><head><template><p></head><template></template><b></template>@</head>",
	"<!doctype html><head><script><</script>@</head>",
	"<!doctype html><head><script></scr</script>@</head>",
	"<!doctype html><head><script><<</SCRIPT >@</head>",
	"<!doctype html><head></header></headers></he ad></hea>@</head>",
	"<!doctype html><head></averyveryverylongendtagname>@</head>",
	"<!doctype html><head><meta content=\"</head>\">@</head>",
	"<!doctype html><head><?php </head ?>@</head>",
	"<!doctype html><head><!x>@</head>",
	"<!doctype html><head><!>@</head>",
	/* before the document type */
	"\xef\xbb\xbf<!doctype html><head>@</head>",
	" \r\n\t<!-- a > b --><!-- c --><?xml version='1.0'?>\n<!DocType\n  hTmL><head>@</head>",
	"<!--><!doctype html><head>@</head>",
	/* bytes that are no ASCII */
	"<!doctype html><title>\xc3\xa4\x80\xff</title>@\xc3\xa4",
	/* no pages */
	"",
	" ",
	"<",
	"<!",
	"<!-",
	"<!doctype",
	"<!doctype html",
	"<p>a fragment</p>",
	"<div><html></div>",
	"<head></head>",
	"<title>x</title>",
	"text <!doctype html>",
	"<!doctype htmlx><head></head>",
	"<!doctype svg><head></head>",
	"<!doctypehtml><head></head>",
	"<?xml version='1.0'?><feed></feed>",
	"<htmlx><head></head>",
	"</html>",
	"{\"a\": \"<!doctype html>\"}",
	"\xff\xfe<\0!\0",
	"\xef\xbb<!doctype html>",
};

struct copy {
	char text[SIZE];
	size_t len;
	char held[SIZE];
	size_t held_len, most_held;
	struct fr_inject inject;
	bool is_done;
};

static void put(struct copy *copy, const char *text, size_t len)
{
	memcpy(copy->text + copy->len, text, len);
	copy->len += len;
}

/* What whoever has the bytes does with the verdict. */
static void feed(struct copy *copy, const char *text, size_t len)
{
	uint64_t from = copy->inject.seen - copy->held_len, until;

	if (copy->is_done) {
		put(copy, text, len);
		return;
	}
	memcpy(copy->held + copy->held_len, text, len);
	copy->held_len += len;
	fr_inject_feed(&copy->inject, text, len);
	switch (copy->inject.verdict) {
	case FR_INJECT_UNDECIDED:
		return;
	case FR_INJECT_NO_PAGE:
		until = from + copy->held_len;
		copy->is_done = true;
		break;
	case FR_INJECT_PAGE:
		until = copy->inject.safe;
		break;
	default:
		put(copy, copy->held, (size_t)(copy->inject.at - from));
		put(copy, "@", 1);
		put(copy, copy->held + (copy->inject.at - from),
		    copy->held_len - (size_t)(copy->inject.at - from));
		copy->held_len = 0;
		copy->is_done = true;
		return;
	}
	ck_assert_uint_ge(until, from);
	put(copy, copy->held, (size_t)(until - from));
	copy->held_len -= (size_t)(until - from);
	memmove(copy->held, copy->held + (until - from), copy->held_len);
	if (copy->held_len > copy->most_held)
		copy->most_held = copy->held_len;
}

static void finish(struct copy *copy)
{
	put(copy, copy->held, copy->held_len);
	if (!copy->is_done && copy->inject.verdict == FR_INJECT_PAGE)
		put(copy, "@", 1);
	ck_assert_uint_le(copy->most_held, FR_INJECT_MAX_HELD);
}

static struct copy *begin(void)
{
	static struct copy copy;

	memset(&copy, 0, sizeof(copy));
	fr_inject_begin(&copy.inject);
	return &copy;
}

/* The case without its mark. */
static size_t strip(const char *text, char *ret_plain)
{
	size_t len = 0;

	for (; *text; text++) {
		if (*text != '@')
			ret_plain[len++] = *text;
	}
	return len;
}

static void check(const struct copy *copy, const char *expected, size_t cut)
{
	ck_assert_msg(copy->len == strlen(expected) && memcmp(copy->text, expected, copy->len) == 0,
		      "cut at %zu: %s\ncame out as: %.*s", cut, expected, (int)copy->len,
		      copy->text);
}

START_TEST(test_each_page_whole_and_cut_at_every_place)
{
	char plain[SIZE];
	size_t len = strip(cases[_i], plain);

	for (size_t cut = 0; cut <= len; cut++) {
		struct copy *copy = begin();

		feed(copy, plain, cut);
		feed(copy, plain + cut, len - cut);
		finish(copy);
		check(copy, cases[_i], cut);
	}
}
END_TEST

START_TEST(test_each_page_byte_by_byte)
{
	char plain[SIZE];
	size_t len = strip(cases[_i], plain);
	struct copy *copy = begin();

	for (size_t i = 0; i < len; i++)
		feed(copy, plain + i, 1);
	finish(copy);
	check(copy, cases[_i], 1);
}
END_TEST

START_TEST(test_a_prologue_without_an_end_is_given_up)
{
	struct copy *copy = begin();
	char blanks[FR_INJECT_MAX_PROLOGUE];

	memset(blanks, ' ', sizeof(blanks));
	feed(copy, blanks, sizeof(blanks) - 1);
	ck_assert_int_eq(copy->inject.verdict, FR_INJECT_UNDECIDED);
	feed(copy, blanks, 1);
	ck_assert_int_eq(copy->inject.verdict, FR_INJECT_NO_PAGE);
	ck_assert_uint_eq(copy->len, sizeof(blanks));
}
END_TEST

START_TEST(test_a_long_head_is_passed_on_as_it_comes)
{
	struct copy *copy = begin();
	char line[] = "<meta name=a content=b>";

	feed(copy, "<!doctype html>", 15);
	for (int i = 0; i < 300; i++)
		feed(copy, line, strlen(line));
	ck_assert_uint_le(copy->held_len, FR_INJECT_MAX_HELD);
	ck_assert_uint_ge(copy->len, 300 * strlen(line));
}
END_TEST

Suite *fr_check_inject_suite(void)
{
	Suite *suite = suite_create("inject");
	TCase *tcase = tcase_create("inject");

	tcase_add_loop_test(tcase, test_each_page_whole_and_cut_at_every_place, 0,
			    sizeof(cases) / sizeof(*cases));
	tcase_add_loop_test(tcase, test_each_page_byte_by_byte, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(tcase, test_a_prologue_without_an_end_is_given_up);
	tcase_add_test(tcase, test_a_long_head_is_passed_on_as_it_comes);
	suite_add_tcase(suite, tcase);
	return suite;
}
