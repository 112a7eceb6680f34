/*
 * mlstm.h - the tensors of the mLSTM and what its algorithms share around the recurrence.
 * A heads of V = H/A values and K = V/2 keys.
 */
#ifndef SEQBENCH_MLSTM_H
#define SEQBENCH_MLSTM_H

#include "products.h"

enum {
    MLSTM_X,
    MLSTM_C0,
    MLSTM_N0,
    MLSTM_M0,
    MLSTM_WQ,
    MLSTM_WK,
    MLSTM_WV,
    MLSTM_WI,
    MLSTM_BI,
    MLSTM_WF,
    MLSTM_BF,
    MLSTM_NORM_W,
    MLSTM_WOG,
    MLSTM_WO,
    MLSTM_Y,
    MLSTM_C_LAST,
    MLSTM_N_LAST,
    MLSTM_M_LAST,
};

extern const struct layer mlstm_layer;

static inline int64_t mlstm_values(struct dims d)
{
    return d.H / d.A;
}

static inline int64_t mlstm_keys(struct dims d)
{
    return d.H / d.A / 2;
}

/* The linear maps: of q, k, v, both gates, the output gate, the output. */
enum {
    MLSTM_OF_Q,
    MLSTM_OF_K,
    MLSTM_OF_V,
    MLSTM_OF_I,
    MLSTM_OF_F,
    MLSTM_OF_GATE,
    MLSTM_OF_OUTPUT,
    MLSTM_MAPS
};
extern const struct map mlstm_maps[MLSTM_MAPS];

/* Buffers that all algorithms need; their own come behind. */
enum {
    MLSTM_ROWS,      /* [S,3H]: rows [q | k | v | output gate], q and k of H/2 */
    MLSTM_INPUT,     /* [A,S]: i */
    MLSTM_FORGET,    /* [A,S]: log sigmoid(f) */
    MLSTM_GATE_ROWS, /* [S,A] */
    MLSTM_OWN_SCRATCH
};
int mlstm_scratch(struct dims d, struct tensor out[SCRATCH_MAX]);

/* One head through the sequence. Rows of q, k, v are `row` floats apart. */
struct mlstm_head {
    int64_t S, keys, values, row;
    const float *i, *log_f; /* [S] */
    const float *q, *k;     /* k times 1 / sqrt(keys) */
    float *v;               /* [S,values] becomes h */
    float *C, *n, *m;       /* C[keys,values] n[keys] m[1], before; moved on */
};

static const float mlstm_epsilon = 1e-6f; /* of the denominator and of the norm */

/* The layer from x to y, core called for head after head. */
void mlstm_run(const struct instance *in,
               void (*core)(const struct instance *in, const struct mlstm_head *head));

/* What every algorithm does beside the recurrence. */
struct cost mlstm_common_cost(struct dims d);

#endif
