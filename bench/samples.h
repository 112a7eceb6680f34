/* samples.h - samples.csv: one row per sample, written as it is made. */
#ifndef SEQBENCH_SAMPLES_H
#define SEQBENCH_SAMPLES_H

#include "err.h"
#include "plan.h"

struct sample {
    struct visit visit;
    int64_t index; /* within the visit */
    int64_t iterations;
    double wall_ns, cpu_ns; /* totals over all iterations */
    char started_utc[32];
    int cpu_before, cpu_after;
    const char *error; /* NULL: ok */
};

/* Creates the file with its header. */
bool samples_create(const char *path, struct err *err);

/* Opens for appending; returns the descriptor, or -1. */
int samples_open(const char *path, struct err *err);

/* One whole row in one write, or none: a row that does not fit is cut off again. */
bool samples_append(int fd, const struct sample *sample, struct err *err);

#endif
