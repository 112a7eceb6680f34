/* runner.h - a run: pin, check, then rounds in fresh processes, each sample a row. */
#ifndef SEQBENCH_RUNNER_H
#define SEQBENCH_RUNNER_H

#include <stdint.h>

#include "err.h"
#include "grid.h"

struct run_options {
    const char *globs; /* which kernels */
    struct grid grid;
    int cpu; /* -1: choose */
    uint64_t seed;
    bool flush_to_zero;
    const char *folder; /* NULL: results/<cpu>/<UTC time> */
};

/* Prints plan.csv to stdout. */
bool runner_plan(const struct run_options *options, struct err *err);

/* The whole run. The folder's name goes to stdout, everything else to stderr. */
bool runner_run(const struct run_options *options, struct err *err);

/*
 * The body of one round, called in a process of its own: visits the cases of plan.csv in folder
 * that belong to the round. After each visit a line with its order goes to stdout.
 */
bool runner_round(const char *folder, int64_t round, int cpu, bool flush_to_zero, uint64_t seed,
                  struct err *err);

#endif
