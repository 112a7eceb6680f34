/* rwkv7.h - the tensors of RWKV-7's time mixing and its low ranks. */
#ifndef SEQBENCH_RWKV7_H
#define SEQBENCH_RWKV7_H

#include "products.h"

enum {
    RWKV7_X,
    RWKV7_X_BEFORE,
    RWKV7_S0,
    RWKV7_MU_R,
    RWKV7_MU_K,
    RWKV7_MU_V,
    RWKV7_MU_W,
    RWKV7_MU_A,
    RWKV7_MU_G,
    RWKV7_WR,
    RWKV7_WK,
    RWKV7_WV,
    RWKV7_DECAY_1,
    RWKV7_DECAY_2,
    RWKV7_DECAY_0,
    RWKV7_RATE_1,
    RWKV7_RATE_2,
    RWKV7_RATE_0,
    RWKV7_GATE_1,
    RWKV7_GATE_2,
    RWKV7_K_K,
    RWKV7_K_A,
    RWKV7_R_K,
    RWKV7_LN_G,
    RWKV7_LN_B,
    RWKV7_WO,
    RWKV7_Y,
    RWKV7_X_LAST,
    RWKV7_S_LAST,
};

extern const struct layer rwkv7_layer;

/* Ranks of the maps of decay and rate; the gate has twice as many. */
static inline int64_t rwkv7_rank(int64_t H)
{
    const int64_t twelfth = (H + 11) / 12;
    return twelfth > 8 ? twelfth : 8;
}

#endif
