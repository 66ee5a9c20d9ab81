/*
 * rules: see rules.h. First the tables, which README.rst shows as they stand here, then the
 * judgement.
 */
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decide/ignore.h"
#include "decide/pattern.h"
#include "decide/rules.h"

/* ---- the built-in tables ---- */

/* The formatter would give each pattern a line of its own. */
/* clang-format off */

/*
 * What a web application loads when it starts. Left out on purpose: templates, *.json and *.php.
 * They are loaded anew for each request, or written by the application itself.
 */
static const char *const SOURCE_FILES[] = {
	/* Python, Perl, Ruby, Lua */
	"*.py", "*.wsgi", "*.pl", "*.pm", "*.psgi", "*.rb", "*.ru", "*.lua",
	/* translations */
	"*.mo",
	/* configuration and environment */
	"*.ini", "*.cfg", "*.conf", "*.toml", "*.yaml", "*.yml", "*.env", ".env", ".env.*",
};

/*
 * Folders that no web application imports code from. Not here: virtual environments, which are
 * known by their pyvenv.cfg whatever their name; and "target/", the build output of Rust and Java,
 * which is as likely to be a name from the application's own field as to lie in its folder.
 */
static const char *const SKIPPED_FOLDERS[] = {
	/* version control, and the services around it */
	".git/", ".hg/", ".svn/", ".bzr/", "CVS/", "_darcs/", ".jj/", ".pijul/",
	".github/", ".gitlab/", ".circleci/",
	/* packages of other worlds */
	"node_modules/", "bower_components/", ".yarn/", ".npm/", ".pnpm-store/",
	/* compiled Python, caches and environments of its tools */
	"__pycache__/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".pytype/", ".pyre/",
	".tox/", ".nox/", ".hypothesis/", ".eggs/", "*.egg-info/", "*.dist-info/",
	".ipynb_checkpoints/", ".cache/", ".direnv/",
	/* editors */
	".idea/", ".vscode/", ".vs/", ".fleet/", ".zed/", ".devcontainer/",
	/* front-end tools */
	".sass-cache/", ".parcel-cache/", ".next/", ".nuxt/", ".svelte-kit/", ".angular/", ".turbo/",
	/* coverage reports */
	"htmlcov/", ".nyc_output/",
	/* machines and deployment */
	".terraform/", ".vagrant/", ".serverless/",
	/* old versions of files */
	".stversions/", ".Trash-*/",
};

/* Build output, unless the folder is a Python package that happens to have the name. */
static const char *const BUILD_FOLDERS[] = {"build/", "dist/"};

/*
 * Files that come and go while others are edited, or that the application writes while it runs.
 * Each must leave names that people give to their sources alone: hence no "*.log.*", which would
 * take "app.log.yaml".
 */
static const char *const NEVER_FILES[] = {
	/* any editor: the old version beside the new one, or the new one before it has its name */
	"*~", "*.bak", "*.bck", "*.orig", "*.rej", "*.tmp", "*.temp",
	/* vim; emacs; PyCharm; VS Code; Kate, gedit, LibreOffice and Jupyter */
	"*.sw[a-p]", "4913",
	"#*#", ".#*",
	"*___jb_tmp___", "*___jb_old___",
	"*.vsctmp",
	"*.kate-swp", ".goutputstream-*", ".~*",
	/* transfers that are under way */
	"*.part", "*.partial", "*.filepart", "*.crdownload",
	".ansible_tmp*", ".mutagen-temporary-*",
	/* file systems and desktops */
	"._*", ".DS_Store", "Thumbs.db", ".nfs*", ".fuse_hidden*",
	/* databases */
	"*.db", "*.db3", "*.sqlite", "*.sqlite3", "*-journal", "*-wal", "*-shm",
	/* logs, also after rotation */
	"*.log", "*.log.[0-9]*", "*.log-[0-9]*",
	/* compiled Python, and its coverage data */
	"*.pyc", "*.pyo", "*.pyc.*", ".coverage", ".coverage.*",
	/* traces of running processes */
	"*.pid", "*.lock", "*.sock",
};

/* clang-format on */

#define FR_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct fr_table {
	enum fr_rule_kind kind;
	bool is_unless_package;
	const char *origin;
	const char *heading;
	const char *const *patterns;
	size_t count;
} BUILTIN[] = {
	{FR_RULE_SOURCE, false, "built-in source files", "Files that count", SOURCE_FILES,
	 FR_COUNT(SOURCE_FILES)},
	{FR_RULE_FOLDER, false, "built-in skipped folders", "Folders that are not entered",
	 SKIPPED_FOLDERS, FR_COUNT(SKIPPED_FOLDERS)},
	{FR_RULE_FOLDER, true, "built-in build folders",
	 "Folders that are not entered unless they hold __init__.py", BUILD_FOLDERS,
	 FR_COUNT(BUILD_FOLDERS)},
	{FR_RULE_NEVER, false, "built-in files that never count",
	 "Files that count only if an include names their kind", NEVER_FILES,
	 FR_COUNT(NEVER_FILES)},
};

/* ---- making and freeing ---- */

struct fr_rule {
	struct fr_pattern *pattern;
	enum fr_rule_kind kind;
	bool is_unless_package;
	const char *origin; /* static */
};

#define FR_RULES_WORD_BITS 64
#define FR_RULES_BYTES     (UCHAR_MAX + 1)

/*
 * All rules in one array, in the order in which they came: built-in ones first.
 *
 * A tree of a hundred thousand files asks for each of them, and most rules are about names that end
 * otherwise. So two tables have a row of bits for each byte, with a bit for each rule: could it
 * match a name that begins, or ends, with that byte?
 */
struct fr_rules {
	struct fr_rule *rules;
	size_t count;
	size_t capacity;
	uint64_t *begins, *ends; /* FR_RULES_BYTES rows of `words`; ends is behind begins */
	size_t words;            /* of a row */
};

static int reserve_rule(struct fr_rules *rules)
{
	struct fr_rule *grown;
	size_t capacity;

	if (rules->count < rules->capacity)
		return 0;
	capacity = rules->capacity ? 2 * rules->capacity : 128;
	grown = realloc(rules->rules, capacity * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	rules->rules = grown;
	rules->capacity = capacity;
	return 0;
}

static void index_rule(struct fr_rules *rules, size_t i)
{
	const struct fr_pattern *pattern = rules->rules[i].pattern;
	uint64_t bit = (uint64_t)1 << i % FR_RULES_WORD_BITS;
	size_t word = i / FR_RULES_WORD_BITS;

	for (size_t byte = 0; byte < FR_RULES_BYTES; byte++) {
		if (fr_pattern_may_begin(pattern, (unsigned char)byte))
			rules->begins[byte * rules->words + word] |= bit;
		if (fr_pattern_may_end(pattern, (unsigned char)byte))
			rules->ends[byte * rules->words + word] |= bit;
	}
}

/* Makes room in the tables for one rule more, and enters those that there are. */
static int reserve_index(struct fr_rules *rules)
{
	size_t words = rules->count / FR_RULES_WORD_BITS + 1;
	uint64_t *bits;

	if (words <= rules->words)
		return 0;
	bits = calloc(2 * FR_RULES_BYTES * words, sizeof(*bits));
	if (!bits)
		return -ENOMEM;
	free(rules->begins);
	rules->begins = bits;
	rules->ends = bits + FR_RULES_BYTES * words;
	rules->words = words;
	for (size_t i = 0; i < rules->count; i++)
		index_rule(rules, i);
	return 0;
}

/* Appends a rule; kind, origin and is_unless_package are copied from rule. */
static int append_rule(struct fr_rules *rules, struct fr_rule rule, const char *pattern,
		       const char **ret_reason)
{
	int r;

	r = reserve_rule(rules);
	if (r == 0)
		r = reserve_index(rules);
	if (r < 0) {
		*ret_reason = "out of memory";
		return r;
	}
	r = fr_pattern_new(pattern, &rule.pattern, ret_reason);
	if (r < 0)
		return r;
	rules->rules[rules->count++] = rule;
	index_rule(rules, rules->count - 1);
	return 0;
}

static int append_table(struct fr_rules *rules, const struct fr_table *table)
{
	struct fr_rule rule = {
		.kind = table->kind,
		.is_unless_package = table->is_unless_package,
		.origin = table->origin,
	};
	const char *reason;
	size_t i;
	int r;

	for (i = 0; i < table->count; i++) {
		r = append_rule(rules, rule, table->patterns[i], &reason);
		if (r < 0)
			return r;
	}
	return 0;
}

int fr_rules_new(struct fr_rules **ret_rules)
{
	struct fr_rules *rules;
	size_t i;
	int r;

	rules = calloc(1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (i = 0; i < FR_COUNT(BUILTIN); i++) {
		r = append_table(rules, &BUILTIN[i]);
		if (r < 0) {
			fr_rules_free(rules);
			return r;
		}
	}
	*ret_rules = rules;
	return 0;
}

void fr_rules_free(struct fr_rules *rules)
{
	size_t i;

	if (!rules)
		return;
	for (i = 0; i < rules->count; i++)
		fr_pattern_free(rules->rules[i].pattern);
	free(rules->rules);
	free(rules->begins);
	free(rules);
}

int fr_rules_add_from(struct fr_rules *rules, enum fr_rule_kind kind, const char *pattern,
		      const char *origin, const char **ret_reason)
{
	struct fr_rule rule = {.kind = kind, .origin = origin};
	struct fr_rule *added;
	int r;

	if (kind != FR_RULE_INCLUDE && kind != FR_RULE_EXCLUDE) {
		*ret_reason = "only includes and excludes can be added to the built-in rules";
		return -EINVAL;
	}
	r = append_rule(rules, rule, pattern, ret_reason);
	if (r < 0)
		return r;
	added = &rules->rules[rules->count - 1];
	if (fr_pattern_is_negated(added->pattern))
		added->kind = kind == FR_RULE_INCLUDE ? FR_RULE_EXCLUDE : FR_RULE_INCLUDE;
	return 0;
}

int fr_rules_add(struct fr_rules *rules, enum fr_rule_kind kind, const char *pattern,
		 const char **ret_reason)
{
	return fr_rules_add_from(rules, kind, pattern,
				 kind == FR_RULE_INCLUDE ? "--fastreload-include"
							 : "--fastreload-exclude",
				 ret_reason);
}

/* ---- judgement ---- */

/* The rules that could match a path, or a folder that it lies in too, from the last to the first.
 */
struct fr_candidates {
	const struct fr_rules *rules;
	const char *path;
	bool is_with_parents;
	size_t words_left;
	uint64_t bits; /* of the word at hand, those that are left */
};

static struct fr_candidates candidates_of(const struct fr_rules *rules, const char *path,
					  bool is_with_parents)
{
	return (struct fr_candidates){.rules = rules,
				      .path = path,
				      .is_with_parents = is_with_parents,
				      .words_left = rules->words};
}

/* A word of candidates: of each name of the path, or of the last one, those that suit both its
 * ends. */
static uint64_t candidate_bits(const struct fr_candidates *candidates, size_t word)
{
	const struct fr_rules *rules = candidates->rules;
	const unsigned char *at = (const unsigned char *)candidates->path, *name = at;
	uint64_t bits = 0;

	for (;; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		if (at > name && (*at == '\0' || candidates->is_with_parents))
			bits |= rules->begins[*name * rules->words + word] &
				rules->ends[at[-1] * rules->words + word];
		if (*at == '\0')
			return bits;
		name = at + 1;
	}
}

static const struct fr_rule *previous_candidate(struct fr_candidates *candidates)
{
	unsigned bit;

	while (!candidates->bits) {
		if (candidates->words_left == 0)
			return NULL;
		candidates->bits = candidate_bits(candidates, --candidates->words_left);
	}
	bit = FR_RULES_WORD_BITS - 1 - (unsigned)__builtin_clzll(candidates->bits);
	candidates->bits &= ~((uint64_t)1 << bit);
	return &candidates->rules->rules[candidates->words_left * FR_RULES_WORD_BITS + bit];
}

static void set_verdict(struct fr_verdict *verdict, bool counts, const struct fr_rule *rule)
{
	verdict->counts = counts;
	verdict->pattern = rule ? fr_pattern_text(rule->pattern) : NULL;
	verdict->origin = rule ? rule->origin : NULL;
	verdict->line = 0;
	verdict->is_loaded = false;
}

/* Left out by an ignore file. */
static void set_ignored(struct fr_verdict *verdict, const struct fr_ignore_line *ignored)
{
	verdict->counts = false;
	verdict->pattern = ignored->text;
	verdict->origin = ignored->file;
	verdict->line = ignored->number;
	verdict->is_loaded = false;
}

/* Is it one of the user's, and so behind the ignore files? */
static bool is_user_rule(const struct fr_rule *rule)
{
	return rule && (rule->kind == FR_RULE_INCLUDE || rule->kind == FR_RULE_EXCLUDE);
}

/*
 * The kind of file that never counts. Parents are not asked: a folder "data.db" is no database.
 */
static const struct fr_rule *find_never(const struct fr_rules *rules, const char *path)
{
	struct fr_candidates candidates = candidates_of(rules, path, false);
	const struct fr_rule *rule, *first = NULL;

	while ((rule = previous_candidate(&candidates))) {
		if (rule->kind == FR_RULE_NEVER && fr_pattern_matches(rule->pattern, path, false))
			first = rule;
	}
	return first;
}

/* Did the user name this kind of file, not just the folder that it lies in? */
static bool is_asked_for(const struct fr_rules *rules, const char *path)
{
	const struct fr_rule *rule;
	size_t i;

	for (i = 0; i < rules->count; i++) {
		rule = &rules->rules[i];
		if (rule->kind == FR_RULE_INCLUDE && !fr_pattern_is_blanket(rule->pattern) &&
		    fr_pattern_matches(rule->pattern, path, false))
			return true;
	}
	return false;
}

/*
 * Build folders are left to fr_rules_judge_folder: only the folder's facts tell build output from a
 * package, and they are not known here. The files of a package "build" must count.
 */
static const struct fr_rule *find_last_for_file(const struct fr_rules *rules, const char *path)
{
	struct fr_candidates candidates = candidates_of(rules, path, true);
	const struct fr_rule *rule;

	while ((rule = previous_candidate(&candidates))) {
		if (rule->kind == FR_RULE_NEVER || rule->is_unless_package)
			continue;
		if (fr_pattern_matches_with_parents(rule->pattern, path, false))
			return rule;
	}
	return NULL;
}

void fr_rules_judge_file(const struct fr_rules *rules, const char *path,
			 const struct fr_ignore_line *ignored, struct fr_verdict *ret_verdict)
{
	const struct fr_rule *rule;

	rule = find_never(rules, path);
	if (rule && !is_asked_for(rules, path)) {
		set_verdict(ret_verdict, false, rule);
		return;
	}
	rule = find_last_for_file(rules, path);
	if (ignored && !is_user_rule(rule)) {
		set_ignored(ret_verdict, ignored);
		return;
	}
	set_verdict(ret_verdict,
		    rule && (rule->kind == FR_RULE_SOURCE || rule->kind == FR_RULE_INCLUDE), rule);
}

/* Does the rule speak about this folder? Rules about kinds of files never do. */
static bool applies_to_folder(const struct fr_rule *rule, const char *path,
			      const struct fr_folder_facts *facts)
{
	if (rule->kind == FR_RULE_SOURCE || rule->kind == FR_RULE_NEVER)
		return false;
	/* What lies below such a folder is asked for only if the folder itself was entered. */
	if (rule->is_unless_package)
		return !facts->has_init_py && fr_pattern_matches(rule->pattern, path, true);
	return fr_pattern_matches_with_parents(rule->pattern, path, true);
}

/* The last include that matches the folder itself, or could match something below it. */
static const struct fr_rule *find_way_in(const struct fr_rules *rules, size_t first,
					 const char *path)
{
	const struct fr_rule *rule;
	size_t i;

	for (i = rules->count; i > first; i--) {
		rule = &rules->rules[i - 1];
		if (rule->kind == FR_RULE_INCLUDE &&
		    (fr_pattern_matches(rule->pattern, path, true) ||
		     fr_pattern_may_match_below(rule->pattern, path)))
			return rule;
	}
	return NULL;
}

void fr_rules_judge_folder(const struct fr_rules *rules, const char *path,
			   const struct fr_folder_facts *facts,
			   const struct fr_ignore_line *ignored, struct fr_verdict *ret_verdict)
{
	struct fr_candidates candidates = candidates_of(rules, path, true);
	const struct fr_rule *rule = previous_candidate(&candidates);
	const struct fr_rule *way_in;
	size_t i;

	while (rule && !applies_to_folder(rule, path, facts))
		rule = previous_candidate(&candidates);
	i = rule ? (size_t)(rule - rules->rules) : 0;
	if (is_user_rule(rule))
		ignored = NULL;
	if (ignored || (rule && rule->kind != FR_RULE_INCLUDE)) {
		/* i is the rule's index: only what was added after it can open the folder. */
		way_in = find_way_in(rules, i, path);
		set_verdict(ret_verdict, way_in != NULL, way_in ? way_in : rule);
		if (ignored && !way_in)
			set_ignored(ret_verdict, ignored);
		return;
	}
	if (facts->has_pyvenv_cfg && !find_way_in(rules, 0, path)) {
		ret_verdict->counts = false;
		ret_verdict->pattern = "pyvenv.cfg";
		ret_verdict->origin = "virtual environment";
		ret_verdict->line = 0;
		ret_verdict->is_loaded = false;
		return;
	}
	set_verdict(ret_verdict, true, rule);
}

void fr_rules_print_builtin(FILE *out)
{
	size_t i;
	size_t j;

	for (i = 0; i < FR_COUNT(BUILTIN); i++) {
		fprintf(out, "%s%s:\n", i > 0 ? "\n" : "", BUILTIN[i].heading);
		for (j = 0; j < BUILTIN[i].count; j++)
			fprintf(out, "    %s\n", BUILTIN[i].patterns[j]);
	}
}
