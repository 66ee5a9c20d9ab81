/*
 * journal: the last few hundred raw events and verdicts, for when something has gone wrong.
 *
 * One flat struct of fixed size, all zero at first, that may lie in shared memory: it is written to
 * in one process, and whoever else reads it reads a copy. Prints nothing itself.
 */
#ifndef FR_JOURNAL_H
#define FR_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fr_json;

#define FR_JOURNAL_LEN         256
#define FR_JOURNAL_PATH_SIZE   256
#define FR_JOURNAL_DETAIL_SIZE 112

/* A line of fr_journal_text fits, with every byte of it escaped. */
#define FR_JOURNAL_LINE_SIZE 2048

struct fr_journal_entry {
	int64_t at_ms;                       /* of CLOCK_REALTIME */
	uint32_t times;                      /* so often in a row; the time is that of the last */
	char word[16];                       /* "written", "ignored", "decided" … */
	char path[FR_JOURNAL_PATH_SIZE];     /* its end, behind "...", if it is longer; "": none */
	char detail[FR_JOURNAL_DETAIL_SIZE]; /* a rule, a reason; "": none */
};

struct fr_journal {
	uint64_t next;    /* how many there were */
	uint64_t written; /* up to there they are in the log, or need not be */
	struct fr_journal_entry entries[FR_JOURNAL_LEN];
};

/* Notes one; path and detail may be NULL. The oldest goes. The same again only counts. */
void fr_journal_note(struct fr_journal *journal, int64_t at_ms, const char *word, const char *path,
		     const char *detail);

/* What is not in the log yet need not be there: all went well. */
void fr_journal_settle(struct fr_journal *journal);

/* The number of the oldest entry that is there; with only_new, of those that are not in the log
 * yet. From there to `next` they are there. */
uint64_t fr_journal_first(const struct fr_journal *journal, bool only_new);

/* Writes an entry for people, in local time: "12:00:01.234 written pages/views.py". Returns text.
 */
char *fr_journal_text(const struct fr_journal *journal, uint64_t number, char *text, size_t size);

/* Writes all as an array, of which the oldest are left out where they do not fit. */
void fr_journal_json(const struct fr_journal *journal, struct fr_json *json, const char *key);

#endif
