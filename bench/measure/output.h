/* output.h - what a case wrote, in three numbers: is it the checked output, and is it ordinary? */
#ifndef SEQBENCH_OUTPUT_H
#define SEQBENCH_OUTPUT_H

#include "cases/case.h"

struct output_evidence {
    int64_t subnormals, nonfinite; /* values */
    uint64_t checksum;             /* of all bits in their order; for one byte order */
};

/* Of all OUTPUT tensors. */
struct output_evidence output_examine(const struct bench_case *bench_case);

/* Adds n values to the evidence, which begins as zeros. */
void output_add(const float *data, int64_t n, struct output_evidence *evidence);

#endif
