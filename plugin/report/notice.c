/*
 * notice: what changed, for the application. See notice.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/notice.h"
#include "report/sentence.h"

struct fr_notice {
	char *file, *new_file;
	unsigned long batch;                /* the number of the newest */
	char *texts[FR_NOTICE_MAX_BATCHES]; /* of batches, the newest first; NULL: no more */
};

int fr_notice_new(const char *file, struct fr_notice **ret_notice)
{
	struct fr_notice *notice = calloc(1, sizeof(*notice));
	size_t size = strlen(file) + sizeof(".new");

	if (!notice)
		return -ENOMEM;
	notice->file = strdup(file);
	notice->new_file = malloc(size);
	if (!notice->file || !notice->new_file) {
		fr_notice_free(notice);
		return -ENOMEM;
	}
	snprintf(notice->new_file, size, "%s.new", file);
	*ret_notice = notice;
	return 0;
}

void fr_notice_free(struct fr_notice *notice)
{
	if (!notice)
		return;
	for (size_t i = 0; i < FR_NOTICE_MAX_BATCHES; i++)
		free(notice->texts[i]);
	free(notice->file);
	free(notice->new_file);
	free(notice);
}

/*
 * A string of JSON. A byte that is not UTF-8 becomes a lone surrogate, U+DC80 to U+DCFF: Python's
 * json.loads and os.fsencode make the same byte of it again (PEP 383).
 */
static void write_string(FILE *out, const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t left = strlen(text);

	fputc('"', out);
	while (left > 0) {
		size_t len = fr_sentence_utf8_len(bytes, left);

		if (len == 0)
			fprintf(out, "\\udc%02x", bytes[0]);
		else if (len == 1 && (bytes[0] == '"' || bytes[0] == '\\'))
			fprintf(out, "\\%c", bytes[0]);
		else if (len == 1 && bytes[0] < 0x20)
			fprintf(out, "\\u%04x", bytes[0]);
		else
			fwrite(bytes, len, 1, out);
		len = len ? len : 1;
		bytes += len;
		left -= len;
	}
	fputc('"', out);
}

/* "batch": 1, "changes": […]; the caller frees it. NULL: no memory. */
static char *describe(unsigned long batch, const struct fr_notice_change *changes, size_t len)
{
	size_t shown = len < FR_NOTICE_MAX_CHANGES ? len : FR_NOTICE_MAX_CHANGES, size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);
	bool is_whole;

	if (!out)
		return NULL;
	fprintf(out, "\"batch\": %lu, \"total\": %zu, \"changes\": [", batch, len);
	for (size_t i = 0; i < shown; i++) {
		fprintf(out, "%s{\"path\": ", i > 0 ? ", " : "");
		write_string(out, changes[i].path);
		fprintf(out, ", \"change\": \"%s\", \"signal\": %d}", changes[i].word,
			changes[i].signal);
	}
	fprintf(out, "]");
	is_whole = !ferror(out);
	if (fclose(out) != 0 || !is_whole) {
		free(text);
		return NULL;
	}
	return text;
}

static int write_file(const struct fr_notice *notice)
{
	FILE *out = fopen(notice->new_file, "we");
	int error = 0;

	if (!out)
		return -errno;
	fprintf(out, "{\"version\": 1, %s, \"earlier\": [", notice->texts[0]);
	for (size_t i = 1; i < FR_NOTICE_MAX_BATCHES && notice->texts[i]; i++)
		fprintf(out, "%s{%s}", i > 1 ? ", " : "", notice->texts[i]);
	fprintf(out, "]}\n");
	if (ferror(out))
		error = -EIO;
	if (fclose(out) != 0 && !error)
		error = -errno;
	if (!error && rename(notice->new_file, notice->file) < 0)
		error = -errno;
	return error;
}

int fr_notice_write(struct fr_notice *notice, const struct fr_notice_change *changes,
		    size_t changes_len)
{
	char *text = describe(notice->batch + 1, changes, changes_len);

	if (!text)
		return -ENOMEM;
	notice->batch++;
	free(notice->texts[FR_NOTICE_MAX_BATCHES - 1]);
	memmove(notice->texts + 1, notice->texts,
		(FR_NOTICE_MAX_BATCHES - 1) * sizeof(*notice->texts));
	notice->texts[0] = text;
	return write_file(notice);
}
