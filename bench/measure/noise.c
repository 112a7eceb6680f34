/*
 * noise.c - counts of the kernel and of the hardware around a sample.
 *
 * Cycles and instructions mean the same everywhere. No portable name exists for a miss of the L2:
 * the kernel's "cache misses" are of the last level on Intel, of the L2 on AMD, of the L1 on ARM.
 * The table below names by vendor what was meant; a vendor that is not in it has none.
 */
#define _GNU_SOURCE /* RUSAGE_THREAD */
#include "measure/noise.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

const char *const counter_names[COUNTERS] = {"cycles", "instructions", "L2 misses",
                                             "last-level misses"};

/* ---- the clock ---- */

double monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/*
 * One add of two registers, 1 cycle after the one before it. The barrier keeps the compiler from
 * folding adds. The addend is hidden from it too: recent Intel cores fold adds of a constant while
 * renaming, and would show several times their clock.
 */
#define ADD                                                                                        \
    sum += one;                                                                                    \
    __asm__ volatile("" : "+r"(sum));
#define ADD_16 ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD

static double chain_ghz(void)
{
    enum { ADDS = 8192 };
    uint64_t sum = 0, one = 1;
    __asm__ volatile("" : "+r"(sum), "+r"(one));
    const double start = monotonic_ns();
    for (int i = 0; i < ADDS / 16; i++) {
        ADD_16
    }
    return ADDS / (monotonic_ns() - start);
}

double noise_clock_ghz(void)
{
    double fastest = 0.0;
    for (int i = 0; i < 6; i++) {
        const double ghz = chain_ghz();
        if (ghz > fastest)
            fastest = ghz;
    }
    return fastest;
}

/* ---- /proc/stat ---- */

int stat_ticks(const char *stat, int cpu, int64_t out[STAT_COLUMNS])
{
    char name[24];
    const int length = snprintf(name, sizeof(name), "cpu%d ", cpu);
    for (int i = 0; i < STAT_COLUMNS; i++)
        out[i] = UNAVAILABLE;
    while (stat && strncmp(stat, name, (size_t)length) != 0) {
        stat = strchr(stat, '\n');
        stat += stat != NULL;
    }
    if (!stat || !strchr(stat, '\n')) /* a line that was cut may end within a number */
        return 0;
    stat += length;
    for (int i = 0; i < STAT_COLUMNS; i++) {
        stat += strspn(stat, " \t");
        if (*stat < '0' || *stat > '9')
            return i;
        char *end;
        out[i] = strtoll(stat, &end, 10);
        stat = end;
    }
    return STAT_COLUMNS;
}

static int64_t steal_ticks(const struct noise_meter *meter)
{
    size_t length = 0;
    while (meter->stat_fd >= 0 && length + 1 < meter->stat_size) {
        const ssize_t got = pread(meter->stat_fd, meter->stat + length,
                                  meter->stat_size - 1 - length, (off_t)length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    meter->stat[length] = '\0';
    int64_t ticks[STAT_COLUMNS];
    stat_ticks(meter->stat, meter->cpu, ticks);
    return ticks[STAT_STEAL];
}

/* ---- hardware counters ---- */

enum vendor { ANY, INTEL, AMD, ARM };

static bool is_vendor(enum vendor vendor)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    return vendor == ANY || (vendor == INTEL && __builtin_cpu_is("intel")) ||
           (vendor == AMD && __builtin_cpu_is("amd"));
#elif defined(__aarch64__)
    return vendor == ANY || vendor == ARM;
#else
    return vendor == ANY;
#endif
}

/* On AMD the last level is shared and has no counter per thread. */
static const struct event {
    enum counter counter;
    enum vendor vendor;
    uint32_t type;
    uint64_t config;
} events[] = {
    {CYCLES, ANY, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {INSTRUCTIONS, ANY, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    /* Requests that reach the last level, which are those the L2 missed, prefetches among them. */
    {L2_MISSES, INTEL, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    /* Requests of the L1 caches that missed in the L2. */
    {L2_MISSES, AMD, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    /* L2D_CACHE_REFILL, a number that the architecture fixes. */
    {L2_MISSES, ARM, PERF_TYPE_RAW, 0x17},
    {LAST_LEVEL_MISSES, INTEL, PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {LAST_LEVEL_MISSES, ARM, PERF_TYPE_HW_CACHE,
     PERF_COUNT_HW_CACHE_LL | PERF_COUNT_HW_CACHE_OP_READ << 8 |
         PERF_COUNT_HW_CACHE_RESULT_MISS << 16},
};

static const struct event *find_event(enum counter counter)
{
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (events[i].counter == counter && is_vendor(events[i].vendor))
            return &events[i];
    return NULL;
}

/* Of this thread on whatever core it is; without the kernel, which perf_event_paranoid=2 allows. */
static int open_event(const struct event *event, int leader)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = event->type,
        .config = event->config,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .disabled = leader < 0, /* and with the leader its group, until it is complete */
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
}

static int leader_of(const struct noise_meter *meter)
{
    for (int i = 0; i < COUNTERS; i++)
        if (meter->counter_fd[i] >= 0)
            return meter->counter_fd[i];
    return -1;
}

static void close_counter(struct noise_meter *meter, int counter)
{
    if (meter->counter_fd[counter] >= 0)
        close(meter->counter_fd[counter]);
    meter->counter_fd[counter] = -1;
}

static void close_counters(struct noise_meter *meter)
{
    for (int i = COUNTERS - 1; i >= 0; i--) /* the leader last */
        close_counter(meter, i);
}

/* The first `count` counters as one group, so that all of them are on the hardware or none. */
static void open_group(struct noise_meter *meter, int count)
{
    for (int i = 0; i < count; i++) {
        const struct event *event = find_event((enum counter)i);
        errno = ENOENT;
        meter->counter_fd[i] = event ? open_event(event, leader_of(meter)) : -1;
        meter->refusal[i] = meter->counter_fd[i] >= 0 ? 0 : errno;
    }
    if (leader_of(meter) >= 0)
        ioctl(leader_of(meter), PERF_EVENT_IOC_ENABLE, 0); /* close_idle sees whether it did */
}

/* One by one: read as a group, siblings can lag behind their leader (seen with software events). */
static void read_counters(const struct noise_meter *meter, struct noise_mark *out)
{
    for (int i = 0; i < COUNTERS; i++) {
        struct counter_reading *reading = &out->counter[i];
        const int fd = meter->counter_fd[i];
        if (fd < 0 || read(fd, reading, sizeof(*reading)) != sizeof(*reading))
            *reading = (struct counter_reading){.count = UNAVAILABLE};
    }
}

static void flush_line(unsigned char *line)
{
#if defined(__SSE2__)
    _mm_clflush(line);
    _mm_mfence();
#elif defined(__aarch64__)
    __asm__ volatile("dc civac, %0\n\tdsb sy" : : "r"(line) : "memory");
#else
    (void)line; /* the caches are then believed to miss nothing, and their counters dropped */
#endif
}

/* Moves every counter that works: adds, and loads of lines that were just flushed. */
static void provoke(void)
{
    enum { LINES = 512, LINE = 64 };
    static unsigned char memory[LINES * LINE];
    for (int i = 0; i < LINES; i++) {
        volatile unsigned char *at = &memory[i * LINE];
        *at = 1;
        flush_line(&memory[i * LINE]);
        (void)*at;
    }
    noise_clock_ghz();
}

/* Closes the counters that open and do not count. Returns whether all were on the hardware. */
static bool close_idle(struct noise_meter *meter)
{
    struct noise_mark before, after;
    bool running = true;
    read_counters(meter, &before);
    provoke();
    read_counters(meter, &after);
    for (int i = COUNTERS - 1; i >= 0; i--) {
        if (meter->counter_fd[i] < 0)
            continue;
        running = running && after.counter[i].running_ns > before.counter[i].running_ns;
        if (after.counter[i].count > before.counter[i].count)
            continue;
        close_counter(meter, i);
        meter->refusal[i] = ENODATA;
    }
    return running;
}

/*
 * A group that does not fit on the hardware opens and then never runs: the last counter is given up
 * until it does. What a hypervisor lets open and never moves is given up too.
 */
static void open_counters(struct noise_meter *meter)
{
    int count = COUNTERS;
    do {
        close_counters(meter);
        open_group(meter, count);
    } while (!close_idle(meter) && --count > 0);
}

/* ---- marks ---- */

void noise_open(int cpu, struct noise_meter *out)
{
    enum { LINE = 256 }; /* of /proc/stat: at most 10 columns of 20 digits */
    *out = (struct noise_meter){
        .cpu = cpu,
        .stat_fd = open("/proc/stat", O_RDONLY | O_CLOEXEC),
        .stat_size = (size_t)(cpu + 2) * LINE,
    };
    out->stat = malloc(out->stat_size);
    if (!out->stat)
        abort();
    for (int i = 0; i < COUNTERS; i++)
        out->counter_fd[i] = -1;
    open_counters(out);
}

void noise_close(struct noise_meter *meter)
{
    close_counters(meter);
    if (meter->stat_fd >= 0)
        close(meter->stat_fd);
    free(meter->stat);
}

static void read_usage(struct noise_mark *out)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage); /* fails for a bad pointer only */
    out->voluntary_switches = usage.ru_nvcsw;
    out->involuntary_switches = usage.ru_nivcsw;
    out->minor_faults = usage.ru_minflt;
    out->major_faults = usage.ru_majflt;
}

void noise_before(const struct noise_meter *meter, struct noise_mark *out)
{
    out->clock_ghz = noise_clock_ghz();
    out->steal_ticks = steal_ticks(meter);
    read_usage(out);
    read_counters(meter, out);
}

void noise_after(const struct noise_meter *meter, struct noise_mark *out)
{
    read_counters(meter, out);
    read_usage(out);
    out->steal_ticks = steal_ticks(meter);
    out->clock_ghz = noise_clock_ghz();
}

static int64_t grown(int64_t before, int64_t after)
{
    return before < 0 || after < before ? UNAVAILABLE : after - before;
}

static int64_t counted(const struct counter_reading *before, const struct counter_reading *after)
{
    const int64_t enabled_ns = after->enabled_ns - before->enabled_ns;
    const int64_t running_ns = after->running_ns - before->running_ns;
    const bool whole = running_ns >= enabled_ns - enabled_ns / 100;
    return whole ? grown(before->count, after->count) : UNAVAILABLE;
}

void noise_between(const struct noise_mark *before, const struct noise_mark *after,
                   struct noise *out)
{
    *out = (struct noise){
        .voluntary_switches = grown(before->voluntary_switches, after->voluntary_switches),
        .involuntary_switches = grown(before->involuntary_switches, after->involuntary_switches),
        .minor_faults = grown(before->minor_faults, after->minor_faults),
        .major_faults = grown(before->major_faults, after->major_faults),
        .steal_ticks = grown(before->steal_ticks, after->steal_ticks),
        .clock_ghz_before = before->clock_ghz,
        .clock_ghz_after = after->clock_ghz,
    };
    for (int i = 0; i < COUNTERS; i++)
        out->counter[i] = counted(&before->counter[i], &after->counter[i]);
}

const char *noise_text(int64_t count, char out[COUNT_TEXT])
{
    if (count < 0)
        snprintf(out, COUNT_TEXT, "unavailable");
    else
        snprintf(out, COUNT_TEXT, "%" PRId64, count);
    return out;
}
