/* accuracy.h - how far results are from those of float32 weights in double. Nothing is timed. */
#ifndef SEQBENCH_ACCURACY_H
#define SEQBENCH_ACCURACY_H

#include <stdio.h>

#include "cases/grid.h"
#include "cases/kernel.h"

/* Every kernel and cell to accuracy.csv; see results/README.md. */
bool accuracy_write(const struct grid *grid, struct selection selection, uint64_t seed, FILE *csv,
                    struct err *err);

#endif
