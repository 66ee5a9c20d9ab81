/*
 * visitors: what open pages ask, and the script in them. See visitors.h.
 *
 * The script is added by a transformation (core/transformations.c), of three parts. The first one
 * reads the body as it comes. The second one is a valve: while it is not known yet whether this is
 * a page, nothing may be sent, not even the header, and uWSGI sends that with the first bytes, or
 * without any, unless some part "cannot stream". The third one is called at the end. All of them
 * stand before those that the configuration adds (gzip, chunked), and see the body as the
 * application made it. What is sent as a file does not come by here.
 */
#include <uwsgi.h>

#include <endian.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "browser/head.h"
#include "browser/inject.h"
#include "browser/script.h"
#include "browser/visit.h"
#include "reload/visitors.h"

extern struct uwsgi_server uwsgi;

/* Headers that the configuration adds; more are not looked at. */
#define FR_VISITORS_EXTRA 32

#define FR_VISITORS_TAG_SIZE 1024

/* Shared with the workers. */
struct shared {
	int64_t generation; /* written by the master, as are the others */
	int64_t news;       /* number of the last */
	uint32_t is_said;   /* bits of enum complaint; by anybody */
	int64_t of_slot[];  /* which generation the worker in it is of */
};

enum complaint { COMPLAINT_TLS = 1, COMPLAINT_POLICY = 2 };

static struct fr_visitors with;
static struct shared *shared; /* NULL: pages do not follow the code */
static int (*applications[256])(struct wsgi_request *);

int fr_visitors_open(const struct fr_visitors *visitors, int64_t generation)
{
	size_t size = sizeof(*shared) + ((size_t)uwsgi.numproc + 1) * sizeof(shared->of_slot[0]);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	shared = memory;
	shared->generation = generation;
	for (int wid = 0; wid <= uwsgi.numproc; wid++)
		shared->of_slot[wid] = generation;
	with = *visitors;
	return 0;
}

int64_t fr_visitors_generation(void)
{
	return shared ? __atomic_load_n(&shared->generation, __ATOMIC_SEQ_CST) : 0;
}

void fr_visitors_next_generation(void)
{
	if (shared)
		__atomic_add_fetch(&shared->generation, 1, __ATOMIC_SEQ_CST);
}

void fr_visitors_begin_generation(void)
{
	fr_visitors_next_generation();
	if (shared)
		with.begins();
}

int64_t fr_visitors_news(void)
{
	return shared ? __atomic_load_n(&shared->news, __ATOMIC_SEQ_CST) : 0;
}

void fr_visitors_note_news(int64_t number)
{
	if (shared)
		__atomic_store_n(&shared->news, number, __ATOMIC_SEQ_CST);
}

void fr_visitors_join(int wid)
{
	if (shared)
		__atomic_store_n(&shared->of_slot[wid], shared->generation, __ATOMIC_SEQ_CST);
}

void fr_visitors_join_all(void)
{
	for (int wid = 1; wid <= uwsgi.numproc; wid++)
		fr_visitors_join(wid);
}

/* Is this the first in the instance to complain of it? */
static bool is_new(enum complaint complaint)
{
	return !(__atomic_fetch_or(&shared->is_said, complaint, __ATOMIC_SEQ_CST) & complaint);
}

/* ---- the request ---- */

static const char *get(struct wsgi_request *request, const char *name, uint16_t *ret_len)
{
	*ret_len = 0;
	return uwsgi_get_var(request, (char *)name, (uint16_t)strlen(name), ret_len);
}

static bool is(struct wsgi_request *request, const char *name, const char *word)
{
	uint16_t len;
	const char *value = get(request, name, &len);

	return value && len == strlen(word) && strncasecmp(value, word, len) == 0;
}

static bool is_method(const struct wsgi_request *request, const char *method)
{
	return request->method_len == strlen(method) &&
	       memcmp(request->method, method, request->method_len) == 0;
}

/* ---- answers of our own ---- */

static int refuse(struct wsgi_request *request, const char *status, const char *sentence)
{
	uint16_t len = (uint16_t)strlen(sentence);

	if (uwsgi_response_prepare_headers(request, (char *)status, (uint16_t)strlen(status)) ||
	    uwsgi_response_add_content_type(request, "text/plain", 10) ||
	    (status[0] == '5' && uwsgi_response_add_header(request, "Retry-After", 11, "1", 1)) ||
	    uwsgi_response_add_content_length(request, len))
		return UWSGI_OK;
	if (is_method(request, "HEAD"))
		uwsgi_response_write_headers_do(request);
	else
		uwsgi_response_write_body_do(request, (char *)sentence, len);
	return UWSGI_OK;
}

static int answer_script(struct wsgi_request *request)
{
	char etag[FR_SCRIPT_ETAG_SIZE];
	size_t len;
	const char *text = fr_script_text(&len);
	bool is_known = is(request, "HTTP_IF_NONE_MATCH", fr_script_etag(etag));
	char *status = is_known ? "304 Not Modified" : "200 OK";

	if (uwsgi_response_prepare_headers(request, status, (uint16_t)strlen(status)) ||
	    uwsgi_response_add_header(request, "ETag", 4, etag, (uint16_t)strlen(etag)) ||
	    uwsgi_response_add_header(request, "Cache-Control", 13, "no-cache", 8) ||
	    uwsgi_response_add_header(request, "X-Content-Type-Options", 22, "nosniff", 7))
		return UWSGI_OK;
	if (!is_known &&
	    (uwsgi_response_add_content_type(request, "text/javascript; charset=utf-8", 30) ||
	     uwsgi_response_add_content_length(request, len)))
		return UWSGI_OK;
	if (is_known || is_method(request, "HEAD"))
		uwsgi_response_write_headers_do(request);
	else
		uwsgi_response_write_body_do(request, (char *)text, len);
	return UWSGI_OK;
}

static bool is_fastcgi(const struct wsgi_request *request)
{
	struct uwsgi_socket fastcgi = {0};

	uwsgi_proto_fastcgi_setup(&fastcgi);
	return request->socket->proto_write == fastcgi.proto_write;
}

/* Is the connection one whose bytes others can write? What TLS knows of one is in this worker. */
static bool can_go(const struct wsgi_request *request)
{
	bool can = request->socket->proto_write == uwsgi_proto_base_write || is_fastcgi(request);

	if (!can && is_new(COMPLAINT_TLS))
		uwsgi_log_verbose("[fastreload] pages that come through %s-socket do not follow "
				  "the code: let uWSGI's http router (--https) or a proxy do TLS\n",
				  request->socket->proto_name);
	return can;
}

static int64_t read_number(const char *text, size_t len)
{
	int64_t number = 0;

	if (!text || len == 0 || len > 18)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = 10 * number + (text[i] - '0');
	}
	return number;
}

/* A browser that comes back knows better than the address with which it came first. */
static int64_t find_heard(struct wsgi_request *request)
{
	uint16_t len;
	const char *text = get(request, "HTTP_LAST_EVENT_ID", &len);

	if (!text || len == 0)
		text = uwsgi_get_qs(request, "since", 5, &len);
	return read_number(text, len);
}

/* The connection is the hub's from here on; to close our descriptor does not end it. */
static int hand_over(struct wsgi_request *request, enum fr_visit_kind kind)
{
	struct fr_visit visit = {.kind = kind};
	uint16_t key_len;
	const char *key = get(request, "HTTP_SEC_WEBSOCKET_KEY", &key_len);

	if (!can_go(request) || (kind == FR_VISIT_LIVERELOAD && is_fastcgi(request)))
		return refuse(request, "501 Not Implemented",
			      "pages cannot listen through this protocol\n");
	if (kind == FR_VISIT_LIVERELOAD) {
		if (!is(request, "HTTP_UPGRADE", "websocket") ||
		    !fr_websocket_is_key(key, key_len) ||
		    !is(request, "HTTP_SEC_WEBSOCKET_VERSION", "13"))
			return refuse(request, "426 Upgrade Required",
				      "this is for WebSockets of version 13\n");
		memcpy(visit.key, key, sizeof(visit.key));
	}
	visit.is_cgi =
		request->socket->proto_prepare_headers == uwsgi_proto_base_cgi_prepare_headers;
	/* uwsgi_proto_fastcgi_parser (proto/fastcgi.c) keeps the two bytes in this order. */
	visit.is_fastcgi = is_fastcgi(request);
	memcpy(&visit.fastcgi_id, &request->stream_id, sizeof(visit.fastcgi_id));
	visit.fastcgi_id = le16toh(visit.fastcgi_id);
	visit.heard = find_heard(request);
	if (fr_visit_send(with.way_fd, &visit, request->fd) < 0)
		return refuse(request, "503 Service Unavailable", "try again\n");
	close(request->fd);
	request->fd_closed = 1;
	return UWSGI_OK;
}

static bool may_listen(struct wsgi_request *request)
{
	uint16_t host_len, origin_len;
	const char *host = get(request, "HTTP_HOST", &host_len);
	const char *origin = get(request, "HTTP_ORIGIN", &origin_len);

	return fr_origin_is_host(&with.names, host, host_len) &&
	       fr_origin_is_same(&with.names, origin, origin_len, host, host_len) &&
	       !is(request, "HTTP_SEC_FETCH_SITE", "cross-site") &&
	       !is(request, "HTTP_SEC_FETCH_SITE", "same-site");
}

static const char *const urls[] = {"/client.js", "/events", "/livereload", NULL};

/* What is asked for, as its place in urls; -1: nothing of ours. */
static int find_url(const struct wsgi_request *request)
{
	size_t path_len = strlen(with.path);

	for (int i = 0; urls[i]; i++) {
		if (request->path_info_len == path_len + strlen(urls[i]) &&
		    memcmp(request->path_info, with.path, path_len) == 0 &&
		    memcmp(request->path_info + path_len, urls[i], strlen(urls[i])) == 0)
			return i;
	}
	return -1;
}

static int answer(struct wsgi_request *request, int url)
{
	request->do_not_log = 1;
	request->do_not_account = 1;
	request->do_not_account_avg_rt = 1;
	if (!is_method(request, "GET") && !(url == 0 && is_method(request, "HEAD")))
		return refuse(request, "405 Method Not Allowed", "this is for GET\n");
	if (!may_listen(request))
		return refuse(request, "403 Forbidden", "this page is not from this host\n");
	if (url == 0)
		return answer_script(request);
	return hand_over(request, url == 1 ? FR_VISIT_EVENTS : FR_VISIT_LIVERELOAD);
}

/* ---- the script in pages ---- */

/* What the first part knows; in the memory of a uwsgi_buffer, which uWSGI frees. */
struct page {
	struct fr_inject inject;
	struct fr_head head;
	bool is_begun;                             /* the header was looked at */
	int64_t news;                              /* the last when the request came */
	bool is_done;                              /* all that comes goes as it is */
	struct uwsgi_transformation *valve, *last; /* last->ub: what is held back */
	uint64_t held_from;                        /* its place in the body */
	size_t tag_len;
	char tag[FR_VISITORS_TAG_SIZE];
};

static struct page *page_of(const struct uwsgi_transformation *part)
{
	return (struct page *)part->ub->buf;
}

static void write_tag(struct page *page)
{
	const char *nonce = page->head.nonce;
	int64_t generation = __atomic_load_n(&shared->of_slot[uwsgi.mywid], __ATOMIC_SEQ_CST);

	page->tag_len =
		(size_t)snprintf(page->tag, sizeof(page->tag),
				 "<script src=\"%s/client.js\" data-generation=\"%lld\" "
				 "data-since=\"%lld\" data-path=\"%s\" async%s%s%s>"
				 "</script>",
				 with.path, (long long)generation, (long long)page->news, with.path,
				 *nonce ? " nonce=\"" : "", nonce, *nonce ? "\"" : "");
}

/* Is it for somebody who looks at a page, not for a script that takes a piece of one? */
static bool is_navigation(struct wsgi_request *request)
{
	uint16_t len;

	if (is_method(request, "HEAD") || get(request, "HTTP_X_REQUESTED_WITH", &len) ||
	    get(request, "HTTP_HX_REQUEST", &len))
		return false;
	return !get(request, "HTTP_SEC_FETCH_DEST", &len) ||
	       is(request, "HTTP_SEC_FETCH_DEST", "document") ||
	       is(request, "HTTP_SEC_FETCH_DEST", "iframe") ||
	       is(request, "HTTP_SEC_FETCH_DEST", "frame");
}

/* Headers that the configuration adds come behind those of the application, when all are sent. */
static size_t find_extra(const struct wsgi_request *request, const char **extra)
{
	struct uwsgi_string_list *lists[] = {uwsgi.additional_headers, request->additional_headers};
	size_t len = 0;

	for (size_t i = 0; i < 2; i++) {
		for (struct uwsgi_string_list *line = lists[i]; line && len < FR_VISITORS_EXTRA;
		     line = line->next)
			extra[len++] = line->value;
	}
	return len;
}

static void complain_of_policy(const struct wsgi_request *request)
{
	if (is_new(COMPLAINT_POLICY))
		uwsgi_log_verbose(
			"[fastreload] %.*s and perhaps other pages do not follow the code: their "
			"Content-Security-Policy allows no script from here, or no connection\n",
			(int)request->path_info_len, request->path_info);
}

/* May this answer get the script? */
static bool does_head_fit(struct wsgi_request *request, struct page *page)
{
	const char *extra[FR_VISITORS_EXTRA];
	size_t extra_len;

	if (!request->headers || !is_navigation(request))
		return false;
	extra_len = find_extra(request, extra);
	fr_head_look(request->status, request->headers->buf, request->headers->pos, extra,
		     extra_len, &page->head);
	if (page->head.verdict == FR_HEAD_FORBIDDEN)
		complain_of_policy(request);
	if (page->head.verdict != FR_HEAD_FITS || !can_go(request))
		return false;
	/* A header that has been sent cannot be changed. */
	return !request->headers_sent && !uwsgi_buffer_ensure(request->headers, FR_HEAD_MAX_GROWTH);
}

/* May this page get the script, as far as it is known? Writes the script's element. */
static bool do_policies_allow(struct wsgi_request *request, struct page *page)
{
	if (page->inject.meta.is_cut)
		page->head.verdict = FR_HEAD_FORBIDDEN;
	fr_head_heed(&page->head, page->inject.meta.policies);
	if (page->head.verdict == FR_HEAD_FITS) {
		write_tag(page);
		return true;
	}
	complain_of_policy(request);
	return false;
}

/* The header has gone, and then a policy may have come: blanks take the place of an element that
 * would not run, or would be longer than was said. */
static void heed_what_came_late(struct wsgi_request *request, struct page *page)
{
	size_t promised = page->tag_len;

	if (do_policies_allow(request, page) &&
	    (page->tag_len == promised || !page->head.has_length))
		return;
	complain_of_policy(request);
	memset(page->tag, ' ', promised);
	page->tag_len = promised;
}

static void rewrite_head(struct wsgi_request *request, const struct page *page)
{
	struct uwsgi_buffer *headers = request->headers;

	headers->pos = fr_head_rewrite(headers->buf, headers->pos, page->tag_len);
}

/* Nothing more will be looked at: what was held back goes before what has come. */
static int let_go(struct page *page, struct uwsgi_buffer *chunk)
{
	struct uwsgi_buffer *held = page->last->ub;

	page->is_done = true;
	page->valve->can_stream = 1;
	if (held->pos > 0 && uwsgi_buffer_insert(chunk, 0, held->buf, held->pos))
		return -1;
	held->pos = 0;
	return 0;
}

/* Passes on what comes before the place, the script if that is known, and holds the rest back. */
static int pass_on(struct page *page, struct uwsgi_buffer *chunk)
{
	struct uwsgi_buffer *held = page->last->ub;
	uint64_t from = page->held_from;

	if (held->pos > 0 && uwsgi_buffer_insert(chunk, 0, held->buf, held->pos))
		return -1;
	held->pos = 0;
	if (page->inject.verdict == FR_INJECT_PLACE) {
		page->is_done = true;
		page->valve->can_stream = 1;
		return uwsgi_buffer_insert(chunk, (size_t)(page->inject.at - from), page->tag,
					   page->tag_len);
	}
	page->held_from = page->inject.safe;
	if (uwsgi_buffer_append(held, chunk->buf + (page->inject.safe - from),
				chunk->pos - (size_t)(page->inject.safe - from)))
		return -1;
	chunk->pos = (size_t)(page->inject.safe - from);
	page->valve->can_stream = 1;
	return 0;
}

static int read_part(struct wsgi_request *request, struct uwsgi_transformation *part)
{
	struct page *page = page_of(part);
	struct uwsgi_buffer *chunk = part->chunk;
	bool was_page = page->inject.verdict == FR_INJECT_PAGE;

	if (page->is_done)
		return 0;
	if (!page->is_begun) {
		page->is_begun = true;
		if (!does_head_fit(request, page))
			return let_go(page, chunk);
	}
	fr_inject_feed(&page->inject, chunk->buf, chunk->pos);
	if (page->inject.verdict == FR_INJECT_NO_PAGE)
		return let_go(page, chunk);
	if (page->inject.verdict == FR_INJECT_UNDECIDED) {
		if (uwsgi_buffer_append(page->last->ub, chunk->buf, chunk->pos))
			return -1;
		chunk->pos = 0;
		return 0;
	}
	if (was_page) {
		if (page->inject.verdict == FR_INJECT_PLACE)
			heed_what_came_late(request, page);
	} else {
		if (!do_policies_allow(request, page))
			return let_go(page, chunk);
		rewrite_head(request, page);
	}
	return pass_on(page, chunk);
}

static int pass_valve(struct wsgi_request *request, struct uwsgi_transformation *part)
{
	(void)request;
	(void)part;
	return 0;
}

/* At the end: what is still held back, and behind it the script, if it was promised. */
static int read_last(struct wsgi_request *request, struct uwsgi_transformation *part)
{
	struct page *page = page_of(part->data);
	struct uwsgi_buffer *held = part->ub;

	if (held->pos > 0 && uwsgi_buffer_append(part->chunk, held->buf, held->pos))
		return -1;
	held->pos = 0;
	if (page->is_done || page->inject.verdict != FR_INJECT_PAGE)
		return 0;
	page->is_done = true;
	heed_what_came_late(request, page);
	return uwsgi_buffer_append(part->chunk, page->tag, page->tag_len);
}

/* uwsgi_add_transformation puts them behind the others. */
static void add_parts(struct wsgi_request *request)
{
	struct uwsgi_transformation *others = request->transformations, *first, *valve, *last;
	struct page *page;

	request->transformations = NULL;
	first = uwsgi_add_transformation(request, read_part, NULL);
	valve = uwsgi_add_transformation(request, pass_valve, NULL);
	last = uwsgi_add_transformation(request, read_last, first);
	last->next = others;
	first->can_stream = 1;
	last->is_final = 1;
	first->ub = uwsgi_buffer_new(sizeof(*page));
	last->ub = uwsgi_buffer_new(FR_INJECT_MAX_PROLOGUE);
	page = page_of(first);
	memset(page, 0, sizeof(*page));
	fr_inject_begin(&page->inject);
	/* Before the application looks at its templates: what is saved from here on it may miss. */
	page->news = fr_visitors_news();
	page->valve = valve;
	page->last = last;
}

/* ---- before the applications ---- */

static int pass(struct wsgi_request *request)
{
	return applications[request->uh->modifier1](request);
}

/* The application reads the variables itself; before that only who has our path somewhere in them
 * is looked at. An application may be called again for its next piece. */
static int request_hook(struct wsgi_request *request)
{
	int url;

	if (request->transformations && request->transformations->func == read_part)
		return pass(request);
	if (memmem(request->buffer, request->uh->pktsize, with.path, strlen(with.path))) {
		if (uwsgi_parse_vars(request))
			return -1; /* as applications do; it has been answered */
		url = find_url(request);
		if (url >= 0)
			return answer(request, url);
	}
	add_parts(request);
	return pass(request);
}

/* Also where no application is loaded: pages wait for the one that will be. */
void fr_visitors_take_over(void)
{
	if (!shared)
		return;
	for (int i = 0; i < 256; i++) {
		if (uwsgi.p[i]->request && uwsgi.p[i]->request != request_hook)
			applications[i] = uwsgi.p[i]->request;
	}
	for (int i = 0; i < 256; i++) {
		if (uwsgi.p[i]->request)
			uwsgi.p[i]->request = request_hook;
	}
}
