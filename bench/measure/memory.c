/* memory.c - mapping and measuring memory. */
#include "measure/memory.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "text.h"

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
    char *text = text_of("/proc/meminfo");
    const char *kib = text_value(text, key);
    const int64_t bytes = kib ? strtoll(kib, NULL, 10) * 1024 : INT64_MAX;
    free(text);
    return bytes;
}

/* A byte count in a cgroup file, or -1: no such file, or the word max. */
static int64_t cgroup_bytes(const char *path)
{
    char *text = text_of(path);
    const int64_t bytes = text && isdigit((unsigned char)*text) ? strtoll(text, NULL, 10) : -1;
    free(text);
    return bytes;
}

/* Page cache that the kernel gives up first; it counts as used by the cgroup. */
static int64_t cgroup_cache_bytes(void)
{
    static const char key[] = "\ninactive_file ";
    char *text = text_of("/sys/fs/cgroup/memory.stat");
    const char *line = text ? strstr(text, key) : NULL;
    const int64_t bytes = line ? strtoll(line + strlen(key), NULL, 10) : 0;
    free(text);
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
