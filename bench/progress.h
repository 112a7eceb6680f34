/* progress.h - how far a run is, on stderr. */
#ifndef SEQBENCH_PROGRESS_H
#define SEQBENCH_PROGRESS_H

#include <stdbool.h>

#include "plan.h"

struct progress {
    double total,
        done; /* estimated times of all visits and of those made; only their ratio counts */
    double started_s, printed_s;
    bool terminal;
};

void progress_start(struct progress *progress, const struct plan *plan);

/* Counts the visit with this order as made. One line that is renewed, or a plain line now and then.
 */
void progress_advance(struct progress *progress, const struct plan *plan, int64_t order);

void progress_end(const struct progress *progress);

#endif
