/*
 * hash: FNV-1a, 64 bits, for tables and for telling contents apart. It guards against accidents,
 * not against enemies.
 */
#ifndef FR_HASH_H
#define FR_HASH_H

#include <stddef.h>
#include <stdint.h>

#define FR_HASH_START 14695981039346656037ULL

/* Goes on from hash (at first FR_HASH_START, with anything mixed in) over len bytes. About a
 * gigabyte a second. */
static inline uint64_t fr_hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * 1099511628211ULL;
	return hash;
}

/* The same over a string, without its NUL. */
static inline uint64_t fr_hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
	return hash;
}

/* A place in a table of len entries, a power of two. */
static inline size_t fr_hash_place(uint64_t hash, size_t len)
{
	return (size_t)(hash ^ hash >> 32) & (len - 1);
}

#endif
