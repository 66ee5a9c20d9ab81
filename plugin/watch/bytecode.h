/*
 * bytecode: Python's cached .pyc files, where they could hide an edit.
 *
 * Python believes a .pyc when the source's time in whole seconds and its size are those noted in it
 * (PEP 552): of two saves of the same length within one second, the second would never be seen. A
 * reload this quick makes that likely, so the cache of a source that has just changed is removed
 * before the source is loaded again.
 */
#ifndef FR_BYTECODE_H
#define FR_BYTECODE_H

struct fr_tree;

/* Removes the cached bytecode of the Python source at path (absolute); does nothing for any other
 * file. Does not block on a local disk. */
void fr_bytecode_drop(const char *path);

/* Removes all cached bytecode of the sources beside the one at path: for a storm, where looking for
 * each would take long. */
void fr_bytecode_drop_beside(const char *path);

/* Does so for every file of the tree that was written so lately that a cache of an earlier version
 * could have the same second. */
void fr_bytecode_drop_recent(struct fr_tree *tree);

#endif
