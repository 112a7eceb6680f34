/* plan.h - cases and a seed to shuffled rounds. Pure, but for reading and writing plan.csv. */
#ifndef SEQBENCH_PLAN_H
#define SEQBENCH_PLAN_H

#include <stdio.h>

#include "cases/grid.h"
#include "cases/kernel.h"
#include "err.h"

/* One case in one round. */
struct visit {
    const struct kernel *kernel;
    struct dims dims;
    int64_t order, round;
};

struct plan {
    struct visit *visits; /* sorted by order; free with plan_free */
    int64_t count;
};

bool same_case(const struct visit *a, const struct visit *b);

/*
 * Every case of the grid for the kernels of the selection, kernel by kernel. Cells that a kernel
 * does not support are left out; notes says so with the reason, a line per kernel and HidSize, and
 * which algorithms take none of the engines (NULL: nowhere). Fails when a HidSize is not divisible
 * by a head count, naming both, and when no case is left.
 */
bool plan_cases(const struct grid *grid, struct selection selection, int64_t last_level_bytes,
                FILE *notes, struct plan *out, struct err *err);

/* The same, shuffled anew in each round. */
bool plan_make(const struct grid *grid, struct selection selection, int64_t last_level_bytes,
               uint64_t seed, FILE *notes, struct plan *out, struct err *err);

void plan_write(const struct plan *plan, FILE *file);
bool plan_read(const char *path, struct plan *out, struct err *err);
void plan_free(struct plan *plan);

/* Adds a round that visits these cases, shuffled by the seed and the round's number. */
void plan_add_round(struct plan *plan, const struct visit *cases, int64_t count, uint64_t seed);

/* The visit that needs the most memory. */
const struct visit *plan_largest(const struct plan *plan);

#endif
