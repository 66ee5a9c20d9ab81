/*
 * handover: what one image of the master leaves to the next. See handover.h.
 */
#include <uwsgi.h>

#include <sys/mman.h>

#include "reload/handover.h"

#define FR_HANDOVER_MAGIC 0x66723036u
#define FR_HANDOVER_ENV   "FASTRELOAD_HANDOVER"

int fr_handover_leave(struct fr_handover *handover)
{
	char number[16];
	int fd = memfd_create("fastreload", 0); /* not close-on-exec: that is what it is for */

	if (fd < 0)
		return -errno;
	handover->magic = FR_HANDOVER_MAGIC;
	snprintf(number, sizeof(number), "%d", fd);
	if (write(fd, handover, sizeof(*handover)) != (ssize_t)sizeof(*handover) ||
	    setenv(FR_HANDOVER_ENV, number, 1) < 0) {
		close(fd);
		return -EIO;
	}
	uwsgi_add_safe_fd(fd); /* uwsgi_reload closes all others (core/master_utils.c) */
	return fd;
}

/* The environment may say anything: only a memfd of ours is believed. */
int fr_handover_take(struct fr_handover *ret_handover, int *ret_fd)
{
	const char *number = getenv(FR_HANDOVER_ENV);
	struct fr_handover handover;
	struct stat st;
	int fd;

	if (!number)
		return 0;
	fd = atoi(number);
	unsetenv(FR_HANDOVER_ENV); /* neither the application nor a later image should see it */
	if (fd < 3 || fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0 ||
	    st.st_size < (off_t)sizeof(handover) ||
	    pread(fd, &handover, sizeof(handover), 0) != (ssize_t)sizeof(handover) ||
	    handover.magic != FR_HANDOVER_MAGIC ||
	    handover.what[sizeof(handover.what) - 1] != '\0' ||
	    handover.no_swap[sizeof(handover.no_swap) - 1] != '\0' ||
	    handover.sources[sizeof(handover.sources) - 1] != '\0')
		return 0;
	if (lseek(fd, sizeof(handover), SEEK_SET) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return 0;
	*ret_handover = handover;
	*ret_fd = fd;
	return 1;
}
