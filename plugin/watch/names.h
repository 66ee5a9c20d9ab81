/*
 * names: the names in a folder, as getdents64(2) has them.
 *
 * readdir(3) tells of one name after the other; this one knows of most folders what is all in them
 * before the first name is looked at, so that nobody has to ask the kernel for a file that is not
 * there. It knows no tree and no rule.
 */
#ifndef FR_NAMES_H
#define FR_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* The struct is the caller's; what is in it is ours, but for fd. */
struct fr_names {
	int fd; /* of the folder that is open, or -1 */
	unsigned char *records;
	size_t len, at;
	bool is_whole; /* no more than these is in it */
	int error;     /* that ended it early, or 0 */
};

struct fr_name {
	const char *text;   /* good until the next call */
	unsigned char type; /* DT_DIR, …, readdir(3) */
};

void fr_names_init(struct fr_names *names);

/* Closes what is open, and frees what it holds. */
void fr_names_clear(struct fr_names *names);

/* Opens the folder at path, when none is open: 0 or a negative errno. Reads at most one buffer of
 * it. */
int fr_names_open(struct fr_names *names, const char *path);

void fr_names_close(struct fr_names *names);

/* The next one, without "." and "..": 1; 0 at the end, or a negative errno where it ends early. */
int fr_names_next(struct fr_names *names, struct fr_name *ret_name);

/* May that name be in the folder? It is not certain in a folder of very many names. */
bool fr_names_may_have(const struct fr_names *names, const char *name);

#endif
