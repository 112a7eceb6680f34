/* memory.h - the memory that cases are laid out in, and how much of it there is. */
#ifndef SEQBENCH_MEMORY_H
#define SEQBENCH_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Mapped once and used again by one case after the other. */
struct arena {
    unsigned char *base;
    size_t bytes;
};

/* Asks for huge pages. Fails when bytes are more than memory_available. */
bool arena_map(size_t bytes, struct arena *out, struct err *err);
void arena_unmap(struct arena *arena);

/* The value of a line of /proc/meminfo in bytes, or INT64_MAX when it is not there. */
int64_t memory_info_bytes(const char *key);

/* Bytes that can be allocated now: what the kernel calls available, and the cgroup's rest. */
int64_t memory_available(void);

#endif
