/*
 * page: the page that a browser gets while the new code does not load. See page.h.
 */
#include <stdio.h>
#include <string.h>

#include "report/page.h"

static const char head[] =
	"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	"<meta name=\"viewport\" content=\"width=device-width\">"
	"<title>The new code does not load</title><style>"
	":root{color-scheme:light dark}"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem}"
	"h1{font-size:1.4rem;color:#b00020}@media(prefers-color-scheme:dark){h1{color:#ff8a80}}"
	"pre{overflow:auto;padding:1rem;border:1px solid #8888;border-radius:4px;"
	"font:14px/1.4 ui-monospace,monospace}"
	"</style></head><body><main><h1>The new code does not load</h1><p role=\"alert\">";
static const char middle[] = "</p><pre tabindex=\"0\">";
static const char tail[] = "</pre><p>The last good code goes on serving everything but this page. "
			   "The next save is tried "
			   "at once; then load this page again.</p></main></body></html>\n";

/* Appends as much of text as fits into size, escaped, and returns the new length. Bytes that are no
 * UTF-8 are the browser's to show as such. */
static size_t escape(const char *text, char *html, size_t len, size_t size)
{
	for (; *text; text++) {
		char plain[2] = {*text, '\0'};
		const char *piece = *text == '<'    ? "&lt;"
				    : *text == '>'  ? "&gt;"
				    : *text == '&'  ? "&amp;"
				    : *text == '"'  ? "&quot;"
				    : *text == '\'' ? "&#39;"
						    : plain;
		size_t piece_len = strlen(piece);

		if (len + piece_len > size)
			break;
		memcpy(html + len, piece, piece_len);
		len += piece_len;
	}
	return len;
}

static size_t append(const char *text, char *html, size_t len)
{
	size_t text_len = strlen(text);

	memcpy(html + len, text, text_len);
	return len + text_len;
}

/* The end of text whose escaped form fits into room. */
static const char *end_that_fits(const char *text, size_t room)
{
	const char *start = text + strlen(text);
	size_t need = 0;

	while (start > text) {
		need += strchr("<>&\"'", start[-1]) ? strlen("&quot;") : 1;
		if (need > room)
			break;
		start--;
	}
	while ((*start & 0xc0) == 0x80) /* not from the middle of a character */
		start++;
	return start;
}

size_t fr_page_write(const char *headline, const char *output, char *html, size_t html_size)
{
	size_t rest = strlen(middle) + strlen(tail);
	size_t len = append(head, html, 0);

	len = escape(headline, html, len, len + 1024);
	len = append(middle, html, len);
	len = escape(end_that_fits(output, html_size - len - rest), html, len, html_size - rest);
	return append(tail, html, len);
}
