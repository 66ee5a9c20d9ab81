/*
 * mounts: which file systems there are, and where. See mounts.h.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "watch/mounts.h"

/* Everything that happens in them goes through this kernel, which tells inotify. */
static const char *const local_types[] = {
	"aufs",
	"bcachefs",
	"btrfs",
	"ecryptfs",
	"erofs",
	"ext[234]",
	"f2fs",
	"fuseblk",
	"hfs",
	"hfsplus",
	"fuse.fuse-overlayfs",
	"iso9660",
	"jfs",
	"nilfs2",
	"overlay",
	"overlayfs",
	"ramfs",
	"reiserfs",
	"rootfs",
	"shiftfs",
	"squashfs",
	"tmpfs",
	"devtmpfs",
	"udf",
	"ufs",
	"vfat",
	"msdos",
	"exfat",
	"ntfs",
	"ntfs3",
	"xfs",
	"zfs",
};

/* Other hosts, or a host around this one, write to what is behind them: also where there is a
 * device here (shared-disk file systems), and FUSE, of which nobody can know. */
static const char *const remote_types[] = {
	"9p",    "acfs",      "afs",    "beegfs",   "ceph",   "cifs",          "coda",
	"drvfs", "fakeowner", "fuse",   "fuse.*",   "gfs",    "gfs2",          "glusterfs",
	"gpfs",  "grpcfuse",  "kafs",   "lustre",   "ncpfs",  "nfs",           "nfs4",
	"ocfs2", "orangefs",  "osxfs",  "panfs",    "prl_fs", "prl_fs_freeze", "pvfs2",
	"smb3",  "smbfs",     "vboxsf", "virtiofs", "vmhgfs", "wslfs",
};

static bool is_one_of(const char *type, const char *const *patterns, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (fnmatch(patterns[i], type, 0) == 0)
			return true;
	}
	return false;
}

bool fr_mount_is_remote(const struct fr_mount *mount)
{
	if (is_one_of(mount->type, local_types, sizeof(local_types) / sizeof(*local_types)))
		return false;
	return !mount->has_device ||
	       is_one_of(mount->type, remote_types, sizeof(remote_types) / sizeof(*remote_types));
}

/* In place: "\040" is a space. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
				       (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static bool parse_line(char *line, struct fr_mount *ret_mount)
{
	char *dash = strstr(line, " - "), *rest, *word, *device = NULL, *point = NULL;
	size_t len;

	if (!dash)
		return false;
	*dash = '\0';
	rest = line;
	for (int i = 0; i < 5 && (word = strsep(&rest, " ")); i++) {
		if (i == 2)
			device = word;
		if (i == 4)
			point = word;
	}
	len = strcspn(dash + 3, " \n");
	if (!point || *point != '/' || len == 0 || len >= sizeof(ret_mount->type))
		return false;
	memcpy(ret_mount->type, dash + 3, len);
	ret_mount->type[len] = '\0';
	ret_mount->has_device = strtoul(device, NULL, 10) != 0; /* major 0: of no device */
	unescape(point);
	ret_mount->point = strdup(point);
	return true;
}

int fr_mounts_parse(FILE *table, struct fr_mounts *ret_mounts)
{
	struct fr_mounts mounts = {0};
	char *line = NULL;
	size_t size = 0;
	int error = 0;

	while (!error && getline(&line, &size, table) > 0) {
		struct fr_mount mount, *larger;

		if (!parse_line(line, &mount))
			continue;
		larger = realloc(mounts.list, (mounts.len + 1) * sizeof(*larger));
		if (larger)
			mounts.list = larger;
		if (!larger || !mount.point) {
			free(mount.point);
			error = -ENOMEM;
			break;
		}
		mounts.list[mounts.len++] = mount;
	}
	free(line);
	if (error)
		fr_mounts_clear(&mounts);
	else
		*ret_mounts = mounts;
	return error;
}

int fr_mounts_read(struct fr_mounts *ret_mounts)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	int error;

	if (!table)
		return -errno;
	error = fr_mounts_parse(table, ret_mounts);
	fclose(table);
	return error;
}

void fr_mounts_clear(struct fr_mounts *mounts)
{
	for (size_t i = 0; i < mounts->len; i++)
		free(mounts->list[i].point);
	free(mounts->list);
	*mounts = (struct fr_mounts){0};
}

/* Is path the folder itself, or below it? */
static bool holds(const char *folder, const char *path)
{
	size_t len = strlen(folder);

	if (folder[len - 1] == '/')
		len--;
	return strncmp(folder, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

const struct fr_mount *fr_mounts_of(const struct fr_mounts *mounts, const char *path)
{
	const struct fr_mount *best = NULL;

	for (size_t i = 0; i < mounts->len; i++) {
		const struct fr_mount *mount = &mounts->list[i];

		if (holds(mount->point, path) &&
		    (!best || strlen(mount->point) >= strlen(best->point)))
			best = mount;
	}
	return best;
}

bool fr_mounts_is_below(const struct fr_mounts *mounts, const struct fr_mount *mount,
			const char *folder)
{
	return strcmp(mount->point, folder) != 0 && holds(folder, mount->point) &&
	       fr_mounts_of(mounts, mount->point) == mount;
}

bool fr_mounts_are_remote(const char *path)
{
	struct fr_mounts mounts;
	const struct fr_mount *mount;
	bool is_remote;

	if (fr_mounts_read(&mounts) < 0)
		return false;
	mount = fr_mounts_of(&mounts, path);
	is_remote = mount && fr_mount_is_remote(mount);
	fr_mounts_clear(&mounts);
	return is_remote;
}
