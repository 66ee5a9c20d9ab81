/*
 * broken: a page for browsers while the new code does not load. See broken.h.
 */
#include <uwsgi.h>

#include <stdbool.h>
#include <sys/mman.h>

#include "reload/broken.h"

extern struct uwsgi_server uwsgi;

/* Shared with the workers. Odd version: being written. The master is the only writer, and readers
 * never wait for it. */
struct page {
	uint32_t version;
	uint32_t len; /* 0: no page is shown */
	char html[FR_BROKEN_MAX_BYTES];
};

static struct page *page;
static int (*applications[256])(struct wsgi_request *);

int fr_broken_open(void)
{
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		page = NULL;
		return -errno;
	}
	return 0;
}

static void begin_write(void)
{
	__atomic_add_fetch(&page->version, 1, __ATOMIC_SEQ_CST);
}

static void end_write(void)
{
	__atomic_add_fetch(&page->version, 1, __ATOMIC_SEQ_CST);
}

void fr_broken_show(const char *html, size_t len)
{
	if (!page)
		return;
	begin_write();
	page->len = (uint32_t)(len > FR_BROKEN_MAX_BYTES ? FR_BROKEN_MAX_BYTES : len);
	memcpy(page->html, html, page->len);
	end_write();
}

void fr_broken_hide(void)
{
	if (!page || !page->len)
		return;
	begin_write();
	page->len = 0;
	end_write();
}

/* A copy of the page, for the caller to free; NULL: none is shown, or it is just changing. */
static char *copy_page(uint32_t *ret_len)
{
	uint32_t version = __atomic_load_n(&page->version, __ATOMIC_SEQ_CST);
	uint32_t len = page->len;
	char *copy;

	if (version % 2 || len == 0 || len > FR_BROKEN_MAX_BYTES)
		return NULL;
	copy = malloc(len);
	if (copy)
		memcpy(copy, page->html, len);
	if (__atomic_load_n(&page->version, __ATOMIC_SEQ_CST) != version) {
		free(copy);
		return NULL;
	}
	*ret_len = len;
	return copy;
}

static bool has(struct wsgi_request *request, const char *name, const char *word)
{
	uint16_t len;
	const char *value = uwsgi_get_var(request, (char *)name, (uint16_t)strlen(name), &len);

	return value && memmem(value, len, word, strlen(word));
}

/* Somebody who navigates; not a script, a style sheet, an image, or a fetch() that happens to take
 * HTML. */
static bool is_page_wanted(struct wsgi_request *request)
{
	uint16_t len;

	if (!has(request, "HTTP_ACCEPT", "text/html"))
		return false;
	if (uwsgi_strncmp(request->method, request->method_len, "GET", 3) != 0 &&
	    uwsgi_strncmp(request->method, request->method_len, "HEAD", 4) != 0)
		return false;
	return !uwsgi_get_var(request, "HTTP_SEC_FETCH_DEST", 19, &len) ||
	       has(request, "HTTP_SEC_FETCH_DEST", "document") ||
	       has(request, "HTTP_SEC_FETCH_DEST", "frame");
}

static int answer(struct wsgi_request *request, char *html, uint32_t len)
{
	if (uwsgi_response_prepare_headers(request, "500 Internal Server Error", 25) ||
	    uwsgi_response_add_content_type(request, "text/html; charset=utf-8", 24) ||
	    uwsgi_response_add_header(request, "Cache-Control", 13, "no-store", 8) ||
	    uwsgi_response_add_content_length(request, len))
		return UWSGI_OK;
	if (uwsgi_strncmp(request->method, request->method_len, "HEAD", 4) == 0)
		uwsgi_response_write_headers_do(request);
	else
		uwsgi_response_write_body_do(request, html, len);
	return UWSGI_OK;
}

static int request_hook(struct wsgi_request *request)
{
	uint32_t len;
	char *html = page->len ? copy_page(&len) : NULL;
	int result;

	if (!html)
		return applications[request->uh->modifier1](request);
	if (uwsgi_parse_vars(request) || !is_page_wanted(request)) {
		free(html);
		return applications[request->uh->modifier1](request);
	}
	result = answer(request, html, len);
	free(html);
	return result;
}

/* Plugins without applications keep their own hook: what is not loaded cannot be broken. One plugin
 * may stand in several places. */
void fr_broken_take_over(void)
{
	if (!page)
		return;
	for (int i = 0; i < uwsgi_apps_cnt; i++) {
		int modifier = uwsgi_apps[i].modifier1;

		if (uwsgi.p[modifier]->request != request_hook)
			applications[modifier] = uwsgi.p[modifier]->request;
	}
	for (int i = 0; i < uwsgi_apps_cnt; i++)
		uwsgi.p[uwsgi_apps[i].modifier1]->request = request_hook;
}
