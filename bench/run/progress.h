/* progress.h - how far a run is, on stderr. */
#ifndef SEQBENCH_PROGRESS_H
#define SEQBENCH_PROGRESS_H

#include <stdbool.h>

#include "cases/plan.h"

struct progress {
    double total, done; /* estimated times of visits in this session; only their ratio counts */
    double started_s, printed_s;
    int64_t planned; /* visits that the plan began with; what comes later is added round by round */
    bool terminal;
};

void progress_start(struct progress *progress, const struct plan *plan);

/* Expects a visit. */
void progress_expect(struct progress *progress, const struct visit *visit);

/*
 * Counts a visit as made. One line that is renewed, or a plain line now and then: how many visits
 * are made of all that are planned, in an added round of those of that round.
 */
void progress_advance(struct progress *progress, const struct plan *plan, int64_t order);

void progress_end(const struct progress *progress);

#endif
