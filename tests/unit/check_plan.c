/*
 * check_plan: what a change leads to. Most cases are data, in tests/cases/plan/: one file for each
 * set of --fastreload-on and facts.
 */
#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide/config.h"
#include "decide/plan.h"
#include "decide/reactions.h"

#define CASES_DIR FR_TESTS_DIR "/cases/plan"
#define ROOT      "/srv/app/"
#define MAX_PATHS 16

Suite *fr_check_plan_suite(void);

static const char *const own_files[] = {"/etc/app.ini", "/srv/app/uwsgi.yaml"};
static const char *const sources[] = {"/srv/app/views.py", "/srv/app/models.py"};
static const char *const mixed[] = {"/srv/app/views.py", "/srv/app/uwsgi.yaml"};

static const char no_swap[] = "the application opens a port of its own";

static struct dirent **case_files;

static const char *relative(void *ctx, const char *path)
{
	(void)ctx;
	return strncmp(path, ROOT, strlen(ROOT)) == 0 ? path + strlen(ROOT) : path;
}

static struct fr_plan plan_with(struct fr_plan_facts facts, const char *const *paths)
{
	struct fr_plan plan;

	facts.own_files = own_files;
	facts.own_files_len = 2;
	fr_plan_make(&facts, paths, paths ? 2 : 0, &plan);
	return plan;
}

static struct fr_plan plan(enum fr_action wanted, bool has_lazy_apps, const char *const *paths)
{
	return plan_with(
		(struct fr_plan_facts){.wanted = {wanted, NULL}, .has_lazy_apps = has_lazy_apps},
		paths);
}

/* ---- cases from files ---- */

static void add(struct fr_reactions *reactions, const char *text)
{
	const char *pattern;
	char error[512];
	bool ignores;

	ck_assert_msg(fr_reactions_add(reactions, text, &pattern, &ignores, error, sizeof(error)) ==
			      0,
		      "%s: %s", text, error);
}

/* The own files are borrowed from the state, and the room for them from the caller. */
static void read_facts(const json_t *state, const char **own, struct fr_plan_facts *ret_facts)
{
	const json_t *on = json_object_get(state, "on");
	const json_t *files = json_object_get(state, "own_files");
	const char *action = json_string_value(json_object_get(state, "action"));
	struct fr_reactions *reactions;
	char error[512];

	ck_assert_int_eq(fr_reactions_new(&reactions), 0);
	for (size_t i = 0; i < json_array_size(on); i++)
		add(reactions, json_string_value(json_array_get(on, i)));
	*ret_facts = (struct fr_plan_facts){
		.reactions = reactions,
		.relative = relative,
		.has_lazy_apps = json_is_true(json_object_get(state, "lazy_apps")),
		.is_workers_safe = json_is_true(json_object_get(state, "workers_safe")),
		.no_swap = json_string_value(json_object_get(state, "no_swap")),
		.own_files = own,
	};
	if (action)
		ck_assert_int_eq(fr_config_parse_action(action, &ret_facts->wanted.action,
							&ret_facts->wanted.argument, error,
							sizeof(error)),
				 0);
	for (size_t i = 0; i < json_array_size(files); i++)
		own[ret_facts->own_files_len++] = json_string_value(json_array_get(files, i));
}

static void check_case(const struct fr_plan_facts *facts, const char *file, const json_t *item)
{
	const json_t *list = json_object_get(item, "paths");
	const char *does = json_string_value(json_object_get(item, "does"));
	static char texts[MAX_PATHS][256];
	const char *paths[MAX_PATHS] = {NULL};
	struct fr_plan plan_made;
	char text[512];

	ck_assert_msg(does && json_is_array(list), "%s: a case without paths or does", file);
	for (size_t i = 0; i < json_array_size(list); i++) {
		ck_assert_uint_lt(i, MAX_PATHS);
		snprintf(texts[i], sizeof(texts[i]), "%s%s", ROOT,
			 json_string_value(json_array_get(list, i)));
		paths[i] = texts[i];
	}
	fr_plan_make(facts, paths, json_array_size(list), &plan_made);
	fr_plan_describe(&plan_made, text, sizeof(text));
	ck_assert_msg(strcmp(text, does) == 0, "%s: %s, …: \"%s\" instead of \"%s\"", file,
		      json_string_value(json_array_get(list, 0)), text, does);
	ck_assert_int_gt(*plan_made.reason, 0);
}

START_TEST(test_cases_of_file_get_their_plans)
{
	const char *file = case_files[_i]->d_name, *own[MAX_PATHS];
	struct fr_plan_facts facts;
	char path[4096];
	json_error_t error;
	json_t *root;
	const json_t *cases;

	snprintf(path, sizeof(path), "%s/%s", CASES_DIR, file);
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(root, "%s:%d: %s", file, error.line, error.text);
	read_facts(json_object_get(root, "state"), own, &facts);
	cases = json_object_get(root, "cases");
	ck_assert_uint_gt(json_array_size(cases), 0);
	for (size_t i = 0; i < json_array_size(cases); i++)
		check_case(&facts, file, json_array_get(cases, i));
	fr_reactions_free((struct fr_reactions *)facts.reactions);
	json_decref(root);
}
END_TEST

static int is_case_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

/* ---- the rest ---- */

START_TEST(test_auto_swaps_where_that_is_safe)
{
	ck_assert_int_eq(plan(FR_ACTION_AUTO, false, sources).action, FR_ACTION_SWAP);
	ck_assert_int_eq(plan(FR_ACTION_AUTO, true, sources).action, FR_ACTION_SWAP);
	ck_assert_int_eq(plan(FR_ACTION_SWAP, true, sources).action, FR_ACTION_SWAP);
}
END_TEST

START_TEST(test_swap_that_is_not_safe_says_why_and_what_instead)
{
	struct fr_plan_facts facts = {.wanted = {FR_ACTION_AUTO, NULL}, .no_swap = no_swap};

	ck_assert_int_eq(plan_with(facts, sources).action, FR_ACTION_RELOAD);
	ck_assert_str_eq(plan_with(facts, sources).reason, no_swap);
	facts.wanted.action = FR_ACTION_SWAP;
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
	for (int action = FR_ACTION_AUTO; action < FR_ACTION_TOUCH; action++) {
		ck_assert_int_eq(plan((enum fr_action)action, true, mixed).action,
				 FR_ACTION_RELOAD);
		ck_assert_str_eq(plan((enum fr_action)action, true, mixed).reason,
				 "the instance's own configuration changed");
	}
}
END_TEST

START_TEST(test_touch_is_touch_even_for_own_configuration)
{
	struct fr_plan touch =
		plan_with((struct fr_plan_facts){.wanted = {FR_ACTION_TOUCH, "x"}}, mixed);

	ck_assert_int_eq(touch.action, FR_ACTION_LOG);
	ck_assert_uint_eq(touch.besides_len, 1);
	ck_assert_int_eq(touch.besides[0].action, FR_ACTION_TOUCH);
	ck_assert_str_eq(touch.besides[0].argument, "x");
}
END_TEST

START_TEST(test_wanted_action_is_taken)
{
	for (int action = FR_ACTION_SWAP; action < FR_ACTION_TOUCH; action++)
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
	for (int action = FR_ACTION_AUTO; action <= FR_ACTION_TOUCH; action++) {
		for (int is_lazy = 0; is_lazy < 2; is_lazy++) {
			ck_assert_int_gt(*plan((enum fr_action)action, is_lazy, sources).reason, 0);
			ck_assert_int_gt(*plan((enum fr_action)action, is_lazy, mixed).reason, 0);
		}
	}
}
END_TEST

START_TEST(test_description_is_cut_to_the_room_there_is)
{
	struct fr_plan made =
		plan_with((struct fr_plan_facts){.wanted = {FR_ACTION_TOUCH, "a-long-name"}}, NULL);
	char small[10];

	ck_assert_str_eq(fr_plan_describe(&made, small, sizeof(small)), "touch:a-l");
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
	int count = scandir(CASES_DIR, &case_files, is_case_file, alphasort);

	if (count <= 0) {
		fprintf(stderr, "no cases in %s\n", CASES_DIR);
		exit(EXIT_FAILURE);
	}
	tcase_add_loop_test(tcase, test_cases_of_file_get_their_plans, 0, count);
	tcase_add_test(tcase, test_auto_swaps_where_that_is_safe);
	tcase_add_test(tcase, test_swap_that_is_not_safe_says_why_and_what_instead);
	tcase_add_test(tcase, test_own_configuration_reloads_all_whatever_was_wanted);
	tcase_add_test(tcase, test_touch_is_touch_even_for_own_configuration);
	tcase_add_test(tcase, test_wanted_action_is_taken);
	tcase_add_test(tcase, test_plan_for_nothing_says_what_a_change_would_do);
	tcase_add_test(tcase, test_every_plan_has_a_reason);
	tcase_add_test(tcase, test_description_is_cut_to_the_room_there_is);
	tcase_add_test(tcase, test_names_are_those_of_the_option);
	suite_add_tcase(suite, tcase);
	return suite;
}
