/*
 * child: how a process of the plugin's own begins. See child.h.
 */
#define _GNU_SOURCE /* syscall */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

pid_t fr_child_fork(void)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		return 0;
	if (pid < 0)
		pid = -errno;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

void fr_child_begin(const char *name)
{
	static const int ignored[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGUSR1,
				      SIGUSR2, SIGTSTP, SIGALRM, SIGWINCH};
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	(void)prctl(PR_SET_NAME, name);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* if it has ended already, so has the socket */
	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL);
	action.sa_handler = SIG_IGN;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		(void)sigaction(ignored[i], &action, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)!chdir("/"); /* so that no file system is kept from being unmounted */
}

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on all architectures */
#endif

/* Before kernel 5.9: one by one. */
void fr_child_close_from(int first)
{
	DIR *dir;
	struct dirent *entry;

	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
	dir = opendir("/proc/self/fd");
	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd >= first && fd != dirfd(dir))
			close(fd);
	}
	if (dir)
		closedir(dir);
}

void fr_child_keep(int *fds, size_t len)
{
	int null = open("/dev/null", O_RDWR), next = 3, moved[FR_CHILD_MAX_FDS];

	/* Out of the way first: one of them may have a number that another is to have. */
	for (size_t i = 0; i < len; i++)
		moved[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, 3 + FR_CHILD_MAX_FDS);
	for (int fd = 0; fd < 3; fd++) {
		if (null < 0)
			close(fd);
		else
			(void)dup2(null, fd);
	}
	for (size_t i = 0; i < len; i++)
		fds[i] = moved[i] < 0 ? -1 : dup2(moved[i], next++);
	fr_child_close_from(next);
}

bool fr_child_has_ended(pid_t child, char *how, size_t how_size)
{
	int status;
	pid_t pid = waitpid(child, &status, WNOHANG);

	if (pid == 0 || (pid < 0 && errno != ECHILD))
		return false;
	*how = '\0';
	if (pid > 0 && WIFSIGNALED(status))
		snprintf(how, how_size, " by signal %d", WTERMSIG(status));
	else if (pid > 0)
		snprintf(how, how_size, " with code %d", WEXITSTATUS(status));
	return true;
}
