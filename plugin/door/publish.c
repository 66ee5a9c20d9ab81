/*
 * publish: what every process of the instance may read. See publish.h.
 */
#include <uwsgi.h>

#include <sys/mman.h>

#include "door/control.h"
#include "door/door.h"
#include "door/publish.h"
#include "door/settings.h"
#include "reload/wake.h"
#include "report/journal.h"
#include "report/json.h"
#include "report/request.h"
#include "report/status.h"
#include "watch/watcher.h"

extern struct uwsgi_server uwsgi;

#define FR_PUBLISH_ANSWER_SIZE (256 * 1024)
#define FR_PUBLISH_TRIES       1000

/* uWSGI's metrics: names, and where they are in the status. Its collector reads 64 bits at an
 * address of shared memory (core/metrics.c, uwsgi_metric_collector_ptr). */
enum number {
	NUMBER_RELOADS,
	NUMBER_FAILURES,
	NUMBER_HELD,
	NUMBER_IGNORED,
	NUMBER_LOST,
	NUMBER_MISSED,
	NUMBER_RECOVERED,
	NUMBER_LAST_MS,
	NUMBER_MEDIAN_MS,
	NUMBER_FOLDERS,
	NUMBER_FILES,
	NUMBERS,
};

static struct shared {
	uint32_t version; /* odd: the master is writing */
	uint32_t wishes;  /* bits, set by workers */
	struct fr_status status;
	struct fr_journal journal;
	int64_t numbers[NUMBERS];
	int64_t backend_folders[FR_STATUS_MAX_BACKENDS], backend_files[FR_STATUS_MAX_BACKENDS];
} * shared;

int fr_publish_open(void)
{
	/* All of it at once: what grows later would look like a leak. */
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (shared != MAP_FAILED)
		return 0;
	shared = NULL;
	return -errno;
}

/* ---- the master writes ---- */

static void begin(void)
{
	__atomic_store_n(&shared->version, shared->version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end(void)
{
	__atomic_store_n(&shared->version, shared->version + 1, __ATOMIC_RELEASE);
}

void fr_publish_note(const char *word, const char *path, const char *detail)
{
	begin();
	fr_journal_note(&shared->journal, (int64_t)(uwsgi_micros() / 1000), word, path, detail);
	end();
}

struct fr_journal *fr_publish_journal(void)
{
	return &shared->journal;
}

int fr_publish_leave(int fd)
{
	const ssize_t size = sizeof(shared->journal);

	return write(fd, &shared->journal, (size_t)size) == size ? 0 : -EIO;
}

int fr_publish_take(int fd)
{
	const ssize_t size = sizeof(shared->journal);

	if (read(fd, &shared->journal, (size_t)size) == size)
		return 0;
	memset(&shared->journal, 0, sizeof(shared->journal));
	return -EIO;
}

bool fr_publish_is_wanted(void)
{
	return uwsgi.has_metrics || fr_settings.has_rpc;
}

void fr_publish_status(const struct fr_status *status)
{
	const struct fr_tally *tally = &status->tally;
	int64_t folders = 0, files = 0;

	begin();
	shared->status = *status;
	end();
	for (size_t i = 0; i < status->backends_len; i++) {
		folders += shared->backend_folders[i] = (int64_t)status->backends[i].folders;
		files += shared->backend_files[i] = (int64_t)status->backends[i].files;
	}
	shared->numbers[NUMBER_RELOADS] = tally->reloads;
	shared->numbers[NUMBER_FAILURES] = tally->failures;
	shared->numbers[NUMBER_HELD] = tally->held;
	shared->numbers[NUMBER_IGNORED] = tally->ignored;
	shared->numbers[NUMBER_LOST] = tally->lost;
	shared->numbers[NUMBER_MISSED] = tally->missed;
	shared->numbers[NUMBER_RECOVERED] = tally->recovered;
	shared->numbers[NUMBER_LAST_MS] = tally->last_ms;
	shared->numbers[NUMBER_MEDIAN_MS] = fr_tally_median_ms(tally);
	shared->numbers[NUMBER_FOLDERS] = folders;
	shared->numbers[NUMBER_FILES] = files;
}

struct fr_wishes fr_publish_take_wishes(void)
{
	uint32_t bits =
		shared->wishes ? __atomic_exchange_n(&shared->wishes, 0, __ATOMIC_ACQ_REL) : 0;

	return (struct fr_wishes){
		.pause = bits & 1u << FR_COMMAND_PAUSE,
		.resume = bits & 1u << FR_COMMAND_RESUME,
		.reload = bits & 1u << FR_COMMAND_RELOAD,
	};
}

/* ---- workers read ---- */

/* A copy that nobody was writing to, or NULL; the caller frees it. */
static struct shared *read_shared(void)
{
	struct shared *copy = malloc(sizeof(*copy));

	for (int i = 0; copy && i < FR_PUBLISH_TRIES; i++) {
		uint32_t before = __atomic_load_n(&shared->version, __ATOMIC_ACQUIRE);

		memcpy(copy, shared, sizeof(*copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (before % 2 == 0 &&
		    before == __atomic_load_n(&shared->version, __ATOMIC_RELAXED))
			return copy;
		sched_yield();
	}
	free(copy);
	return NULL;
}

/* As the socket's answers; whatever changes something is the master's to do, and it is only asked
 * to. The later of pause and resume counts. */
static const char *answer(enum fr_command command, const char *path, struct fr_json *json)
{
	uint32_t bit = 1u << command, both = 1u << FR_COMMAND_PAUSE | 1u << FR_COMMAND_RESUME;
	struct shared *copy = NULL;

	switch (command) {
	case FR_COMMAND_STATUS:
	case FR_COMMAND_JOURNAL:
		copy = read_shared();
		if (!copy)
			return "the master is too busy";
		if (command == FR_COMMAND_STATUS)
			fr_status_json(&copy->status, json, "status");
		else
			fr_journal_json(&copy->journal, json, "journal");
		free(copy);
		return NULL;
	case FR_COMMAND_EXPLAIN:
		return fr_control_explain(path, json);
	default:
		if (bit & both)
			(void)__atomic_fetch_and(&shared->wishes, ~both, __ATOMIC_ACQ_REL);
		(void)__atomic_fetch_or(&shared->wishes, bit, __ATOMIC_ACQ_REL);
		fr_wake_master();
		return NULL;
	}
}

static size_t finish(struct fr_json *json)
{
	json->size = FR_PUBLISH_ANSWER_SIZE;
	fr_json_close(json, '}');
	return json->len;
}

static void begin_answer(struct fr_json *json, char *text, bool is_ok)
{
	/* The end of the object is sure to fit. */
	fr_json_begin(json, text, FR_PUBLISH_ANSWER_SIZE - 8);
	fr_json_open(json, NULL, '{');
	fr_json_number(json, "v", FR_STATUS_VERSION);
	fr_json_bool(json, "ok", is_ok);
}

/* name is what was registered with the function (core/rpc.c, uwsgi_rpc). The request is written and
 * read as if it came through the socket, so that the same is refused. */
uint64_t fr_publish_rpc(void *name, uint8_t argc, char **argv, uint16_t argvs[], char **ret_text)
{
	struct fr_request request = {.command = fr_command_of(name)};
	char *text = malloc(FR_PUBLISH_ANSWER_SIZE);
	char line[FR_REQUEST_LINE_MAX + 1], reason[128];
	const char *error = NULL;
	struct fr_json json;
	size_t len;

	if (!text)
		return 0;
	if (argc > 0 && argvs[0] < sizeof(request.path))
		memcpy(request.path, argv[0], argvs[0]);
	len = fr_request_write(&request, line);
	if (fr_request_read(line, len - 1, &request, reason, sizeof(reason)) < 0)
		error = reason;
	begin_answer(&json, text, true);
	if (!error)
		error = answer(request.command, request.path, &json);
	if (error) {
		begin_answer(&json, text, false);
		fr_json_string(&json, "error", error);
	}
	*ret_text = text;
	return finish(&json);
}

/* ---- uWSGI's tables ---- */

static void register_metric(const char *name, int number, int64_t *value, bool is_gauge)
{
	char oid[32];

	/* 5.200: the branch that we take of uWSGI's own "core" (core/metrics.c). */
	snprintf(oid, sizeof(oid), "5.200.%d", number);
	(void)uwsgi_register_metric((char *)name, oid,
				    is_gauge ? UWSGI_METRIC_GAUGE : UWSGI_METRIC_COUNTER, "ptr",
				    value, 0, NULL);
}

void fr_publish_register_metrics(void)
{
	static const char *const names[NUMBERS] = {
		[NUMBER_RELOADS] = "reloads",     [NUMBER_FAILURES] = "failures",
		[NUMBER_HELD] = "held",           [NUMBER_IGNORED] = "ignored",
		[NUMBER_LOST] = "lost",           [NUMBER_MISSED] = "missed",
		[NUMBER_RECOVERED] = "recovered", [NUMBER_LAST_MS] = "last_ms",
		[NUMBER_MEDIAN_MS] = "median_ms", [NUMBER_FOLDERS] = "folders",
		[NUMBER_FILES] = "files",
	};
	struct fr_watcher_backend backends[FR_WATCHER_MAX_SOURCES];
	size_t len;
	char name[64];

	if (!uwsgi.has_metrics)
		return;
	len = fr_watcher_backends(fr_door.watcher, backends);
	for (int i = 0; i < NUMBERS; i++) {
		snprintf(name, sizeof(name), "fastreload.%s", names[i]);
		register_metric(name, 1 + i, &shared->numbers[i], i >= NUMBER_LAST_MS);
	}
	for (size_t i = 0; i < len && i < FR_STATUS_MAX_BACKENDS; i++) {
		snprintf(name, sizeof(name), "fastreload.%s.folders", backends[i].name);
		register_metric(name, 100 + (int)i * 2, &shared->backend_folders[i], true);
		snprintf(name, sizeof(name), "fastreload.%s.files", backends[i].name);
		register_metric(name, 101 + (int)i * 2, &shared->backend_files[i], true);
	}
}

void fr_publish_register_rpc(struct uwsgi_plugin *plugin)
{
	for (int command = 0; fr_settings.has_rpc && command < FR_COMMANDS; command++) {
		char name[64];

		snprintf(name, sizeof(name), "fastreload_%s",
			 fr_command_name((enum fr_command)command));
		if (uwsgi_register_rpc(name, plugin, 0,
				       (void *)fr_command_name((enum fr_command)command)) < 0)
			fr_log("%s could not be registered: rpc-max is too low\n", name);
	}
}
