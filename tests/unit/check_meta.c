/*
 * check_meta: which policies the tags of a head set, and which tags of a page count.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "browser/inject.h"
#include "browser/meta.h"

Suite *fr_check_meta_suite(void);

#define EQUIV "http-equiv=Content-Security-Policy "

/* What stands behind "<meta", and the policies. */
static const struct {
	const char *tag, *policies;
} cases[] = {
	{" " EQUIV "content=\"script-src 'self'\"", "script-src 'self',"},
	{" content='img-src *' HTTP-EQUIV='content-security-POLICY'", "img-src *,"},
	{"\n\thttp-equiv\n = \"Content-Security-Policy\"\fcontent = \"a b\"/", "a b,"},
	{"/http-equiv=Content-Security-Policy/content=a", ""},
	{" " EQUIV "content=default-src", "default-src,"},
	{" " EQUIV "content=\"a\"content=\"b\"", "a,"},
	{" http-equiv=refresh " EQUIV "content=a", ""},
	{" " EQUIV "x content=a", "a,"},
	{" " EQUIV "x=\"content='b'\" content=a", "a,"},
	{" " EQUIV "content=\"a > b\"", "a > b,"},
	{" " EQUIV "content=\"\"", ""},
	{" " EQUIV, ""},
	{" content=a", ""},
	{" name=Content-Security-Policy content=a", ""},
	{" http-equiv=Content-Security-Policy-Report-Only content=a", ""},
	{" http-equivx=Content-Security-Policy content=a", ""},
	{" " EQUIV "contents=a", ""},
	{"", ""},
	/* what templates write for a quote */
	{" " EQUIV "content=\"&#39;self&#x27; &apos;&quot;&amp;&#X2f;\"", "'self' '\"&/,"},
	{" " EQUIV "content='&; &# &#; &#x; &#39 &copy; &#0; &#300; &#-1; &amp'",
	 "&; &# &#; &#x; &#39 &copy; &#0; &#300; &#-1; &amp,"},
};

static void feed(struct fr_meta *meta, const char *tag)
{
	fr_meta_begin(meta);
	while (*tag)
		fr_meta_feed(meta, *tag++);
	fr_meta_end(meta);
}

START_TEST(test_each_tag_sets_its_policy)
{
	struct fr_meta meta = {0};

	feed(&meta, cases[_i].tag);
	ck_assert_str_eq(meta.policies, cases[_i].policies);
	ck_assert(!meta.is_cut);
}
END_TEST

START_TEST(test_policies_follow_each_other)
{
	struct fr_meta meta = {0};

	feed(&meta, " " EQUIV "content=a");
	feed(&meta, " name=viewport content=width");
	feed(&meta, " " EQUIV "content=b");
	ck_assert_str_eq(meta.policies, "a,b,");
}
END_TEST

START_TEST(test_more_than_fits_is_cut)
{
	char tag[FR_META_MAX_POLICIES + 200];
	struct fr_meta meta = {0};
	int len = snprintf(tag, sizeof(tag), " " EQUIV "content=");

	memset(tag + len, 'a', sizeof(tag) - (size_t)len);
	tag[len + FR_META_MAX_POLICIES - 1] = '\0';
	feed(&meta, tag);
	ck_assert(!meta.is_cut);
	ck_assert_uint_eq(strlen(meta.policies), FR_META_MAX_POLICIES);
	feed(&meta, " name=a content=b");
	ck_assert(!meta.is_cut);
	feed(&meta, " " EQUIV "content=a");
	ck_assert(meta.is_cut);

	meta = (struct fr_meta){0};
	memset(tag + len, 'a', FR_META_MAX_POLICIES);
	tag[len + FR_META_MAX_POLICIES] = '\0';
	feed(&meta, tag);
	ck_assert(meta.is_cut);
	ck_assert_str_eq(meta.policies, "");
}
END_TEST

#define META "<meta " EQUIV "content=\"a\">"

static const struct {
	const char *page, *policies;
} pages[] = {
	{"<!doctype html><head>" META "<title>x</title></head>", "a,"},
	{"<!doctype html>" META META "<p>", "a,a,"},
	{"<!doctype html><META http-equiv='Content-Security-Policy'\ncontent='b'/><p>", "b,"},
	{"<!doctype html><meta><p>", ""},
	/* what is none, or does not count */
	{"<!doctype html><head><!--" META "--></head>", ""},
	{"<!doctype html><head><script>'" META "'</script></head>", ""},
	{"<!doctype html><head><noscript>" META "</noscript></head>", ""},
	{"<!doctype html><head><template>" META "</template></head>", ""},
	{"<!doctype html><head></head>" META "<body>", ""},
	{"<!doctype html><body>" META, ""},
	{"<!doctype html><link " EQUIV "content=a><p>", ""},
};

START_TEST(test_the_tags_of_a_head_count)
{
	struct fr_inject inject;

	fr_inject_begin(&inject);
	fr_inject_feed(&inject, pages[_i].page, strlen(pages[_i].page));
	ck_assert_int_eq(inject.verdict, FR_INJECT_PLACE);
	ck_assert_str_eq(inject.meta.policies, pages[_i].policies);
}
END_TEST

Suite *fr_check_meta_suite(void)
{
	Suite *suite = suite_create("meta");
	TCase *tcase = tcase_create("meta");

	tcase_add_loop_test(tcase, test_each_tag_sets_its_policy, 0,
			    sizeof(cases) / sizeof(*cases));
	tcase_add_test(tcase, test_policies_follow_each_other);
	tcase_add_test(tcase, test_more_than_fits_is_cut);
	tcase_add_loop_test(tcase, test_the_tags_of_a_head_count, 0,
			    sizeof(pages) / sizeof(*pages));
	suite_add_tcase(suite, tcase);
	return suite;
}
