/*
 * What a change leads to.
 */
#include <check.h>

#include "decide/plan.h"

static const char *const own_files[] = {"/etc/app.ini", "/srv/app/uwsgi.yaml"};
static const char *const sources[] = {"/srv/app/views.py", "/srv/app/models.py"};
static const char *const mixed[] = {"/srv/app/views.py", "/srv/app/uwsgi.yaml"};

static const char no_swap[] = "the application opens a port of its own";

static struct fr_plan plan_with(struct fr_plan_facts facts, const char *const *paths)
{
	facts.own_files = own_files;
	facts.own_files_len = 2;
	return fr_plan_make(&facts, paths, paths ? 2 : 0);
}

static struct fr_plan plan(enum fr_action wanted, bool has_lazy_apps, const char *const *paths)
{
	return plan_with((struct fr_plan_facts){.wanted = wanted, .has_lazy_apps = has_lazy_apps},
			 paths);
}

START_TEST(test_auto_swaps_where_that_is_safe)
{
	ck_assert_int_eq(plan(FR_ACTION_AUTO, false, sources).action, FR_ACTION_SWAP);
	ck_assert_int_eq(plan(FR_ACTION_AUTO, true, sources).action, FR_ACTION_SWAP);
	ck_assert_int_eq(plan(FR_ACTION_SWAP, true, sources).action, FR_ACTION_SWAP);
}
END_TEST

START_TEST(test_swap_that_is_not_safe_says_why_and_what_instead)
{
	struct fr_plan_facts facts = {.wanted = FR_ACTION_AUTO, .no_swap = no_swap};

	ck_assert_int_eq(plan_with(facts, sources).action, FR_ACTION_RELOAD);
	ck_assert_str_eq(plan_with(facts, sources).reason, no_swap);
	facts.wanted = FR_ACTION_SWAP;
	ck_assert_int_eq(plan_with(facts, sources).action, FR_ACTION_RELOAD);
	facts.has_lazy_apps = true;
	ck_assert_int_eq(plan_with(facts, sources).action, FR_ACTION_RELOAD);
	facts.is_workers_safe = true;
	ck_assert_int_eq(plan_with(facts, sources).action, FR_ACTION_WORKERS);
	facts.has_lazy_apps = false;
	ck_assert_int_eq(plan_with(facts, sources).action, FR_ACTION_RELOAD);
}
END_TEST

START_TEST(test_own_configuration_reloads_all_whatever_was_wanted)
{
	ck_assert_int_eq(plan(FR_ACTION_AUTO, true, mixed).action, FR_ACTION_RELOAD);
	ck_assert_int_eq(plan(FR_ACTION_SWAP, true, mixed).action, FR_ACTION_RELOAD);
	ck_assert_int_eq(plan(FR_ACTION_WORKERS, true, mixed).action, FR_ACTION_RELOAD);
	ck_assert_int_eq(plan(FR_ACTION_CHAIN, true, mixed).action, FR_ACTION_RELOAD);
}
END_TEST

START_TEST(test_touch_is_touch_even_for_own_configuration)
{
	ck_assert_int_eq(plan(FR_ACTION_TOUCH, false, mixed).action, FR_ACTION_TOUCH);
}
END_TEST

START_TEST(test_wanted_action_is_taken)
{
	for (int action = FR_ACTION_RELOAD; action < FR_ACTIONS; action++)
		ck_assert_int_eq(plan((enum fr_action)action, false, sources).action, action);
}
END_TEST

START_TEST(test_plan_for_nothing_says_what_a_change_would_do)
{
	ck_assert_int_eq(plan(FR_ACTION_AUTO, false, NULL).action, FR_ACTION_SWAP);
	ck_assert_int_eq(plan(FR_ACTION_RELOAD, true, NULL).action, FR_ACTION_RELOAD);
}
END_TEST

START_TEST(test_every_plan_has_a_reason)
{
	for (int action = FR_ACTION_AUTO; action < FR_ACTIONS; action++) {
		for (int is_lazy = 0; is_lazy < 2; is_lazy++) {
			ck_assert_int_gt(*plan((enum fr_action)action, is_lazy, sources).reason, 0);
			ck_assert_int_gt(*plan((enum fr_action)action, is_lazy, mixed).reason, 0);
		}
	}
}
END_TEST

START_TEST(test_names_are_those_of_the_option)
{
	ck_assert_str_eq(fr_action_name(FR_ACTION_AUTO), "auto");
	ck_assert_str_eq(fr_action_name(FR_ACTION_SWAP), "swap");
	ck_assert_str_eq(fr_action_name(FR_ACTION_RELOAD), "reload");
	ck_assert_str_eq(fr_action_name(FR_ACTION_WORKERS), "workers");
	ck_assert_str_eq(fr_action_name(FR_ACTION_CHAIN), "chain");
	ck_assert_str_eq(fr_action_name(FR_ACTION_TOUCH), "touch");
}
END_TEST

Suite *fr_check_plan_suite(void)
{
	Suite *suite = suite_create("plan");
	TCase *tcase = tcase_create("plan");

	tcase_add_test(tcase, test_auto_swaps_where_that_is_safe);
	tcase_add_test(tcase, test_swap_that_is_not_safe_says_why_and_what_instead);
	tcase_add_test(tcase, test_own_configuration_reloads_all_whatever_was_wanted);
	tcase_add_test(tcase, test_touch_is_touch_even_for_own_configuration);
	tcase_add_test(tcase, test_wanted_action_is_taken);
	tcase_add_test(tcase, test_plan_for_nothing_says_what_a_change_would_do);
	tcase_add_test(tcase, test_every_plan_has_a_reason);
	tcase_add_test(tcase, test_names_are_those_of_the_option);
	suite_add_tcase(suite, tcase);
	return suite;
}
