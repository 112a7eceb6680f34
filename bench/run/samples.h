/* samples.h - samples.csv: one row per sample, written as it is made. */
#ifndef SEQBENCH_SAMPLES_H
#define SEQBENCH_SAMPLES_H

#include "cases/conditions.h"
#include "cases/plan.h"
#include "err.h"
#include "measure/noise.h"
#include "measure/output.h"

/* Rules by which a sample counts as disturbed; it stays in the file and out of the summary. */
enum flag {
    FLAG_MIGRATION = 1, /* the core changed */
    FLAG_SWITCH = 2,    /* involuntary context switches, and more than 1 % of the time not on CPU */
    FLAG_STEAL = 4,     /* the hypervisor took the core away for more than 1 % of the time */
    FLAG_CLOCK = 8,     /* clock more than 3 % off the run's median, before or after */
    FLAG_SENTINEL = 16, /* sentinel more than 5 % off the run's median */
    FLAG_OUTPUT = 32,   /* the output is not that of the checked run */
};

struct sample {
    struct visit visit;
    int64_t index;              /* within the visit */
    struct condition condition; /* what happens between iterations */
    int64_t iterations;
    double wall_ns, cpu_ns; /* totals over all iterations; of a stream with what is between them */
    char started_utc[32];
    int cpu_before, cpu_after;
    struct noise noise;
    double sentinel_ns, sentinel_ratio; /* one run of the sentinel; over the run's median */
    struct output_evidence output;
    unsigned flags;
    const char *error; /* NULL: ok */
};

/* ISO 8601 with milliseconds. */
void utc_stamp(char out[32]);

/* Creates the file with its header. */
bool samples_create(const char *path, struct err *err);

/* One whole row in one write, or none: a row that does not fit is cut off again. */
bool samples_append(int fd, const struct sample *sample, struct err *err);

#endif
