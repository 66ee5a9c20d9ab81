/*
 * output: what candidates print while they load. See output.h.
 */
#include <uwsgi.h>

#include "reload/output.h"
#include "reload/wake.h"
#include "report/tail.h"

extern struct uwsgi_server uwsgi;

#define FR_OUTPUT_SIZE (64 * 1024)
#define FR_OUTPUT_READ 8192 /* per pipe and turn */

struct output {
	int read_fd, write_fd; /* -1: none */
	bool is_shown;         /* goes straight to the log */
	char *text;            /* FR_OUTPUT_SIZE bytes, or NULL */
	size_t len;
};

static struct output *outputs;
static int outputs_len;
static int saved_fds[2] = {-1, -1}; /* in a candidate: where 1 and 2 went before */

int fr_output_open(int slots)
{
	outputs = calloc((size_t)slots + 1, sizeof(*outputs));
	if (!outputs)
		return -ENOMEM;
	outputs_len = slots + 1;
	for (int wid = 0; wid < outputs_len; wid++)
		outputs[wid].read_fd = outputs[wid].write_fd = -1;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void fr_output_forget(int wid)
{
	struct output *output = &outputs[wid];

	if (output->read_fd >= 0)
		fr_wake_unwatch_output(output->read_fd);
	close_fd(&output->read_fd);
	close_fd(&output->write_fd);
	free(output->text);
	*output = (struct output){.read_fd = -1, .write_fd = -1};
}

void fr_output_begin(int wid)
{
	struct output *output = &outputs[wid];
	int fds[2];

	fr_output_forget(wid);
	output->text = calloc(1, FR_OUTPUT_SIZE);
	if (!output->text || pipe2(fds, O_CLOEXEC) < 0)
		return;
	output->read_fd = fds[0];
	output->write_fd = fds[1];
	uwsgi_socket_nb(fds[0]);
	fr_wake_watch_output(fds[0]);
}

void fr_output_redirect(int wid)
{
	int fd = outputs[wid].write_fd;

	if (fd < 0)
		return;
	for (int i = 0; i < 2; i++) {
		saved_fds[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
		if (saved_fds[i] >= 0)
			(void)dup2(fd, i + 1);
	}
	for (int other = 1; other < outputs_len; other++)
		close_fd(&outputs[other].write_fd);
}

void fr_output_close_in_child(void)
{
	for (int wid = 1; wid < outputs_len; wid++)
		close_fd(&outputs[wid].read_fd);
}

void fr_output_restore(void)
{
	for (int i = 0; i < 2; i++) {
		if (saved_fds[i] >= 0)
			(void)dup2(saved_fds[i], i + 1);
		close_fd(&saved_fds[i]);
	}
}

static void write_to_log(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t written = write(2, text, len);

		if (written <= 0)
			return;
		text += written;
		len -= (size_t)written;
	}
}

int fr_output_writer(int wid)
{
	return outputs[wid].write_fd;
}

/* The master's own end for writing would keep the pipe open for ever. */
void fr_output_forked(int wid)
{
	close_fd(&outputs[wid].write_fd);
}

static void drain(int wid)
{
	struct output *output = &outputs[wid];
	char bytes[FR_OUTPUT_READ];
	ssize_t len;

	if (output->read_fd < 0)
		return;
	len = read(output->read_fd, bytes, sizeof(bytes));
	if (len > 0 && output->is_shown)
		write_to_log(bytes, (size_t)len);
	else if (len > 0)
		output->len = fr_tail_append(output->text, output->len, FR_OUTPUT_SIZE, bytes,
					     (size_t)len);
	if (len == 0) {
		fr_wake_unwatch_output(output->read_fd);
		close_fd(&output->read_fd);
	}
}

void fr_output_drain(void)
{
	for (int wid = 1; wid < outputs_len; wid++)
		drain(wid);
}

const char *fr_output_text(int wid)
{
	drain(wid);
	return outputs[wid].text ? outputs[wid].text : "";
}

void fr_output_show(int wid)
{
	struct output *output = &outputs[wid];

	for (size_t before = output->len + 1; before != output->len;) {
		before = output->len;
		drain(wid);
	}
	write_to_log(output->text ? output->text : "", output->len);
	output->len = 0;
	output->is_shown = true;
}
