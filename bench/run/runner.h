/* runner.h - a run: plan, folder, rounds in fresh processes, until the medians are known. */
#ifndef SEQBENCH_RUNNER_H
#define SEQBENCH_RUNNER_H

#include "cases/settings.h"
#include "err.h"

/* Prints plan.csv, as far as it is known before a run, to stdout. */
bool runner_plan(const struct settings *settings, struct err *err);

/* The whole run. The folder's name goes to stdout, everything else to stderr. */
bool runner_run(const struct options *options, struct err *err);

#endif
