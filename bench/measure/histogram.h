/*
 * histogram.h - durations of calls in bins of HdrHistogram's layout with three significant digits:
 * 1 ns wide below 2048 ns, then 1024 bins for each doubling. Bins are the same in every histogram,
 * so that histograms can be added up.
 */
#ifndef SEQBENCH_HISTOGRAM_H
#define SEQBENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { HISTOGRAM_DOUBLINGS = 32, HISTOGRAM_BINS = (HISTOGRAM_DOUBLINGS + 2) * 1024 };

struct histogram {
    int64_t calls;
    int lowest, highest; /* bins that hold something, if calls > 0 */
    uint32_t count[HISTOGRAM_BINS];
};

/* The bin of a duration, the last one for all that are longer, and where a bin begins in ns. */
int histogram_bin(int64_t ns);
int64_t histogram_low(int bin);

/* Touches the bins that were used, and no others. */
void histogram_clear(struct histogram *h);
void histogram_add(struct histogram *h, int64_t ns);

/* "412:3 413:55": where each bin that holds something begins, and how many calls it holds. */
void histogram_write(const struct histogram *h, FILE *out);

#endif
