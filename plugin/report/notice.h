/*
 * notice: what changed, for the application: a small file of JSON, replaced as a whole.
 *
 * uWSGI's signals carry one byte, and this is for those who get one and want to know more.
 * README.rst documents the form.
 */
#ifndef FR_NOTICE_H
#define FR_NOTICE_H

#include <stddef.h>

/* Not more than this many changes are written of a batch, and so many batches. */
#define FR_NOTICE_MAX_CHANGES 1000
#define FR_NOTICE_MAX_BATCHES 8

struct fr_notice;

struct fr_notice_change {
	const char *path; /* absolute; bytes */
	const char *word; /* "changed", "added", … */
	int signal;       /* that is sent about it */
};

/* file is where it is to be (copied); nothing is written yet. 0 or -ENOMEM. */
int fr_notice_new(const char *file, struct fr_notice **ret_notice);

/* NULL is fine. The file stays. */
void fr_notice_free(struct fr_notice *notice);

/* Writes these changes as the newest batch, and those of the batches before behind them: nobody
 * knows whether they have been read. 0 or a negative errno, and then the file is as it was. */
int fr_notice_write(struct fr_notice *notice, const struct fr_notice_change *changes,
		    size_t changes_len);

#endif
