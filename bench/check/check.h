/* check.h - is a kernel right? Against its layer's reference, and against given tensors. */
#ifndef SEQBENCH_CHECK_H
#define SEQBENCH_CHECK_H

#include <stdio.h>

#include "cases/case.h"

struct verdict {
    double error, bound;   /* of the worst output: max|y - ref| / max(1, max|ref|) */
    const char *complaint; /* NULL, or what else went wrong: "writes past the end of" ... */
    const char *tensor;    /* the array that error or complaint is about; may be NULL */
};

bool verdict_passed(const struct verdict *verdict);

/* Largest |got - want| / max(1, max|want|) of two arrays; infinite if anything is not finite. */
double relative_error(const float *got, const double *want, int64_t n);

/* The tensors of a case as doubles; the reference fills the outputs, sequence by sequence. */
void check_widen(const struct bench_case *c, double *wide[]);
void check_reference(const struct bench_case *c, double *const wide[]);
void check_free(const struct bench_case *c, double *wide[]);

/*
 * Draws inputs, poisons outputs and scratch with NaN, runs, compares with the reference, looks at
 * guard zones and inputs, poisons and runs again: the outputs must be the same bits.
 */
struct verdict check_case(struct bench_case *bench_case);

/*
 * Checks every kernel of the selection at every shape. A PASS or FAIL line per kernel to text, a
 * row per shape to csv (either may be NULL). Returns the number of kernels that failed, or -1.
 */
int check_kernels(struct selection selection, FILE *text, FILE *csv, struct err *err);

#endif
