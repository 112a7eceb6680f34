/*
 * rounding.h - what engines make of weights and of what these multiply, in double and apart from
 * their code: references are fed with the weights, tests of products with both.
 */
#ifndef SEQBENCH_ROUNDING_H
#define SEQBENCH_ROUNDING_H

#include "products.h"

/* W[out,in] of a map as an engine keeps it, in place. */
void round_matrix(const struct engine *engine, const struct weights *w, double *W);

/* x[n] of one token as products of that engine read it, in place. */
void round_inputs(const struct engine *engine, int64_t n, double *x);

#endif
