/*
 * inject: finds the place for one script in an HTML page that comes in pieces.
 *
 * A scanner, fed with the bytes of an answer as they come. It says whether they are a full HTML
 * document (a fragment is not), up to where they can be passed on, and where the script goes:
 * before </head>, or before the first thing that ends the head without it. It copies nothing but
 * the policies that <meta> tags set, and knows neither headers nor uWSGI.
 *
 * It reads as browsers do (HTML Standard, 13.2.5) as far as that matters here: comments, the text
 * in <script>, <style>, <title> and <noscript>, quoted attributes and <template> hide what looks
 * like an end of the head. Of bytes that are no ASCII it only knows that none of them is a '<'.
 */
#ifndef FR_INJECT_H
#define FR_INJECT_H

#include <stddef.h>
#include <stdint.h>

#include "browser/meta.h"

/* What comes before the document type (blanks, comments) may be so long. */
#define FR_INJECT_MAX_PROLOGUE 4096

/* So many bytes at most are held back once it is known that this is a page. */
#define FR_INJECT_MAX_HELD 24

enum fr_inject_verdict {
	FR_INJECT_UNDECIDED, /* all bytes so far are to be held back */
	FR_INJECT_NO_PAGE,   /* not a full document: all bytes as they are */
	FR_INJECT_PAGE,      /* it is one; those before `safe` can go */
	FR_INJECT_PLACE,     /* the script goes before the byte at `at`; no more bytes are wanted */
};

struct fr_inject {
	/* Counted from the first byte of the answer. */
	uint64_t safe; /* no byte before this one can have the script before it */
	uint64_t at;   /* with FR_INJECT_PLACE */
	enum fr_inject_verdict verdict;
	struct fr_meta meta; /* what it says of policies is of all tags before the place */

	/* The scanner's own. */
	uint64_t seen, bom_len;
	int state;
	bool is_meta;        /* this tag is a <meta> */
	int templates;       /* open <template>s */
	int dashes;          /* just read, in a comment */
	char quote;          /* of an attribute's value */
	const char *rawtext; /* the element whose end is awaited; NULL: none */
	char name[16];       /* of a tag, in lower case, as much as fits */
	size_t name_len;     /* of all of it */
};

void fr_inject_begin(struct fr_inject *inject);

/* Takes the next bytes, and returns the verdict so far. At the end of the answer UNDECIDED means
 * NO_PAGE, and PAGE that the script goes to the end. */
enum fr_inject_verdict fr_inject_feed(struct fr_inject *inject, const char *bytes, size_t len);

#endif
