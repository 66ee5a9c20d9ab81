/*
 * fanotify: the source for privileged masters, fanotify(7): one mark for a whole file system.
 *
 * No folder takes a watch from a limit, and none is kept in memory by the kernel. In return the
 * kernel tells everything that happens on the file system, and most of that is not ours: an event
 * names its folder by a file handle, a table of our folders' handles tells ours from others, and
 * what comes from elsewhere again and again the kernel is told to ignore. It must not know rules or
 * look at files.
 *
 * It is not quicker to arm than inotify, because the tree is walked for its stamps anyway: of the
 * time for a folder, a watch takes about 3 microseconds, and a handle 2. So it is for those who ask
 * for it, and for where inotify's limit is met.
 */
#define _GNU_SOURCE /* name_to_handle_at */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "watch/source.h"
#include "watch/tree.h"
#include "watch/watches.h"

/* What headers older than the kernel do not have. */
#ifndef FAN_REPORT_DFID_NAME
#define FAN_REPORT_DFID_NAME          0x00000c00
#define FAN_EVENT_INFO_TYPE_DFID_NAME 2
#define FAN_EVENT_INFO_TYPE_DFID      3
#endif
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x00000200
#endif
#ifndef FAN_MARK_IGNORE_SURV
#define FAN_MARK_IGNORE_SURV 0x00000440
#endif

/* Of the file system. No reads and opens: every import of the application would wake us. */
#define FR_FANOTIFY_MASK                                                                           \
	(FAN_CREATE | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB | FAN_MOVED_FROM | FAN_MOVED_TO |  \
	 FAN_DELETE | FAN_ONDIR)
/* Of a root itself, and of what is to be ignored in a folder elsewhere. */
#define FR_FANOTIFY_SELF_MASK   (FAN_DELETE_SELF | FAN_MOVE_SELF | FAN_ONDIR)
#define FR_FANOTIFY_IGNORE_MASK (FR_FANOTIFY_MASK | FAN_EVENT_ON_CHILD)

#define FR_FANOTIFY_BUFFER_SIZE    (64 * 1024)
#define FR_FANOTIFY_READS_PER_STEP 4 /* bounds one step to some thousand events */
#define FR_FANOTIFY_LARGEST_EVENT  1024

#define FR_FANOTIFY_MAX_DISKS  64
#define FR_FANOTIFY_MAX_MOUNTS 64

/* A folder elsewhere is ignored when this many events have come from it... */
#define FR_FANOTIFY_PATIENCE 16
#define FR_FANOTIFY_SUSPECTS 1024
/* ...and what cannot be ignored may cost this much: it is a few percent of one core. */
#define FR_FANOTIFY_BUSY_PER_SECOND 2000
#define FR_FANOTIFY_BUSY_SECONDS    5

/* A file system that has our mark. */
struct disk {
	fsid_t fsid;
	struct fr_node *top; /* the first folder of ours that was seen on it, or NULL */
	char *path;          /* of that folder; owned */
	int wd;              /* inotify's, of that folder: tells when it is unmounted; or -1 */
};

struct mount {
	int id;
	size_t disk;
};

/* A folder elsewhere, and how many events it has sent more than others of the same place. */
struct suspect {
	int number;
	unsigned count;
};

struct fr_source {
	int fd; /* epoll of the two that follow */
	int fan_fd;
	int unmount_fd; /* inotify, for what fanotify does not tell */
	int mounts_fd;  /* /proc/self/mountinfo: has changed since it was polled? Or -1 */
	pid_t owner;
	struct fr_watches watches; /* by a hash of the folder's handle */
	struct disk disks[FR_FANOTIFY_MAX_DISKS];
	size_t disks_len;
	struct mount mounts[FR_FANOTIFY_MAX_MOUNTS]; /* known to have our mark */
	size_t mounts_len;
	struct suspect suspects[FR_FANOTIFY_SUSPECTS];
	bool cannot_ignore;
	bool has_ignored;  /* some folder, now or earlier */
	bool is_given_up;  /* too busy: nothing is reported any more */
	size_t foreign;    /* events from elsewhere since second_ms */
	int64_t second_ms; /* when the second began that is being counted */
	unsigned busy_seconds;
};

/* ---- open and close ---- */

static void fanotify_close(struct fr_source *source)
{
	if (!source)
		return;
	if (source->fd >= 0)
		close(source->fd);
	if (source->fan_fd >= 0)
		close(source->fan_fd);
	if (source->unmount_fd >= 0)
		close(source->unmount_fd);
	if (source->mounts_fd >= 0)
		close(source->mounts_fd);
	for (size_t i = 0; i < source->disks_len; i++)
		free(source->disks[i].path);
	fr_watches_clear(&source->watches);
	free(source);
}

static int open_descriptors(struct fr_source *source)
{
	struct epoll_event event = {.events = EPOLLIN};

	source->fd = epoll_create1(EPOLL_CLOEXEC);
	if (source->fd < 0)
		return -errno;
	/* Unlimited marks are for those with CAP_SYS_ADMIN, and so are marks of file systems: who
	 * may not hears it here. */
	source->fan_fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK |
					       FAN_UNLIMITED_MARKS | FAN_REPORT_DFID_NAME,
				       O_RDONLY | O_CLOEXEC);
	if (source->fan_fd < 0)
		return -errno;
	if (epoll_ctl(source->fd, EPOLL_CTL_ADD, source->fan_fd, &event) < 0)
		return -errno;
	source->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	/* Without it only an unmounting is not noticed, so its failure is none. */
	source->unmount_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (source->unmount_fd >= 0 &&
	    epoll_ctl(source->fd, EPOLL_CTL_ADD, source->unmount_fd, &event) < 0)
		return -errno;
	return 0;
}

static int fanotify_open(struct fr_source **ret_source)
{
	struct fr_source *source = calloc(1, sizeof(*source));
	int error;

	if (!source)
		return -ENOMEM;
	source->fd = source->fan_fd = source->unmount_fd = source->mounts_fd = -1;
	source->owner = getpid();
	error = fr_watches_init(&source->watches);
	if (!error)
		error = open_descriptors(source);
	if (error) {
		fanotify_close(source);
		return error;
	}
	*ret_source = source;
	return 0;
}

static int fanotify_fd(const struct fr_source *source)
{
	return source->fd;
}

static size_t fanotify_fds(const struct fr_source *source, int *fds, size_t max_fds)
{
	const int all[] = {source->fd, source->fan_fd, source->unmount_fd, source->mounts_fd};
	size_t len = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all) && len < max_fds; i++) {
		if (all[i] >= 0)
			fds[len++] = all[i];
	}
	return len;
}

static void fanotify_own(struct fr_source *source)
{
	source->owner = getpid();
}

/* ---- file systems ---- */

/* What fanotify does not tell: the end of a whole file system. */
static void watch_top(struct fr_source *source, struct disk *disk, struct fr_node *top,
		      const char *path)
{
	char *copy = strdup(path);

	if (!copy)
		return;
	free(disk->path);
	disk->path = copy;
	disk->top = top;
	disk->wd = inotify_add_watch(source->unmount_fd, path, IN_DELETE_SELF | IN_ONLYDIR);
}

/* Marks the file system that the folder at path is on. Its index, or a negative errno. */
static int mark_disk(struct fr_source *source, const char *path)
{
	struct statfs fs;
	size_t i = 0;

	if (statfs(path, &fs) < 0)
		return -errno;
	while (i < source->disks_len &&
	       memcmp(&source->disks[i].fsid, &fs.f_fsid, sizeof(fs.f_fsid)) != 0)
		i++;
	if (i == FR_FANOTIFY_MAX_DISKS)
		return -ENOSPC;
	/* Once more for one that is known: it may be another with the same name for itself. */
	if (fanotify_mark(source->fan_fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FR_FANOTIFY_MASK,
			  AT_FDCWD, path) < 0)
		return -errno;
	if (i == source->disks_len)
		source->disks[source->disks_len++] = (struct disk){.fsid = fs.f_fsid, .wd = -1};
	return (int)i;
}

static bool have_mounts_changed(const struct fr_source *source)
{
	struct pollfd mounts = {.fd = source->mounts_fd, .events = POLLPRI};

	return source->mounts_fd < 0 || poll(&mounts, 1, 0) != 0;
}

/* The file system of that mount, marked. Its index, or a negative errno. */
static int disk_of(struct fr_source *source, int mount_id, const char *path)
{
	int disk;

	if (have_mounts_changed(source)) /* and the id may be another one's by now */
		source->mounts_len = 0;
	for (size_t i = 0; i < source->mounts_len; i++) {
		if (source->mounts[i].id == mount_id)
			return (int)source->mounts[i].disk;
	}
	disk = mark_disk(source, path);
	if (disk < 0)
		return disk;
	if (source->mounts_len == FR_FANOTIFY_MAX_MOUNTS)
		source->mounts_len = 0;
	source->mounts[source->mounts_len++] = (struct mount){.id = mount_id, .disk = (size_t)disk};
	return disk;
}

/* ---- folders ---- */

/*
 * The number of the folder with that handle. It is a hash, and not kept with what it was made of:
 * two that share one get each other's hints, and a hint is only a reason to look. The file system
 * is left out for the same reason.
 */
static int number_of(const struct file_handle *handle)
{
	uint64_t hash = FR_HASH_START ^ (uint64_t)(unsigned)handle->handle_type;

	hash = fr_hash_bytes(hash, handle->f_handle, handle->handle_bytes);
	return (int)((hash ^ hash >> 32) & INT_MAX);
}

/* The handle of the folder at path (an error if it is none), and the mount that it is on. */
static int find_handle(const char *path, int *ret_number, int *ret_mount_id)
{
	union {
		struct file_handle handle;
		char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} found;
	char inside[PATH_MAX];

	if ((size_t)snprintf(inside, sizeof(inside), "%s/.", path) >= sizeof(inside))
		return -ENAMETOOLONG;
	found.handle.handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, inside, &found.handle, ret_mount_id, 0) < 0)
		return -errno;
	*ret_number = number_of(&found.handle);
	return 0;
}

static void fanotify_remove(struct fr_source *source, struct fr_node *folder)
{
	if (folder->watch < 0)
		return;
	for (size_t i = 0; i < source->disks_len; i++) {
		if (source->disks[i].top == folder)
			source->disks[i].top = NULL;
	}
	(void)fr_watches_detach(&source->watches, folder);
	/* If it is another folder that has the path now, the mark goes with its own folder. */
	if (!folder->parent && source->owner == getpid())
		(void)fanotify_mark(source->fan_fd, FAN_MARK_REMOVE, FR_FANOTIFY_SELF_MASK,
				    AT_FDCWD, folder->name);
}

/* The folder may have been elsewhere before, and ignored there. */
static void stop_ignoring(struct fr_source *source, const char *path)
{
	if (source->has_ignored)
		(void)fanotify_mark(source->fan_fd, FAN_MARK_REMOVE | FAN_MARK_IGNORE_SURV,
				    FR_FANOTIFY_IGNORE_MASK, AT_FDCWD, path);
}

/* The mark comes before the handle is asked for: who marks a folder that is replaced just then has
 * the handle of the new one, and hears of it from the folder above. */
static int add_folder(struct fr_source *source, struct fr_node *folder, const char *path)
{
	int error, number, mount_id, disk;

	error = fr_watches_reserve(&source->watches);
	if (!error)
		error = find_handle(path, &number, &mount_id);
	if (error)
		return error;
	disk = disk_of(source, mount_id, path);
	if (disk < 0)
		return disk;
	stop_ignoring(source, path);
	if (!folder->parent && fanotify_mark(source->fan_fd, FAN_MARK_ADD | FAN_MARK_ONLYDIR,
					     FR_FANOTIFY_SELF_MASK, AT_FDCWD, path) < 0)
		return -errno;
	if (number != folder->watch) {
		if (folder->watch >= 0)
			(void)fr_watches_detach(&source->watches, folder);
		fr_watches_attach(&source->watches, folder, number);
	}
	if (!source->disks[disk].top)
		watch_top(source, &source->disks[disk], folder, path);
	return 0;
}

static int fanotify_add(struct fr_source *source, struct fr_node *folder, const char *path)
{
	int error = source->is_given_up ? -EBUSY : add_folder(source, folder, path);

	if (error)
		fanotify_remove(source, folder);
	return error;
}

/* ---- what is not ours ---- */

static const struct disk *disk_with(const struct fr_source *source, const void *fsid)
{
	for (size_t i = 0; i < source->disks_len; i++) {
		if (memcmp(&source->disks[i].fsid, fsid, sizeof(fsid_t)) == 0)
			return &source->disks[i];
	}
	return NULL;
}

/*
 * Has the kernel ignore what happens in the folder. The mark is one that the kernel may drop when
 * it is short of memory; that costs some events, and then another mark. Needs Linux 6.0 and
 * CAP_DAC_READ_SEARCH.
 */
static int ignore(struct fr_source *source, const struct disk *disk, struct file_handle *handle)
{
	int at = open(disk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), folder, error = 0;

	if (at < 0)
		return 0; /* moved, perhaps; there will be another chance */
	folder = open_by_handle_at(at, handle, O_PATH | O_CLOEXEC);
	if (folder < 0) {
		error = errno == ESTALE ? 0 : -errno; /* deleted by now */
	} else {
		source->has_ignored = true;
		if (fanotify_mark(source->fan_fd,
				  FAN_MARK_ADD | FAN_MARK_EVICTABLE | FAN_MARK_IGNORE_SURV,
				  FR_FANOTIFY_IGNORE_MASK, folder, ".") < 0)
			error = -errno;
		close(folder);
	}
	close(at);
	return error;
}

/* An event of no folder of ours. The busiest are found by majority: who shares a place with another
 * takes a count from it. */
static void note_foreign(struct fr_source *source, int number, const void *fsid,
			 struct file_handle *handle)
{
	struct suspect *suspect = &source->suspects[number % FR_FANOTIFY_SUSPECTS];
	const struct disk *disk;

	source->foreign++;
	if (suspect->count == 0)
		suspect->number = number;
	else if (suspect->number != number) {
		suspect->count--;
		return;
	}
	if (++suspect->count < FR_FANOTIFY_PATIENCE || source->cannot_ignore)
		return;
	suspect->count = 0;
	disk = disk_with(source, fsid);
	if (disk && ignore(source, disk, handle) < 0)
		source->cannot_ignore = true;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Has so much come from elsewhere, for so long, that inotify is the better choice? */
static bool is_too_busy(struct fr_source *source)
{
	int64_t now, passed_ms;

	if (source->foreign == 0)
		return false;
	now = now_ms();
	passed_ms = now - source->second_ms;
	if (passed_ms < 1000)
		return false;
	if (source->foreign * 1000 / (size_t)passed_ms >= FR_FANOTIFY_BUSY_PER_SECOND)
		source->busy_seconds++;
	else
		source->busy_seconds = 0;
	source->foreign = 0;
	source->second_ms = now;
	return source->busy_seconds >= FR_FANOTIFY_BUSY_SECONDS;
}

static int give_up(struct fr_source *source)
{
	source->is_given_up = true;
	(void)fanotify_mark(source->fan_fd, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0, AT_FDCWD, "/");
	(void)fanotify_mark(source->fan_fd, FAN_MARK_FLUSH, 0, AT_FDCWD, "/");
	return -EBUSY;
}

/* ---- events ---- */

/*
 * The kernel joins what happens to one name until it is read, and does not tell the order. A file
 * that has come and gone is said to go first: editors move the old one away and write the new one,
 * and the other way round the disk tells.
 */
static void tell_file(struct fr_source *source, int number, const char *name, uint64_t mask,
		      fr_source_report *report, void *ctx)
{
	static const struct {
		uint64_t bits;
		enum fr_hint hint;
	} hints[] = {
		{FAN_DELETE | FAN_MOVED_FROM, FR_HINT_GONE},
		{FAN_ATTRIB, FR_HINT_ATTRIB},
		{FAN_MOVED_TO, FR_HINT_MOVED_HERE},
		{FAN_CREATE | FAN_MODIFY, FR_HINT_WRITING},
		{FAN_CLOSE_WRITE, FR_HINT_WRITTEN},
	};

	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
		if (mask & hints[i].bits)
			fr_watches_tell(&source->watches, number, name, hints[i].hint, report, ctx);
	}
}

/* One that has come and gone is said to go: whether it came last is looked up then. */
static void tell_folder(struct fr_source *source, int number, const char *name, uint64_t mask,
			fr_source_report *report, void *ctx)
{
	if (mask & (FAN_DELETE_SELF | FAN_MOVE_SELF))
		fr_watches_tell(&source->watches, number, NULL, FR_HINT_SELF_CHANGED, report, ctx);
	else if (mask & (FAN_DELETE | FAN_MOVED_FROM))
		fr_watches_tell(&source->watches, number, name, FR_HINT_FOLDER_GONE, report, ctx);
	else if (mask & (FAN_CREATE | FAN_MOVED_TO))
		fr_watches_tell(&source->watches, number, name, FR_HINT_FOLDER_CAME, report, ctx);
}

/* at: the event where it was read, with what follows the metadata. */
static void dispatch(struct fr_source *source, const struct fanotify_event_metadata *event,
		     char *at, fr_source_report *report, void *ctx)
{
	char *end = at + event->event_len;
	struct fanotify_event_info_fid *info =
		(struct fanotify_event_info_fid *)(at + event->metadata_len);
	struct file_handle *handle = (struct file_handle *)info->handle;
	const char *name;
	int number;

	if (event->mask & FAN_Q_OVERFLOW) { /* first: it has no folder */
		report(ctx, NULL, NULL, FR_HINT_LOST);
		return;
	}
	if ((char *)(handle + 1) > end || (info->hdr.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME &&
					   info->hdr.info_type != FAN_EVENT_INFO_TYPE_DFID))
		return;
	name = (const char *)handle->f_handle + handle->handle_bytes;
	if (name > end)
		return;
	number = number_of(handle);
	if (!fr_watches_first(&source->watches, number))
		note_foreign(source, number, &info->fsid, handle);
	else if (event->mask & FAN_ONDIR)
		tell_folder(source, number, name, event->mask, report, ctx);
	else if (info->hdr.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME)
		tell_file(source, number, name, event->mask, report, ctx);
}

/* Its folders are dropped with the first of them: what lies below is found again, or missing, when
 * that is compared. */
static void disk_is_gone(struct fr_source *source, struct disk *disk, fr_source_report *report,
			 void *ctx)
{
	struct fr_node *top = disk->top;

	free(disk->path);
	*disk = source->disks[--source->disks_len];
	source->mounts_len = 0;
	if (!top)
		return;
	(void)fr_watches_detach(&source->watches, top);
	report(ctx, top, NULL, FR_HINT_WATCH_DROPPED);
}

static void step_unmounts(struct fr_source *source, fr_source_report *report, void *ctx)
{
	union {
		struct inotify_event align;
		char bytes[4096];
	} buffer;
	ssize_t len = source->unmount_fd < 0
			      ? 0
			      : read(source->unmount_fd, buffer.bytes, sizeof(buffer.bytes));

	for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= len;) {
		const struct inotify_event *event =
			(const struct inotify_event *)(buffer.bytes + at);

		for (size_t i = 0; i < source->disks_len; i++) {
			if (source->disks[i].wd != event->wd)
				continue;
			if (event->mask & IN_UNMOUNT) {
				disk_is_gone(source, &source->disks[i], report, ctx);
				break;
			}
			/* Deleted: the next folder that is added takes its place. */
			source->disks[i].wd = -1;
			source->disks[i].top = NULL;
		}
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

/* Reads once and reports. Returns what read(2) did, or a negative errno. The kernel lines events up
 * at 4 bytes, and the metadata needs 8, so that is copied. */
static ssize_t read_events(struct fr_source *source, fr_source_report *report, void *ctx)
{
	union {
		struct fanotify_event_metadata align;
		char bytes[FR_FANOTIFY_BUFFER_SIZE];
	} buffer;
	struct fanotify_event_metadata event;
	ssize_t len = read(source->fan_fd, buffer.bytes, sizeof(buffer.bytes));

	if (len < 0)
		return -errno;
	for (ssize_t at = 0; at + (ssize_t)sizeof(event) <= len; at += (ssize_t)event.event_len) {
		memcpy(&event, buffer.bytes + at, sizeof(event));
		if (event.vers != FANOTIFY_METADATA_VERSION || event.event_len < sizeof(event) ||
		    at + (ssize_t)event.event_len > len)
			return -EPROTO;
		if (!source->is_given_up)
			dispatch(source, &event, buffer.bytes + at, report, ctx);
	}
	return len;
}

static int fanotify_step(struct fr_source *source, fr_source_report *report, void *ctx)
{
	if (source->owner != getpid())
		return 0;
	for (int reads = 0; reads < FR_FANOTIFY_READS_PER_STEP; reads++) {
		ssize_t len = read_events(source, report, ctx);

		if (len == -EINTR)
			continue;
		if (len < 0 && len != -EAGAIN)
			return (int)len;
		/* Room was left, so that was all: who writes without a pause must not look like a
		 * queue that is never empty. */
		if (len + FR_FANOTIFY_LARGEST_EVENT <= FR_FANOTIFY_BUFFER_SIZE) {
			step_unmounts(source, report, ctx);
			return !source->is_given_up && is_too_busy(source) ? give_up(source) : 0;
		}
	}
	return !source->is_given_up && is_too_busy(source) ? give_up(source) : 1;
}

/* ---- words ---- */

static void fanotify_explain(int error, unsigned long wanted, char *text, unsigned long text_size)
{
	static const struct {
		int error;
		const char *text;
	} words[] = {
		{-EPERM, "fanotify watches whole file systems, and for that it needs root or "
			 "CAP_SYS_ADMIN; use the backend inotify"},
		{-EINVAL, "fanotify tells names since Linux 5.9, and this kernel is older; use the "
			  "backend inotify"},
		{-ENOSYS, "this kernel was built without fanotify; use the backend inotify"},
		{-EOPNOTSUPP, "the file system has no handles that fanotify could name its folders "
			      "by (overlay, FUSE and others); use the backend inotify"},
		{-ENODEV, "the file system has no identity that fanotify could report (FUSE and "
			  "others); use the backend inotify"},
		{-EXDEV, "the folder is in a btrfs subvolume, which fanotify cannot watch as a "
			 "whole; use the backend inotify"},
		{-EBUSY, "too much happens elsewhere on the same file system; use the backend "
			 "inotify"},
		{-EMFILE, "no fanotify group is left (fs.fanotify.max_user_groups), or the limit "
			  "of open files, \"ulimit -n\", is reached"},
	};

	(void)wanted;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (words[i].error == error) {
			snprintf(text, text_size, "%s", words[i].text);
			return;
		}
	}
	snprintf(text, text_size, "%s", strerror(-error));
}

const struct fr_source_ops fr_fanotify_ops = {
	.name = "fanotify",
	.open = fanotify_open,
	.add = fanotify_add,
	.remove = fanotify_remove,
	.fd = fanotify_fd,
	.fds = fanotify_fds,
	.step = fanotify_step,
	.own = fanotify_own,
	.close = fanotify_close,
	.explain = fanotify_explain,
};
