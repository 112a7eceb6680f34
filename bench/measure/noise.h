/*
 * noise.h - what disturbed a sample: one mark before it, one after it, and what lies between.
 *
 * Whatever this machine does not show is UNAVAILABLE, never zero. Everything counts the thread that
 * called noise_open, except steal, which is the core's.
 */
#ifndef SEQBENCH_NOISE_H
#define SEQBENCH_NOISE_H

#include <stddef.h>
#include <stdint.h>

enum { UNAVAILABLE = -1 };

enum counter { CYCLES, INSTRUCTIONS, L2_MISSES, LAST_LEVEL_MISSES, COUNTERS };

/* "cycles", "instructions", "L2 misses", "last-level misses". */
extern const char *const counter_names[COUNTERS];

/* What stays open through the process. */
struct noise_meter {
    int cpu;
    int stat_fd; /* /proc/stat, or -1 */
    char *stat;  /* room for its lines up to the core's, stat_size bytes */
    size_t stat_size;
    int counter_fd[COUNTERS]; /* one perf group, user space only; -1: does not count */
    int refusal[COUNTERS];    /* 0: counts; ENODATA: opens, but never counts; else why not */
};

/* As the kernel writes it. */
struct counter_reading {
    int64_t count;
    int64_t enabled_ns, running_ns; /* wanted, and really on the hardware */
};

struct noise_mark {
    int64_t voluntary_switches, involuntary_switches, minor_faults, major_faults;
    int64_t steal_ticks; /* of the core since boot, 1/sysconf(_SC_CLK_TCK) s each */
    double clock_ghz;
    struct counter_reading counter[COUNTERS];
};

struct noise {
    int64_t voluntary_switches, involuntary_switches, minor_faults, major_faults;
    int64_t steal_ticks;
    double clock_ghz_before, clock_ghz_after;
    int64_t counter[COUNTERS];
};

/* Call once, pinned to the core. It cannot fail: what does not open is unavailable. */
void noise_open(int cpu, struct noise_meter *out);
void noise_close(struct noise_meter *meter);

/*
 * The two marks look at the same things in opposite order, counters innermost, so that neither the
 * clock's adds nor the reading of files is counted into the sample.
 */
void noise_before(const struct noise_meter *meter, struct noise_mark *out);
void noise_after(const struct noise_meter *meter, struct noise_mark *out);

/*
 * A count that is missing in one mark or went backwards is unavailable, and so are the counters
 * when they were on the hardware for a part of the time only: nothing is scaled up.
 */
void noise_between(const struct noise_mark *before, const struct noise_mark *after,
                   struct noise *out);

/* The count in decimal, or the word unavailable. Returns out. */
enum { COUNT_TEXT = 24 };
const char *noise_text(int64_t count, char out[COUNT_TEXT]);

/* Of CLOCK_MONOTONIC. */
double monotonic_ns(void);

/*
 * GHz seen by a chain of dependent adds; the fastest of six stretches of 8192 adds, so that an
 * interrupt or a busy sibling in some of them does not count. About 20 us at 2.6 GHz. Its steps are
 * those of the kernel's clock, 0.3 % where that ticks every 10 ns.
 */
double noise_clock_ghz(void);

/* Columns of a line of /proc/stat, in ticks. */
enum {
    STAT_USER,
    STAT_NICE,
    STAT_SYSTEM,
    STAT_IDLE,
    STAT_IOWAIT,
    STAT_IRQ,
    STAT_SOFTIRQ,
    STAT_STEAL,
    STAT_COLUMNS
};

/*
 * Ticks of a core from the text of /proc/stat; columns that are not there are UNAVAILABLE. Returns
 * how many are; 0 when the core has no whole line.
 */
int stat_ticks(const char *stat, int cpu, int64_t out[STAT_COLUMNS]);

#endif
