/*
 * journal: the last few hundred raw events and verdicts. See journal.h.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "report/journal.h"
#include "report/json.h"
#include "report/sentence.h"

static const struct fr_journal_entry *entry_at(const struct fr_journal *journal, uint64_t number)
{
	return &journal->entries[number % FR_JOURNAL_LEN];
}

/* The end of a path tells more than its beginning. */
static void copy_end(char *target, size_t size, const char *path)
{
	size_t len = strlen(path);

	if (len < size)
		memcpy(target, path, len + 1);
	else
		snprintf(target, size, "...%s", path + len - (size - sizeof("...")));
}

void fr_journal_note(struct fr_journal *journal, int64_t at_ms, const char *word, const char *path,
		     const char *detail)
{
	struct fr_journal_entry entry = {.at_ms = at_ms, .times = 1};
	struct fr_journal_entry *last = &journal->entries[(journal->next - 1) % FR_JOURNAL_LEN];

	snprintf(entry.word, sizeof(entry.word), "%s", word);
	copy_end(entry.path, sizeof(entry.path), path ? path : "");
	snprintf(entry.detail, sizeof(entry.detail), "%s", detail ? detail : "");
	if (journal->next > journal->written && strcmp(last->word, entry.word) == 0 &&
	    strcmp(last->path, entry.path) == 0 && strcmp(last->detail, entry.detail) == 0) {
		last->at_ms = at_ms;
		last->times++;
		return;
	}
	journal->entries[journal->next % FR_JOURNAL_LEN] = entry;
	journal->next++;
}

void fr_journal_settle(struct fr_journal *journal)
{
	journal->written = journal->next;
}

uint64_t fr_journal_first(const struct fr_journal *journal, bool only_new)
{
	uint64_t first = journal->next > FR_JOURNAL_LEN ? journal->next - FR_JOURNAL_LEN : 0;

	return only_new && journal->written > first ? journal->written : first;
}

char *fr_journal_text(const struct fr_journal *journal, uint64_t number, char *text, size_t size)
{
	const struct fr_journal_entry *entry = entry_at(journal, number);
	char path[FR_JOURNAL_PATH_SIZE * 4], detail[FR_JOURNAL_DETAIL_SIZE * 4], times[24] = "";
	time_t seconds = (time_t)(entry->at_ms / 1000);
	char clock_text[16] = "";
	struct tm local;

	if (localtime_r(&seconds, &local))
		strftime(clock_text, sizeof(clock_text), "%H:%M:%S", &local);
	if (entry->times > 1)
		snprintf(times, sizeof(times), " (%u times)", entry->times);
	snprintf(text, size, "%s.%03d %s%s%s%s%s%s", clock_text, (int)(entry->at_ms % 1000),
		 entry->word, entry->path[0] ? " " : "",
		 fr_sentence_path(entry->path, path, sizeof(path)), entry->detail[0] ? ": " : "",
		 fr_sentence_path(entry->detail, detail, sizeof(detail)), times);
	return text;
}

static void write_entry(const struct fr_journal_entry *entry, struct fr_json *json)
{
	fr_json_open(json, NULL, '{');
	fr_json_seconds(json, "time", entry->at_ms);
	fr_json_string(json, "word", entry->word);
	fr_json_string(json, "path", entry->path[0] ? entry->path : NULL);
	fr_json_string(json, "detail", entry->detail[0] ? entry->detail : NULL);
	fr_json_number(json, "times", entry->times);
	fr_json_close(json, '}');
}

void fr_journal_json(const struct fr_journal *journal, struct fr_json *json, const char *key)
{
	uint64_t number = fr_journal_first(journal, false);
	struct fr_json_mark mark = fr_json_mark(json);
	bool is_cut;

	/* Again without the older half, until it fits: at worst eight times. */
	do {
		fr_json_go_back(json, mark);
		fr_json_open(json, key, '[');
		for (uint64_t i = number; i < journal->next; i++)
			write_entry(entry_at(journal, i), json);
		fr_json_close(json, ']');
		is_cut = json->is_full && number < journal->next;
		number += (journal->next - number + 1) / 2;
	} while (is_cut);
}
