/* carry.h - how layers hand their state from run to run. */
#ifndef SEQBENCH_CARRY_H
#define SEQBENCH_CARRY_H

#include "seqbench.h"
#include "vmath.h"

/* The last row of tensor y[S,H] becomes tensor h0[H]. */
static inline void carry_last_row(struct instance *in, int y, int h0)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    vmath_copy(H, in->t[y] + (S - 1) * H, in->t[h0]);
}

/* Two arrays change places. */
static inline void carry_exchange(struct instance *in, int a, int b)
{
    float *const was = in->t[a];
    in->t[a] = in->t[b];
    in->t[b] = was;
}

#endif
