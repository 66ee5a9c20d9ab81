/*
 * meta: the Content-Security-Policy that a <meta> tag sets.
 *
 * Fed with the bytes of a tag as they come, it reads attributes as browsers do (HTML Standard,
 * 13.2.5.32 to 39). It does not know where a tag begins and ends, nor what the policy means.
 */
#ifndef FR_META_H
#define FR_META_H

#include <stdbool.h>
#include <stddef.h>

/* Of all policies of a page. */
#define FR_META_MAX_POLICIES 2048

struct fr_meta {
	char policies[FR_META_MAX_POLICIES + 1]; /* with a comma between them, as in a header */
	bool is_cut;                             /* there was more */

	/* The reader's own. */
	int state;
	char quote;
	bool has_equiv, has_content; /* the first of a name counts */
	char name[16], equiv[32];    /* in lower case, as much as fits, without a NUL */
	size_t name_len, equiv_len;  /* of all of it */
	size_t len;                  /* of the policies of the tags before */
	size_t content_len;          /* behind those */
};

/* All zero is a good beginning. A tag begins, its bytes behind the name, and its end. */
void fr_meta_begin(struct fr_meta *meta);
void fr_meta_feed(struct fr_meta *meta, char c);
void fr_meta_end(struct fr_meta *meta);

#endif
