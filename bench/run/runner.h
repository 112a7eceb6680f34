/* runner.h - a run: plan, folder, rounds in fresh processes, until the medians are known. */
#ifndef SEQBENCH_RUNNER_H
#define SEQBENCH_RUNNER_H

#include "cases/grid.h"
#include "err.h"
#include "run/round.h"

struct run_options {
    struct selection selection;
    struct grid grid;
    struct settings settings; /* settings.cpu -1: choose */
    const char *folder;       /* NULL: results/<cpu>/<UTC time> */
    const char *resume;       /* NULL, or the folder of a run to go on with */
    int64_t timeout_s;        /* for one visit */
    int64_t wait_s;           /* for another run on the same core */
    int64_t pause_after;      /* rounds, then stop to be resumed; 0: never */
};

/* Prints plan.csv, as far as it is known before a run, to stdout. */
bool runner_plan(const struct run_options *options, struct err *err);

/* The whole run. The folder's name goes to stdout, everything else to stderr. */
bool runner_run(const struct run_options *options, struct err *err);

#endif
