/*
 * The mount table: what a path is on, and whether that can change from elsewhere.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "watch/mounts.h"

static struct fr_mounts mounts;

static void read_table(const char *text)
{
	FILE *table = fmemopen((char *)(uintptr_t)text, strlen(text), "r");

	ck_assert_ptr_nonnull(table);
	ck_assert_int_eq(fr_mounts_parse(table, &mounts), 0);
	fclose(table);
}

static void setup(void)
{
	read_table("22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
		   "23 22 0:21 / /proc rw - proc proc rw\n"
		   "30 22 0:40 / /srv/code rw,relatime shared:7 master:2 - nfs4 host:/code rw\n"
		   "31 30 0:41 / /srv/code/cache rw - tmpfs tmpfs rw\n"
		   "32 22 0:42 / /mnt/with\\040a\\134space rw - fuse.sshfs me@host: rw\n"
		   "33 22 0:43 / /hidden rw - nfs host:/old rw\n"
		   "34 33 8:1 / /hidden rw - xfs /dev/sda1 rw\n"
		   "not a mount\n"
		   "35 22\n"
		   "36 22 8:2 / relative rw - xfs /dev/sda2 rw\n");
}

static void teardown(void)
{
	fr_mounts_clear(&mounts);
}

static const char *type_of(const char *path)
{
	const struct fr_mount *mount = fr_mounts_of(&mounts, path);

	return mount ? mount->type : "none";
}

START_TEST(test_path_is_on_the_innermost_mount)
{
	ck_assert_uint_eq(mounts.len, 7);
	ck_assert_str_eq(type_of("/"), "ext4");
	ck_assert_str_eq(type_of("/srv"), "ext4");
	ck_assert_str_eq(type_of("/srv/codex"), "ext4");
	ck_assert_str_eq(type_of("/srv/code"), "nfs4");
	ck_assert_str_eq(type_of("/srv/code/a/b"), "nfs4");
	ck_assert_str_eq(type_of("/srv/code/cache/x"), "tmpfs");
	ck_assert_str_eq(type_of("/mnt/with a\\space/x"), "fuse.sshfs");
	ck_assert_str_eq(type_of("/hidden/x"), "xfs");
}
END_TEST

START_TEST(test_mounts_below_a_folder_are_those_that_can_be_seen)
{
	unsigned below_root = 0, below_code = 0;

	for (size_t i = 0; i < mounts.len; i++) {
		below_root += fr_mounts_is_below(&mounts, &mounts.list[i], "/");
		below_code += fr_mounts_is_below(&mounts, &mounts.list[i], "/srv/code");
	}
	ck_assert_uint_eq(below_root, 5);
	ck_assert_uint_eq(below_code, 1);
}
END_TEST

START_TEST(test_kinds_that_change_from_elsewhere)
{
	static const char *const remote[] = {
		"nfs",        "nfs4",        "cifs",      "smb3",   "9p",          "fuse",
		"fuse.sshfs", "fuse.bindfs", "vboxsf",    "prl_fs", "virtiofs",    "drvfs",
		"ceph",       "afs",         "fakeowner", "ocfs2",  "what-is-this"};
	static const char *const local[] = {"ext4", "xfs",   "btrfs",   "overlay",
					    "zfs",  "tmpfs", "fuseblk", "fuse.fuse-overlayfs"};
	struct fr_mount mount = {0};

	for (size_t i = 0; i < sizeof(remote) / sizeof(*remote); i++) {
		snprintf(mount.type, sizeof(mount.type), "%s", remote[i]);
		ck_assert_msg(fr_mount_is_remote(&mount), "%s", remote[i]);
	}
	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++) {
		snprintf(mount.type, sizeof(mount.type), "%s", local[i]);
		ck_assert_msg(!fr_mount_is_remote(&mount), "%s", local[i]);
	}
}
END_TEST

START_TEST(test_unknown_kind_on_a_device_of_this_host_is_local)
{
	struct fr_mount mount = {.type = "what-is-this", .has_device = true};

	ck_assert(!fr_mount_is_remote(&mount));
	memcpy(mount.type, "gfs2", 5); /* shared, device or not */
	ck_assert(fr_mount_is_remote(&mount));
}
END_TEST

START_TEST(test_own_table_is_read)
{
	struct fr_mounts own = {0};

	ck_assert_int_eq(fr_mounts_read(&own), 0);
	ck_assert_ptr_nonnull(fr_mounts_of(&own, "/"));
	fr_mounts_clear(&own);
	ck_assert(!fr_mounts_are_remote("/dev/shm"));
}
END_TEST

Suite *fr_check_mounts_suite(void)
{
	Suite *suite = suite_create("mounts");
	TCase *tcase = tcase_create("mounts");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_path_is_on_the_innermost_mount);
	tcase_add_test(tcase, test_mounts_below_a_folder_are_those_that_can_be_seen);
	tcase_add_test(tcase, test_kinds_that_change_from_elsewhere);
	tcase_add_test(tcase, test_unknown_kind_on_a_device_of_this_host_is_local);
	tcase_add_test(tcase, test_own_table_is_read);
	suite_add_tcase(suite, tcase);
	return suite;
}
