/* memory.c - mapping and measuring memory. */
#include "measure/memory.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

bool arena_map(size_t bytes, struct arena *out, struct err *err)
{
    const size_t huge = (size_t)2 << 20;
    out->bytes = (bytes + huge - 1) / huge * huge;
    const int64_t available = memory_available();
    if ((int64_t)out->bytes > available)
        return err_set(err, "needs %zu MiB of memory, %" PRId64 " MiB are available",
                       out->bytes >> 20, available >> 20);
    void *base = mmap(NULL, out->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return err_set(err, "cannot map %zu MiB: %s", out->bytes >> 20, strerror(errno));
    madvise(base, out->bytes, MADV_HUGEPAGE); /* advice: its refusal changes times, not results */
    out->base = base;
    return true;
}

void arena_unmap(struct arena *arena)
{
    munmap(arena->base, arena->bytes);
}

int64_t memory_info_bytes(const char *key)
{
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file)
        return INT64_MAX;
    int64_t bytes = INT64_MAX;
    char line[256];
    const size_t length = strlen(key);
    while (bytes == INT64_MAX && fgets(line, sizeof(line), file))
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            bytes = strtoll(line + length + 1, NULL, 10) * 1024;
    fclose(file);
    return bytes;
}

/* A byte count in a cgroup file, or -1: no such file, or the word max. */
static int64_t cgroup_bytes(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    char text[64] = "";
    const bool got = fgets(text, sizeof(text), file) && isdigit((unsigned char)text[0]);
    fclose(file);
    return got ? strtoll(text, NULL, 10) : -1;
}

/* Page cache that the kernel gives up first; it counts as used by the cgroup. */
static int64_t cgroup_cache_bytes(void)
{
    FILE *file = fopen("/sys/fs/cgroup/memory.stat", "r");
    int64_t bytes = 0;
    char line[256];
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "inactive_file %" SCNd64, &bytes) == 1)
            break;
    if (file)
        fclose(file);
    return bytes;
}

int64_t memory_available(void)
{
    const int64_t available = memory_info_bytes("MemAvailable");
    const int64_t limit = cgroup_bytes("/sys/fs/cgroup/memory.max");
    const int64_t used = cgroup_bytes("/sys/fs/cgroup/memory.current") - cgroup_cache_bytes();
    if (limit < 0 || used < 0)
        return available;
    return limit - used < available ? limit - used : available;
}
