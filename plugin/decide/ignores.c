/*
 * ignores: what all ignore files say about a path. See ignores.h, and last_matching_pattern and
 * prep_exclude in git's dir.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decide/ignores.h"
#include "hash.h"

#define FR_IGNORES_BUCKETS 256
#define FR_FILE_COST       64 /* beside its text */

/* What a folder has, now or before. */
struct state {
	struct fr_ignore *files[FR_IGNORES_KINDS];
	bool is_repository;
};

struct place {
	struct place *next; /* in its bucket */
	struct state now, was;
	bool has_was[FR_IGNORES_KINDS]; /* files[] of was is what was; else it is as now */
	bool has_was_repository;
	size_t folder_len; /* 0 for "/" */
	char folder[];
};

/* The folder that was asked about last, with the places on the way to it. */
struct view {
	bool is_valid;
	bool is_ignored;
	struct fr_ignore_line line; /* if it is */
	char *folder;
	size_t folder_len, folder_size, root_len;
	struct place **places; /* from the top down */
	size_t places_len, places_size;
};

struct fr_ignores {
	struct fr_ignore **added;
	size_t added_len;
	struct place *buckets[FR_IGNORES_BUCKETS];
	size_t bytes;
	bool has_was;                   /* some place has */
	const struct fr_loaded *loaded; /* borrowed, or NULL */
	struct view views[2];
};

int fr_ignores_new(struct fr_ignores **ret_ignores)
{
	struct fr_ignores *ignores = calloc(1, sizeof(*ignores));

	if (!ignores)
		return -ENOMEM;
	*ret_ignores = ignores;
	return 0;
}

static void release(struct fr_ignores *ignores, struct fr_ignore *file)
{
	if (file)
		ignores->bytes -= fr_ignore_bytes(file) + FR_FILE_COST;
	fr_ignore_free(file);
}

static void forget_views(struct fr_ignores *ignores)
{
	ignores->views[0].is_valid = ignores->views[1].is_valid = false;
}

static void forget_was(struct fr_ignores *ignores, struct place *place)
{
	for (int kind = 0; kind < FR_IGNORES_KINDS; kind++) {
		if (place->has_was[kind])
			release(ignores, place->was.files[kind]);
		place->has_was[kind] = false;
		place->was.files[kind] = NULL;
	}
	place->has_was_repository = false;
}

static void place_free(struct fr_ignores *ignores, struct place *place)
{
	forget_was(ignores, place);
	for (int kind = 0; kind < FR_IGNORES_KINDS; kind++)
		release(ignores, place->now.files[kind]);
	free(place);
}

void fr_ignores_free(struct fr_ignores *ignores)
{
	if (!ignores)
		return;
	for (size_t i = 0; i < FR_IGNORES_BUCKETS; i++) {
		struct place *next;

		for (struct place *place = ignores->buckets[i]; place; place = next) {
			next = place->next;
			place_free(ignores, place);
		}
	}
	for (size_t i = 0; i < ignores->added_len; i++)
		fr_ignore_free(ignores->added[i]);
	for (size_t i = 0; i < 2; i++) {
		free(ignores->views[i].folder);
		free(ignores->views[i].places);
	}
	free(ignores->added);
	free(ignores);
}

int fr_ignores_add(struct fr_ignores *ignores, struct fr_ignore *file)
{
	struct fr_ignore **grown =
		realloc(ignores->added, (ignores->added_len + 1) * sizeof(struct fr_ignore *));

	if (!grown) {
		fr_ignore_free(file);
		return -ENOMEM;
	}
	ignores->added = grown;
	ignores->added[ignores->added_len++] = file;
	forget_views(ignores);
	return 0;
}

void fr_ignores_use_loaded(struct fr_ignores *ignores, const struct fr_loaded *loaded)
{
	ignores->loaded = loaded;
}

const struct fr_loaded *fr_ignores_loaded(const struct fr_ignores *ignores)
{
	return ignores->loaded;
}

/* ---- places ---- */

/* Paths are compared without the '/' that only "/" ends with. */
static size_t length_of(const char *folder)
{
	return strcmp(folder, "/") == 0 ? 0 : strlen(folder);
}

static struct place *find(const struct fr_ignores *ignores, uint64_t hash, const char *folder,
			  size_t folder_len)
{
	struct place *place = ignores->buckets[fr_hash_place(hash, FR_IGNORES_BUCKETS)];

	while (place &&
	       (place->folder_len != folder_len || memcmp(place->folder, folder, folder_len) != 0))
		place = place->next;
	return place;
}

static struct place *place_of(const struct fr_ignores *ignores, const char *folder)
{
	size_t len = length_of(folder);

	return find(ignores, fr_hash_bytes(FR_HASH_START, folder, len), folder, len);
}

static struct place *add_place(struct fr_ignores *ignores, const char *folder)
{
	size_t len = length_of(folder);
	struct place *place = calloc(1, sizeof(*place) + len), **bucket;

	if (!place)
		return NULL;
	place->folder_len = len;
	memcpy(place->folder, folder, len);
	bucket = &ignores->buckets[fr_hash_place(fr_hash_bytes(FR_HASH_START, folder, len),
						 FR_IGNORES_BUCKETS)];
	place->next = *bucket;
	*bucket = place;
	return place;
}

/* Keeps what was, unless there is something older that was. */
static void keep_file(struct fr_ignores *ignores, struct place *place, enum fr_ignores_kind kind)
{
	if (place->has_was[kind]) {
		release(ignores, place->now.files[kind]);
	} else {
		place->was.files[kind] = place->now.files[kind];
		place->has_was[kind] = true;
		ignores->has_was = true;
	}
	place->now.files[kind] = NULL;
}

int fr_ignores_set(struct fr_ignores *ignores, const char *folder, enum fr_ignores_kind kind,
		   struct fr_ignore *file, bool keeps_before)
{
	struct place *place = place_of(ignores, folder);
	size_t cost = file ? fr_ignore_bytes(file) + FR_FILE_COST : 0;
	int r = 0;

	forget_views(ignores);
	if (!place && file)
		place = add_place(ignores, folder);
	if (!place) {
		r = file ? -ENOMEM : 0;
	} else if (keeps_before) {
		keep_file(ignores, place, kind);
	} else {
		release(ignores, place->now.files[kind]);
		place->now.files[kind] = NULL;
	}
	if (r == 0 && file && ignores->bytes + cost > FR_IGNORES_MAX_BYTES)
		r = -EFBIG;
	if (r < 0 || !file) {
		fr_ignore_free(file);
		return r;
	}
	place->now.files[kind] = file;
	ignores->bytes += cost;
	return 0;
}

const struct fr_ignore *fr_ignores_get(const struct fr_ignores *ignores, const char *folder,
				       enum fr_ignores_kind kind)
{
	const struct place *place = place_of(ignores, folder);

	return place ? place->now.files[kind] : NULL;
}

bool fr_ignores_knows(const struct fr_ignores *ignores, const char *folder)
{
	return place_of(ignores, folder) != NULL;
}

int fr_ignores_set_repository(struct fr_ignores *ignores, const char *folder, bool is_repository,
			      bool keeps_before)
{
	struct place *place = place_of(ignores, folder);

	forget_views(ignores);
	if (!place && is_repository)
		place = add_place(ignores, folder);
	if (!place)
		return is_repository ? -ENOMEM : 0;
	if (keeps_before && !place->has_was_repository) {
		place->was.is_repository = place->now.is_repository;
		place->has_was_repository = true;
		ignores->has_was = true;
	}
	place->now.is_repository = is_repository;
	return 0;
}

bool fr_ignores_is_repository(const struct fr_ignores *ignores, const char *folder)
{
	const struct place *place = place_of(ignores, folder);

	return place && place->now.is_repository;
}

void fr_ignores_forget(struct fr_ignores *ignores, const char *folder)
{
	struct place *place = place_of(ignores, folder), **link;

	if (!place)
		return;
	forget_views(ignores);
	link = &ignores->buckets[fr_hash_place(
		fr_hash_bytes(FR_HASH_START, place->folder, place->folder_len),
		FR_IGNORES_BUCKETS)];
	while (*link != place)
		link = &(*link)->next;
	*link = place->next;
	place_free(ignores, place);
}

void fr_ignores_settle(struct fr_ignores *ignores)
{
	if (!ignores->has_was)
		return;
	for (size_t i = 0; i < FR_IGNORES_BUCKETS; i++) {
		for (struct place *place = ignores->buckets[i]; place; place = place->next)
			forget_was(ignores, place);
	}
	ignores->has_was = false;
	forget_views(ignores);
}

/* ---- judgement ---- */

/* What is asked about: path[0..path_len), of which path[root_len] is the '/' behind the root. */
struct question {
	const char *path;
	size_t path_len, root_len;
	bool is_folder, was;
};

static const struct fr_ignore *file_of(const struct place *place, enum fr_ignores_kind kind,
				       bool was)
{
	return was && place->has_was[kind] ? place->was.files[kind] : place->now.files[kind];
}

static bool is_top(const struct place *place, bool was)
{
	return was && place->has_was_repository ? place->was.is_repository
						: place->now.is_repository;
}

static bool ask(const struct fr_ignore *file, const struct question *question, size_t folder_len,
		struct fr_ignore_line *ret_line)
{
	return file &&
	       fr_ignore_match(file, question->path + folder_len + 1,
			       question->path_len - folder_len - 1, question->is_folder, ret_line);
}

/* The .gitignore files from the deepest up to the repository's top, then its info/exclude. */
static bool ask_git(struct place *const *places, size_t places_len, const struct question *question,
		    struct fr_ignore_line *ret_line)
{
	for (size_t i = places_len; i > 0; i--) {
		const struct place *place = places[i - 1];

		if (ask(file_of(place, FR_IGNORES_GIT, question->was), question, place->folder_len,
			ret_line))
			return true;
		if (is_top(place, question->was))
			return ask(file_of(place, FR_IGNORES_EXCLUDE, question->was), question,
				   place->folder_len, ret_line);
	}
	return false;
}

/* The line that decides about this one name, whatever becomes of the folders above it. */
static bool last_match(const struct fr_ignores *ignores, const struct view *view,
		       const struct question *question, struct fr_ignore_line *ret_line)
{
	size_t above_len = question->path_len, places_len = view->places_len;

	while (above_len > 0 && question->path[above_len - 1] != '/')
		above_len--;
	while (places_len > 0 && view->places[places_len - 1]->folder_len >= above_len)
		places_len--;
	for (size_t i = ignores->added_len; i > 0; i--) {
		if (ask(ignores->added[i - 1], question, question->root_len, ret_line)) {
			ret_line->is_final = true;
			return true;
		}
	}
	for (size_t i = places_len; i > 0; i--) {
		const struct place *place = view->places[i - 1];

		if (ask(file_of(place, FR_IGNORES_RELOAD, question->was), question,
			place->folder_len, ret_line)) {
			ret_line->is_final = true;
			return true;
		}
	}
	return ask_git(view->places, places_len, question, ret_line);
}

static bool remember_folder(struct view *view, const struct question *question)
{
	if (question->path_len + 1 > view->folder_size) {
		char *grown = realloc(view->folder, 2 * question->path_len + 1);

		if (!grown)
			return false;
		view->folder = grown;
		view->folder_size = 2 * question->path_len + 1;
	}
	memcpy(view->folder, question->path, question->path_len);
	view->folder_len = question->path_len;
	view->root_len = question->root_len;
	return true;
}

static bool remember_place(struct view *view, struct place *place)
{
	if (view->places_len == view->places_size) {
		size_t size = view->places_size ? 2 * view->places_size : 8;
		struct place **grown = realloc(view->places, size * sizeof(struct place *));

		if (!grown)
			return false;
		view->places = grown;
		view->places_size = size;
	}
	view->places[view->places_len++] = place;
	return true;
}

/* All places from "/" down to the folder. */
static bool find_places(const struct fr_ignores *ignores, struct view *view)
{
	uint64_t hash = FR_HASH_START;
	size_t from = 0;

	view->places_len = 0;
	for (size_t at = 0; at <= view->folder_len; at++) {
		struct place *place;

		if (at < view->folder_len && view->folder[at] != '/')
			continue;
		hash = fr_hash_bytes(hash, view->folder + from, at - from);
		from = at;
		place = find(ignores, hash, view->folder, at);
		if (place && !remember_place(view, place))
			return false;
	}
	return true;
}

/* The first folder on the way that is ignored decides about all below it. */
static void judge_way(const struct fr_ignores *ignores, struct view *view, bool was)
{
	struct question question = {
		.path = view->folder,
		.root_len = view->root_len,
		.is_folder = true,
		.was = was,
	};

	view->is_ignored = false;
	for (size_t at = view->root_len + 1; at <= view->folder_len && !view->is_ignored; at++) {
		if (at < view->folder_len && view->folder[at] != '/')
			continue;
		question.path_len = at;
		view->is_ignored =
			last_match(ignores, view, &question, &view->line) && !view->line.is_negated;
	}
}

/* Makes the view that of the folder in the question. False: there is no memory for it. */
static bool look_at(struct fr_ignores *ignores, struct view *view, const struct question *folder)
{
	if (view->is_valid && view->root_len == folder->root_len &&
	    view->folder_len == folder->path_len &&
	    memcmp(view->folder, folder->path, folder->path_len) == 0)
		return true;
	view->is_valid = remember_folder(view, folder) && find_places(ignores, view);
	if (view->is_valid)
		judge_way(ignores, view, folder->was);
	return view->is_valid;
}

bool fr_ignores_judge(struct fr_ignores *ignores, const char *path, const char *relative,
		      bool is_folder, bool was, struct fr_ignore_line *ret_line)
{
	struct view *view = &ignores->views[was];
	struct question question = {
		.path = path,
		.path_len = (size_t)(strrchr(path, '/') - path),
		.root_len = (size_t)(relative - path) - 1,
		.is_folder = true,
		.was = was,
	};

	*ret_line = (struct fr_ignore_line){0};
	if (!look_at(ignores, view, &question))
		return false;
	if (view->is_ignored) {
		*ret_line = view->line;
		return true;
	}
	question.path_len = strlen(path);
	question.is_folder = is_folder;
	return last_match(ignores, view, &question, ret_line) && !ret_line->is_negated;
}
