/*
 * outpost: the process that looks at a disk in the master's place, again and again, because to look
 * may take for ever.
 *
 * It ends when the other end of its socket is closed, or when the master ends, in whatever way.
 *
 * It is a fork of the master, and so begins with the tree as the master has it: what differs from
 * that on the disk is said, and its own copy of the tree goes along. It must never write to what it
 * shares with the master but for the pulse, and knows nothing of what follows from a change.
 */
#ifndef FR_OUTPOST_H
#define FR_OUTPOST_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "watch/source.h"
#include "watch/tree.h"

struct fr_ignorefiles;
struct fr_rules;

/* What it says of a file, one message of a SOCK_SEQPACKET socket. */
struct fr_finding {
	int error;             /* 0, -ENOENT or -ESTALE, as the source's stamp() answers */
	enum fr_hint hint;     /* WRITTEN, ATTRIB, GONE or KNOWN */
	struct fr_stamp stamp; /* if there is no error */
	char path[PATH_MAX];   /* absolute; a message ends with its NUL */
};

/* The master's word that everything is to be looked at, instead of a path. */
#define FR_OUTPOST_ALL "*"

/* In memory that both see. */
struct fr_pulse {
	int64_t busy_ms; /* since when it has been waiting for the disk (CLOCK_MONOTONIC); 0: it
			    is not */
	uintptr_t root;  /* the address of the root that it waits for, in both processes */
	uint64_t passes; /* how often it has been through all its folders, and said all that it
			    found */
};

/* All of it is borrowed: the process is a fork. */
struct fr_outpost {
	struct fr_tree *tree;
	const struct fr_rules *rules;
	struct fr_ignorefiles *files; /* or NULL */
	unsigned source;              /* its roots are those with this node->source … */
	unsigned part, parts; /* … of which it has the first, second, … of each `parts` */
	int gap_ms;           /* from the beginning of one walk to that of the next, at least */
	unsigned share;       /* of one core, in parts of a thousand, that it may use */
	bool is_audit;        /* it goes through its folders once, at idle priority, and ends */
	int fd;               /* findings go out, paths to look at come in; closed: the end */
	struct fr_pulse *pulse;
};

/*
 * Starts the process, with all that is given but fd. Takes pulse: memory that fr_outpost_map gave.
 * Its pid, with the master's end of the socket (close-on-exec) in *ret_fd, or a negative errno.
 * Whoever calls waits for the process.
 */
pid_t fr_outpost_start(const struct fr_outpost *outpost, int *ret_fd);

/* A pulse in memory that forked processes share, or NULL; and its end. NULL is fine. */
struct fr_pulse *fr_outpost_map(void);
void fr_outpost_unmap(struct fr_pulse *pulse);

/* The next finding, with the NUL of its path where it should be. 1, 0: there is none yet, or -1:
 * the process has ended. */
int fr_outpost_hear(int fd, struct fr_finding *ret_finding);

/* Is the root one of those that this outpost looks at? Call it for each root in the order of the
 * tree, with *count 0 at first. */
int fr_outpost_has_root(const struct fr_outpost *outpost, const struct fr_node *root,
			unsigned *count);

#endif
