/* progress.h - how far a run is, on stderr. */
#ifndef SEQBENCH_PROGRESS_H
#define SEQBENCH_PROGRESS_H

#include <stdbool.h>

#include "cases/plan.h"
#include "cases/settings.h"

struct progress {
    int64_t samples;    /* of a visit */
    double budget_s;    /* of this session; 0: none */
    double total, done; /* estimated times of visits in this session; only their ratio counts */
    double started_s, printed_s;
    int64_t visits;  /* made in this session */
    int64_t planned; /* visits that the plan began with; what comes later is added round by round */
    bool terminal;
};

void progress_start(struct progress *progress, const struct plan *plan,
                    const struct settings *settings);

/* How long the first so many rounds of a plan may take, before anything is known of the machine. */
double progress_guess_s(const struct plan *plan, int64_t rounds, int64_t samples);

/* Seconds of a visit to a case whose run takes run_s: set-up, warm-up, and its samples. */
double visit_s(double run_s, int64_t samples);

/* "10:05" */
enum { MINUTES_TEXT = 32 };
const char *progress_minutes(double seconds, char out[MINUTES_TEXT]);

/* Expects a visit. */
void progress_expect(struct progress *progress, const struct visit *visit);

/*
 * Counts a visit as made. One line that is renewed, or a plain line per minute: how many visits are
 * made of all that are planned, in an added round of those of that round; how many per second; how
 * much time is left, which is never more than is left of the budget.
 */
void progress_advance(struct progress *progress, const struct plan *plan, int64_t order);

void progress_end(const struct progress *progress);

#endif
