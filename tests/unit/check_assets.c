/*
 * check_assets: what a browser has of a project, by name; and what a change of it leads to.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "decide/assets.h"
#include "decide/plan.h"
#include "decide/reactions.h"

Suite *fr_check_assets_suite(void);

static const char *relative(void *ctx, const char *path)
{
	(void)ctx;
	return path + 1;
}

static void check_plan(bool has_browser, const char *rule, const char *path, const char *does)
{
	struct fr_plan_facts facts = {.relative = relative, .has_browser = has_browser};
	struct fr_reactions *reactions;
	struct fr_plan plan;
	const char *pattern;
	char text[256], error[256];
	bool ignores;

	ck_assert_int_eq(fr_reactions_new(&reactions), 0);
	if (rule)
		ck_assert_int_eq(
			fr_reactions_add(reactions, rule, &pattern, &ignores, error, sizeof(error)),
			0);
	facts.reactions = reactions;
	fr_plan_make(&facts, &path, 1, &plan);
	ck_assert_str_eq(fr_plan_describe(&plan, text, sizeof(text)), does);
	ck_assert_ptr_nonnull(plan.reason);
	fr_reactions_free(reactions);
}

START_TEST(test_kinds_by_the_end_of_a_name)
{
	ck_assert_int_eq(fr_asset_of("static/site.css"), FR_ASSET_EXCHANGED);
	ck_assert_int_eq(fr_asset_of("static/LOGO.PNG"), FR_ASSET_EXCHANGED);
	ck_assert_int_eq(fr_asset_of("static/site.js"), FR_ASSET_LOADED);
	ck_assert_int_eq(fr_asset_of("templates/page.html"), FR_ASSET_TEMPLATE);
	ck_assert_int_eq(fr_asset_of("views.py"), FR_ASSET_NONE);
	ck_assert_int_eq(fr_asset_of("data.json"), FR_ASSET_NONE);
	ck_assert_int_eq(fr_asset_of(".css"), FR_ASSET_NONE);
	ck_assert_int_eq(fr_asset_of("css"), FR_ASSET_NONE);
	ck_assert_int_eq(fr_asset_of(""), FR_ASSET_NONE);
}
END_TEST

START_TEST(test_patterns_end)
{
	size_t len = 0;

	while (fr_asset_pattern(len))
		ck_assert_int_ne(fr_asset_of(fr_asset_pattern(len++)), FR_ASSET_NONE);
	ck_assert_uint_gt(len, 10);
}
END_TEST

START_TEST(test_pages_follow_without_code_being_loaded)
{
	check_plan(true, NULL, "/a.css", "browser");
	check_plan(true, NULL, "/a.js", "browser");
	check_plan(true, NULL, "/a.html", "swap");
	check_plan(true, NULL, "/a.py", "swap");
	check_plan(true, "*.html browser", "/a.html", "browser");
	check_plan(true, "*.css swap", "/a.css", "swap");
	check_plan(true, "*.css log", "/a.css", "log");
	check_plan(false, NULL, "/a.css", "swap"); /* somebody has included it */
}
END_TEST

Suite *fr_check_assets_suite(void)
{
	Suite *suite = suite_create("assets");
	TCase *tcase = tcase_create("assets");

	tcase_add_test(tcase, test_kinds_by_the_end_of_a_name);
	tcase_add_test(tcase, test_patterns_end);
	tcase_add_test(tcase, test_pages_follow_without_code_being_loaded);
	suite_add_tcase(suite, tcase);
	return suite;
}
