/* round.h - one round: a process of its own that visits the cases of its part of the plan. */
#ifndef SEQBENCH_ROUND_H
#define SEQBENCH_ROUND_H

#include <stdint.h>

#include "cases/settings.h"
#include "err.h"
#include "run/history.h"

/* Whether samples.csv already holds all that a visit should give. */
bool visit_is_complete(const struct history *history, int64_t order,
                       const struct settings *settings);

/*
 * Visits what is not complete in the round, and no case that failed before, until deadline_ns of
 * CLOCK_MONOTONIC, with the settings in the folder's host.json. On stdout a line `start ORDER`
 * before each visit and `end ORDER BUSY_NS` after it: time in timed kernels and their warm-up.
 */
bool round_visit(const char *folder, int64_t round, double deadline_ns, struct err *err);

#endif
