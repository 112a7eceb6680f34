/* history.h - what samples.csv already holds: for resuming, for flags, for deciding what is next.
 */
#ifndef SEQBENCH_HISTORY_H
#define SEQBENCH_HISTORY_H

#include "cases/plan.h"
#include "err.h"

/* The columns of one row that decisions need. */
struct record {
    int64_t order, sample, iterations;
    double wall_ns, clock_ghz, sentinel_ns; /* clock: mean of before and after */
    bool failed, flagged;
};

struct history {
    struct record *records; /* in the order of the file; free with history_free */
    int64_t count;
};

/* Cuts off a last line without its newline, which a killed process may leave. */
bool history_repair(const char *path, struct err *err);

/*
 * Fails at a row that no run writes: a status, a count or a time that cannot be, a sample of a
 * visit that is there already.
 */
bool history_read(const char *path, struct history *out, struct err *err);
void history_free(struct history *history);

/* Sorts the values. 0 of none. */
double median(double *values, int64_t count);

/* Rows that did not fail. */
int64_t history_good(const struct history *history);

/* Median of the clock rate and of the sentinel over all good rows; 0 without any. */
double history_clock_ghz(const struct history *history);
double history_sentinel_ns(const struct history *history);

/* How far the median of a case is known. */
struct estimate {
    int64_t rounds, clean, flagged; /* rounds with a clean row; rows that are clean, flagged */
    bool failed;                    /* a row of the case failed: it is not visited again */
    double median_ns;               /* of one run, over clean rows */
    double half_width;              /* of the 95 % interval of the median, relative to it */
};

/*
 * Estimate of each case of round 0 of the plan, in its order. The interval is a bootstrap over
 * rounds, then samples; it steers the run, the published one is made by the scripts.
 */
void history_estimate(const struct history *history, const struct plan *plan, int64_t cases,
                      struct estimate *out);

#endif
