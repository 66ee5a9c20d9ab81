/*
 * inject: finds the place for a script in an HTML page. See inject.h.
 */
#include <stdbool.h>
#include <string.h>

#include "browser/inject.h"

enum state {
	STATE_TEXT,
	STATE_OPEN, /* "<" */
	STATE_BANG, /* "<!" and what may become "--" */
	STATE_COMMENT,
	STATE_DECLARATION, /* <!doctype …>, <?xml …> */
	STATE_NAME,        /* of a tag that opens */
	STATE_END_NAME,    /* of one that closes */
	STATE_TAG,         /* behind the name */
	STATE_QUOTED,      /* in an attribute's value */
};

static const char bom[] = "\xef\xbb\xbf";

void fr_inject_begin(struct fr_inject *inject)
{
	memset(inject, 0, sizeof(*inject));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(const struct fr_inject *inject, const char *name)
{
	return inject->name_len == strlen(name) && inject->name_len <= sizeof(inject->name) &&
	       memcmp(inject->name, name, inject->name_len) == 0;
}

static bool is_one_of(const struct fr_inject *inject, const char *const *names)
{
	while (*names && !is_name(inject, *names))
		names++;
	return *names != NULL;
}

/* Returns the element by its name if what is in it is text, whatever it looks like. */
static const char *find_rawtext(const struct fr_inject *inject)
{
	static const char *const names[] = {"script", "style", "title", "noscript", NULL};

	for (size_t i = 0; names[i]; i++) {
		if (is_name(inject, names[i]))
			return names[i];
	}
	return NULL;
}

static void note_name(struct fr_inject *inject, char c)
{
	if (inject->name_len < sizeof(inject->name))
		inject->name[inject->name_len] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	inject->name_len++;
}

static void begin_name(struct fr_inject *inject, enum state state, char c)
{
	inject->name_len = 0;
	inject->state = state;
	note_name(inject, c);
}

/* Is a document, and what was held back so far can go. */
static void accept_page(struct fr_inject *inject)
{
	if (inject->verdict == FR_INJECT_UNDECIDED)
		inject->verdict = FR_INJECT_PAGE;
}

/* Something that is not part of a head begins at `safe`. */
static void end_head(struct fr_inject *inject)
{
	if (inject->verdict == FR_INJECT_UNDECIDED) {
		inject->verdict = FR_INJECT_NO_PAGE;
	} else if (inject->templates == 0) {
		inject->verdict = FR_INJECT_PLACE;
		inject->at = inject->safe;
	}
}

/* The name of a tag that opens is complete. */
static void open_tag(struct fr_inject *inject)
{
	static const char *const in_head[] = {"head",     "meta",     "link",    "base",
					      "title",    "style",    "script",  "template",
					      "noscript", "basefont", "bgsound", NULL};

	if (is_name(inject, "html"))
		accept_page(inject);
	else if (!is_one_of(inject, in_head) || inject->verdict == FR_INJECT_UNDECIDED)
		end_head(inject);
	inject->rawtext = find_rawtext(inject);
	inject->templates += is_name(inject, "template");
	inject->is_meta = is_name(inject, "meta") && inject->templates == 0;
	if (inject->is_meta)
		fr_meta_begin(&inject->meta);
}

static void close_tag(struct fr_inject *inject)
{
	static const char *const of_head[] = {"head", "body", "html", "br", NULL};

	if (inject->rawtext) {
		if (is_name(inject, inject->rawtext))
			inject->rawtext = NULL;
	} else if (is_name(inject, "template")) {
		inject->templates -= inject->templates > 0;
	} else if (is_one_of(inject, of_head) || inject->verdict == FR_INJECT_UNDECIDED) {
		end_head(inject);
	}
}

static void read_name(struct fr_inject *inject, char c)
{
	bool is_end = inject->state == STATE_END_NAME;

	if (is_end && inject->rawtext && c == '<') { /* that was none; this may be one */
		inject->name_len = 0;
		inject->safe = inject->seen;
		inject->state = STATE_OPEN;
		return;
	}
	if (!is_blank(c) && c != '/' && c != '>') {
		note_name(inject, c);
		return;
	}
	inject->is_meta = false;
	if (is_end)
		close_tag(inject);
	else
		open_tag(inject);
	inject->state = c == '>' || (is_end && inject->rawtext) ? STATE_TEXT : STATE_TAG;
}

static void read_open(struct fr_inject *inject, char c)
{
	inject->state = STATE_TEXT;
	inject->name_len = 0;
	if (c == '/') {
		inject->state = STATE_END_NAME;
	} else if (inject->rawtext) {
		if (c == '<')
			inject->state = STATE_OPEN;
	} else if (c == '!') {
		inject->state = STATE_BANG;
	} else if (c == '?') {
		inject->state = STATE_DECLARATION;
		inject->name_len = sizeof(inject->name) + 1; /* of no interest */
	} else if (is_letter(c)) {
		begin_name(inject, STATE_NAME, c);
	} else {
		end_head(inject); /* a "<" that is text */
	}
}

/* "<!--" is a comment, "<!doctype html" the beginning of a document. */
static void read_bang(struct fr_inject *inject, char c)
{
	note_name(inject, c);
	if (is_name(inject, "--")) {
		inject->state = STATE_COMMENT;
		inject->dashes = 2; /* "<!-->" is a whole one */
	} else if (inject->name_len > 1 || c != '-') {
		inject->state = STATE_DECLARATION;
		if (c == '>')
			inject->state = STATE_TEXT;
	}
}

static void read_comment(struct fr_inject *inject, char c)
{
	if (c == '>' && inject->dashes >= 2)
		inject->state = STATE_TEXT;
	/* "--!>" ends one, too. */
	if (c != '!' || inject->dashes < 2)
		inject->dashes = c == '-' ? inject->dashes + 1 : 0;
}

static void read_declaration(struct fr_inject *inject, char c)
{
	static const char wanted[] = "doctype html";

	if (inject->name_len == strlen(wanted) && (is_blank(c) || c == '>') &&
	    memcmp(inject->name, wanted, inject->name_len) == 0)
		accept_page(inject);
	/* Blanks between the two words may be any, and as many. */
	if (is_blank(c) && inject->name_len == strlen("doctype"))
		note_name(inject, ' ');
	else if (!is_blank(c) || inject->name_len != strlen("doctype "))
		note_name(inject, c);
	if (c == '>')
		inject->state = STATE_TEXT;
}

/* Reads on in the mark of UTF-8 that a document may begin with. */
static bool is_in_bom(struct fr_inject *inject, char c)
{
	if (inject->bom_len != inject->seen || inject->seen >= strlen(bom) ||
	    c != bom[inject->seen])
		return false;
	inject->bom_len++;
	return true;
}

static void read_text(struct fr_inject *inject, char c)
{
	inject->safe = inject->seen;
	if (is_in_bom(inject, c))
		return;
	if (inject->bom_len > 0 && inject->bom_len < strlen(bom)) {
		end_head(inject);
	} else if (c == '<') {
		inject->name_len = 0;
		inject->state = STATE_OPEN;
	} else if (!inject->rawtext && !is_blank(c)) {
		end_head(inject);
	}
}

/* A tag may be longer than what is worth holding back: once its name is complete it has decided
 * what it decides. */
static void read_tag(struct fr_inject *inject, char c)
{
	if (inject->is_meta && c != '>')
		fr_meta_feed(&inject->meta, c);
	if (c == '>') {
		inject->state = STATE_TEXT;
		if (inject->is_meta)
			fr_meta_end(&inject->meta);
	} else if (c == '"' || c == '\'') {
		inject->quote = c;
		inject->state = STATE_QUOTED;
	}
}

static void read_byte(struct fr_inject *inject, char c)
{
	switch ((enum state)inject->state) {
	case STATE_TEXT:
		read_text(inject, c);
		break;
	case STATE_OPEN:
		if (c == '<' && inject->rawtext)
			inject->safe = inject->seen;
		read_open(inject, c);
		break;
	case STATE_BANG:
		read_bang(inject, c);
		break;
	case STATE_COMMENT:
		read_comment(inject, c);
		break;
	case STATE_DECLARATION:
		read_declaration(inject, c);
		break;
	case STATE_NAME:
	case STATE_END_NAME:
		read_name(inject, c);
		break;
	case STATE_TAG:
		read_tag(inject, c);
		break;
	case STATE_QUOTED:
		if (inject->is_meta)
			fr_meta_feed(&inject->meta, c);
		if (c == inject->quote)
			inject->state = STATE_TAG;
		break;
	}
}

/* Nothing goes before a byte in the middle of what has decided what it decides: of names only the
 * first few bytes can still matter. */
static void note_safe(struct fr_inject *inject)
{
	bool is_open = inject->state == STATE_OPEN || inject->state == STATE_BANG ||
		       inject->state == STATE_NAME || inject->state == STATE_END_NAME;

	if (!is_open || inject->templates > 0 || inject->name_len > sizeof(inject->name))
		inject->safe = inject->seen;
}

enum fr_inject_verdict fr_inject_feed(struct fr_inject *inject, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (inject->verdict == FR_INJECT_PLACE || inject->verdict == FR_INJECT_NO_PAGE)
			break;
		/* A longer name is none that ends a head by its end tag, and one that opens ends it
		 * whatever follows. */
		if (inject->name_len >= sizeof(inject->name) && inject->state == STATE_NAME)
			end_head(inject);
		if (inject->verdict == FR_INJECT_PLACE)
			break;
		read_byte(inject, bytes[i]);
		inject->seen++;
		if (inject->verdict == FR_INJECT_PLACE)
			break;
		note_safe(inject);
		if (inject->verdict == FR_INJECT_UNDECIDED &&
		    inject->seen >= FR_INJECT_MAX_PROLOGUE)
			inject->verdict = FR_INJECT_NO_PAGE;
	}
	return inject->verdict;
}
