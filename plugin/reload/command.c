/*
 * command: runs a command of the user's in a child. See command.h.
 */
#define _GNU_SOURCE /* execvpe, pipe2, ppoll */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "reload/command.h"
#include "reload/wake.h"
#include "report/tail.h"

/* Between SIGTERM and SIGKILL, when the time is over. */
#define FR_COMMAND_MERCY_MS 2000

/* What a command leaves running in the background may hold its output: it is waited for no longer
 * than this. */
#define FR_COMMAND_REST_MS 100

static struct {
	pid_t keeper; /* 0: none */
	int read_fd;
	struct fr_command_result result; /* of which `got` bytes have come so far */
	size_t got;
} command = {.read_fd = -1};

/* ---- in the keeper ---- */

static volatile pid_t keeper_command; /* the leader of the command's process group */

static void end_at_once(int signal_number)
{
	(void)signal_number;
	if (keeper_command > 0)
		(void)kill(-keeper_command, SIGKILL);
	_exit(0);
}

static void wake_up(int signal_number)
{
	(void)signal_number;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL); /* what is ignored stays so across an exec */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void become_command(char *const *argv, char *const *envp,
						     int output)
{
	int null = open("/dev/null", O_RDONLY);

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(null, 0);
	(void)dup2(output, 1);
	(void)dup2(output, 2);
	fr_child_close_from(3); /* the instance's sockets among them: what stays behind must not
				   hold them */
	reset_signals();
	execvpe(argv[0], argv, envp);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Waits for output or the end of a child until a time, and takes the output. Closes the descriptor
 * at its end. */
static void listen(struct fr_command_result *result, int *fd, int64_t until_ms)
{
	char bytes[FR_COMMAND_OUTPUT / 4];
	struct pollfd poll_fd = {.fd = *fd, .events = POLLIN};
	int64_t left_ms = until_ms - now_ms();
	struct timespec left = {.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
	sigset_t none;
	ssize_t len;

	sigemptyset(&none);
	if (left_ms <= 0)
		left = (struct timespec){0};
	if (ppoll(&poll_fd, 1, &left, &none) <= 0)
		return;
	len = read(*fd, bytes, sizeof(bytes));
	if (len > 0) {
		result->output_len = fr_tail_append(result->output, result->output_len,
						    sizeof(result->output), bytes, (size_t)len);
	} else if (len == 0 || errno != EINTR) {
		close(*fd);
		*fd = -1; /* poll(2) passes over it */
	}
}

/* What the command has started, in its process group, and its remains: they are our children now.
 */
static void end_what_is_left(void)
{
	int64_t until_ms = now_ms() + FR_COMMAND_REST_MS;
	struct fr_command_result none = {0};
	int no_fd = -1;

	(void)kill(-keeper_command, SIGKILL);
	while (now_ms() < until_ms) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid == 0)
			listen(&none, &no_fd, until_ms);
	}
}

static void wait_for_command(struct fr_command_result *result, int fd, int64_t timeout_ms)
{
	int64_t until_ms = now_ms() + timeout_ms, rest_until_ms;

	while (waitpid(keeper_command, &result->status, WNOHANG) != keeper_command) {
		if (now_ms() >= until_ms) {
			(void)kill(-keeper_command, result->is_timeout ? SIGKILL : SIGTERM);
			result->is_timeout = true;
			until_ms = now_ms() + FR_COMMAND_MERCY_MS;
		}
		listen(result, &fd, until_ms);
	}
	rest_until_ms = now_ms() + FR_COMMAND_REST_MS;
	while (fd >= 0 && now_ms() < rest_until_ms)
		listen(result, &fd, rest_until_ms);
	if (result->is_timeout)
		end_what_is_left();
}

static void answer(const struct fr_command_result *result, int fd)
{
	size_t len = offsetof(struct fr_command_result, output) + result->output_len;
	const char *bytes = (const char *)result;

	while (len > 0) {
		ssize_t written = write(fd, bytes, len);

		if (written <= 0)
			return;
		bytes += written;
		len -= (size_t)written;
	}
}

__attribute__((noreturn)) static void keeper_run(char *const *argv, char *const *envp, int fd,
						 int64_t timeout_ms)
{
	static struct fr_command_result result;
	int output[2];
	sigset_t child;

	(void)prctl(PR_SET_NAME, "fastreload-exec");
	reset_signals();
	(void)signal(SIGTERM, end_at_once);
	(void)signal(SIGCHLD, wake_up);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN); /* of a terminal: the master decides */
	(void)signal(SIGHUP, SIG_IGN);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)dup2(fd, 3); /* of all that the master has open, only this is kept */
	fr_child_close_from(4);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, NULL); /* but in ppoll */
	if (pipe2(output, O_CLOEXEC) < 0)
		_exit(1);
	keeper_command = fork();
	if (keeper_command < 0)
		_exit(1);
	if (keeper_command == 0)
		become_command(argv, envp, output[1]);
	(void)setpgid(keeper_command, keeper_command);
	close(output[1]);
	wait_for_command(&result, output[0], timeout_ms);
	answer(&result, 3);
	_exit(0);
}

/* ---- in the master ---- */

int fr_command_start(char *const *argv, char *const *envp, int64_t timeout_ms)
{
	int fds[2];
	pid_t keeper;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	keeper = fork();
	if (keeper == 0) {
		(void)fcntl(fds[1], F_SETFL, 0);
		keeper_run(argv, envp, fds[1], timeout_ms);
	}
	close(fds[1]);
	if (keeper < 0) {
		int error = errno;

		close(fds[0]);
		return -error;
	}
	command.keeper = keeper;
	command.read_fd = fds[0];
	command.got = 0;
	memset(&command.result, 0, sizeof(command.result));
	fr_wake_watch_output(command.read_fd);
	return 0;
}

bool fr_command_is_running(void)
{
	return command.keeper != 0;
}

int fr_command_pid(void)
{
	return command.keeper;
}

/* The end of the pipe. */
static void close_pipe(void)
{
	if (command.read_fd < 0)
		return;
	fr_wake_unwatch_output(command.read_fd);
	close(command.read_fd);
	command.read_fd = -1;
}

/* Takes what has come of the answer. Returns whether there will be no more. */
static bool read_answer(void)
{
	const size_t size = offsetof(struct fr_command_result, output) + FR_COMMAND_OUTPUT;
	ssize_t len;

	if (command.read_fd < 0)
		return true;
	do {
		len = read(command.read_fd, (char *)&command.result + command.got,
			   size - command.got);
		if (len > 0)
			command.got += (size_t)len;
	} while (len > 0);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	close_pipe();
	return true;
}

bool fr_command_step(const struct fr_command_result **ret_result)
{
	const size_t head = offsetof(struct fr_command_result, output);
	struct fr_command_result *result = &command.result;

	/* The keeper's end comes just behind the end of the pipe, and is news of its own. */
	if (!command.keeper || !read_answer() || waitpid(command.keeper, NULL, WNOHANG) == 0)
		return false;
	command.keeper = 0;
	result->is_lost = command.got < head || command.got != head + result->output_len;
	if (result->is_lost)
		result->output_len = 0;
	result->output[result->output_len] = '\0';
	*ret_result = result;
	return true;
}

void fr_command_stop(void)
{
	if (!command.keeper)
		return;
	(void)kill(command.keeper, SIGTERM);
	close_pipe();
	command.keeper = 0; /* uWSGI reaps it */
}

void fr_command_close_in_child(void)
{
	if (command.read_fd >= 0)
		close(command.read_fd);
	command.read_fd = -1;
}
