/*
 * packed: the files of a folder in as few bytes as they take. See packed.h.
 *
 * The number of files, then for each: its marks, the length of its name and the name, and its
 * stamp, of which each number is told by what it differs in from that of the file before, seven
 * bits a byte, the lowest first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "watch/packed.h"

#define FR_PACKED_FIRST_SIZE 256
#define FR_PACKED_MAX_NUMBER 10 /* bytes of a number of 64 bits */

/* The marks of a file. */
#define FR_PACKED_HAS_HASH   0x01
#define FR_PACKED_IS_FRESH   0x02
#define FR_PACKED_IS_PY      0x04 /* its name goes on with ".py" */
#define FR_PACKED_OTHER_DEV  0x08 /* than the file before */
#define FR_PACKED_OTHER_TIME 0x10 /* ctime is not mtime */

static const char PY[] = ".py";
#define FR_PACKED_PY_LEN (sizeof(PY) - 1)

/* ---- numbers ---- */

static unsigned char *put_number(unsigned char *at, uint64_t number)
{
	for (; number > 0x7f; number >>= 7)
		*at++ = (unsigned char)(0x80 | (number & 0x7f));
	*at++ = (unsigned char)number;
	return at;
}

static const unsigned char *get_number(const unsigned char *at, uint64_t *ret_number)
{
	uint64_t number = 0;
	unsigned shift = 0;

	for (; *at & 0x80; at++, shift += 7)
		number |= (uint64_t)(*at & 0x7f) << shift;
	*ret_number = number | (uint64_t)*at << shift;
	return at + 1;
}

/* A difference may go either way: its sign is the lowest bit. Unsigned, so that any two numbers
 * have one. */
static unsigned char *put_step(unsigned char *at, uint64_t from, uint64_t to)
{
	uint64_t step = to - from;

	return put_number(at, step >> 63 ? ~(step << 1) : step << 1);
}

static const unsigned char *get_step(const unsigned char *at, uint64_t from, uint64_t *ret_to)
{
	uint64_t step;

	at = get_number(at, &step);
	*ret_to = from + (step & 1 ? ~(step >> 1) : step >> 1);
	return at;
}

/* ---- packing ---- */

static int make_room(struct fr_packer *packer, size_t more)
{
	size_t size = packer->size ? packer->size : FR_PACKED_FIRST_SIZE;
	unsigned char *larger;

	if (more <= packer->size - packer->len)
		return 0;
	while (size - packer->len < more)
		size *= 2;
	larger = realloc(packer->bytes, size);
	if (!larger)
		return -ENOMEM;
	packer->bytes = larger;
	packer->size = size;
	return 0;
}

static unsigned char marks_of(const struct fr_packer *packer, bool is_py,
			      const struct fr_stamp *stamp)
{
	return (unsigned char)((stamp->has_hash ? FR_PACKED_HAS_HASH : 0) |
			       (stamp->is_fresh ? FR_PACKED_IS_FRESH : 0) |
			       (is_py ? FR_PACKED_IS_PY : 0) |
			       (stamp->dev != packer->last.dev ? FR_PACKED_OTHER_DEV : 0) |
			       (stamp->ctime_ns != stamp->mtime_ns ? FR_PACKED_OTHER_TIME : 0));
}

static unsigned char *put_stamp(unsigned char *at, unsigned char marks, const struct fr_stamp *last,
				const struct fr_stamp *stamp)
{
	if (marks & FR_PACKED_OTHER_DEV)
		at = put_number(at, stamp->dev);
	at = put_step(at, last->ino, stamp->ino);
	at = put_number(at, (uint64_t)stamp->size);
	at = put_step(at, (uint64_t)last->mtime_ns, (uint64_t)stamp->mtime_ns);
	if (marks & FR_PACKED_OTHER_TIME)
		at = put_step(at, (uint64_t)stamp->mtime_ns, (uint64_t)stamp->ctime_ns);
	if (marks & FR_PACKED_HAS_HASH) {
		memcpy(at, &stamp->hash, sizeof(stamp->hash));
		at += sizeof(stamp->hash);
	}
	return at;
}

int fr_packer_add(struct fr_packer *packer, const char *name, const struct fr_stamp *stamp)
{
	size_t len = strlen(name);
	bool is_py = len >= FR_PACKED_PY_LEN && strcmp(name + len - FR_PACKED_PY_LEN, PY) == 0;
	unsigned char marks = marks_of(packer, is_py, stamp), *at;

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	/* Its marks, the length of its name, and the six numbers of its stamp. */
	if (make_room(packer, 2 + len + 6 * FR_PACKED_MAX_NUMBER) < 0)
		return -ENOMEM;
	at = packer->bytes + packer->len;
	if (is_py)
		len -= FR_PACKED_PY_LEN;
	*at++ = marks;
	*at++ = (unsigned char)len;
	memcpy(at, name, len);
	at = put_stamp(at + len, marks, &packer->last, stamp);
	packer->len = (size_t)(at - packer->bytes);
	packer->last = *stamp;
	packer->count++;
	return 0;
}

int fr_packer_end(struct fr_packer *packer, struct fr_packed **ret_packed)
{
	unsigned char count[FR_PACKED_MAX_NUMBER];
	size_t count_len = (size_t)(put_number(count, packer->count) - count);
	unsigned char *packed = packer->count > 0 ? malloc(count_len + packer->len) : NULL;
	int error = packer->count > 0 && !packed ? -ENOMEM : 0;

	if (packed) {
		memcpy(packed, count, count_len);
		memcpy(packed + count_len, packer->bytes, packer->len);
	}
	fr_packer_reset(packer);
	if (!error)
		*ret_packed = (struct fr_packed *)packed;
	return error;
}

void fr_packer_reset(struct fr_packer *packer)
{
	packer->len = 0;
	packer->count = 0;
	packer->last = (struct fr_stamp){0};
}

void fr_packer_clear(struct fr_packer *packer)
{
	free(packer->bytes);
	*packer = (struct fr_packer){0};
}

/* ---- unpacking ---- */

uint32_t fr_packed_count(const struct fr_packed *packed)
{
	uint64_t count = 0;

	if (packed)
		(void)get_number((const unsigned char *)packed, &count);
	return (uint32_t)count;
}

void fr_unpacker_init(struct fr_unpacker *unpacker, const struct fr_packed *packed)
{
	uint64_t count = 0;

	unpacker->stamp = (struct fr_stamp){0};
	unpacker->name[0] = '\0';
	unpacker->at = packed ? get_number((const unsigned char *)packed, &count) : NULL;
	unpacker->left = (uint32_t)count;
}

static const unsigned char *get_stamp(const unsigned char *at, unsigned char marks,
				      struct fr_stamp *stamp)
{
	uint64_t dev = stamp->dev, ino, size, mtime, ctime;

	if (marks & FR_PACKED_OTHER_DEV)
		at = get_number(at, &dev);
	at = get_step(at, stamp->ino, &ino);
	at = get_number(at, &size);
	at = get_step(at, (uint64_t)stamp->mtime_ns, &mtime);
	ctime = mtime;
	if (marks & FR_PACKED_OTHER_TIME)
		at = get_step(at, mtime, &ctime);
	*stamp = (struct fr_stamp){
		.ino = ino,
		.size = (off_t)size,
		.mtime_ns = (int64_t)mtime,
		.ctime_ns = (int64_t)ctime,
		.dev = (uint32_t)dev,
		.has_hash = marks & FR_PACKED_HAS_HASH,
		.is_fresh = marks & FR_PACKED_IS_FRESH,
	};
	if (stamp->has_hash) {
		memcpy(&stamp->hash, at, sizeof(stamp->hash));
		at += sizeof(stamp->hash);
	}
	return at;
}

bool fr_unpacker_next(struct fr_unpacker *unpacker)
{
	const unsigned char *at = unpacker->at;
	unsigned char marks;
	size_t len;

	if (unpacker->left == 0)
		return false;
	unpacker->left--;
	marks = *at++;
	len = *at++;
	memcpy(unpacker->name, at, len);
	unpacker->name[len] = '\0';
	if (marks & FR_PACKED_IS_PY)
		memcpy(unpacker->name + len, PY, sizeof(PY));
	unpacker->at = get_stamp(at + len, marks, &unpacker->stamp);
	return true;
}
