/* gated_deltanet.h - the tensors of Gated DeltaNet and what its algorithms share. */
#ifndef SEQBENCH_GATED_DELTANET_H
#define SEQBENCH_GATED_DELTANET_H

#include "common/chunk.h"
#include "common/convolution.h"
#include "products.h"

enum {
    DELTANET_X,
    DELTANET_WINDOW,
    DELTANET_S0,
    DELTANET_WQ,
    DELTANET_WK,
    DELTANET_WV,
    DELTANET_CONV_Q,
    DELTANET_CONV_K,
    DELTANET_CONV_V,
    DELTANET_WA,
    DELTANET_DT_BIAS,
    DELTANET_A_LOG,
    DELTANET_WB,
    DELTANET_WG,
    DELTANET_NORM_W,
    DELTANET_WO,
    DELTANET_Y,
    DELTANET_WINDOW_LAST,
    DELTANET_S_LAST,
};

enum { DELTANET_TILE = STATE_CHUNK }; /* tokens */

extern const struct layer gated_deltanet_layer;

/* The linear maps: of q, k, v, the decay, the learning rate, the gate, the output. */
enum {
    DELTANET_OF_Q,
    DELTANET_OF_K,
    DELTANET_OF_V,
    DELTANET_OF_DECAY,
    DELTANET_OF_RATE,
    DELTANET_OF_GATE,
    DELTANET_OF_OUTPUT,
    DELTANET_MAPS
};
extern const struct map deltanet_maps[DELTANET_MAPS];

/* What prepare makes: taps[CONV_TAPS,3H] and -exp(A_log)[A]. */
int deltanet_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX]);
void deltanet_prepare(struct instance *in);

/* Buffers that all algorithms need; their own come behind. */
enum {
    DELTANET_QKV,    /* [S,3H] before the convolution */
    DELTANET_GATE,   /* [S,H] becomes what the output map reads */
    DELTANET_DECAY,  /* [S,A]: g */
    DELTANET_RATE,   /* [S,A]: beta */
    DELTANET_ACTIVE, /* [TILE,3H] after it */
    DELTANET_OWN_SCRATCH
};
int deltanet_scratch(struct dims d, struct tensor out[SCRATCH_MAX]);

/* One head of a tile of tokens. Rows of q, k, v are `row` floats apart, gates `heads` floats. */
struct deltanet_tile {
    int64_t tokens, size, row, heads;
    const float *q, *k;
    float *v;                      /* [tokens,size] becomes S^T q */
    const float *log_decay, *rate; /* g, beta */
    float *S;                      /* [size,size], keys by values; moved on */
};

/* The layer from x to y, core called for head after head of tile after tile. */
void deltanet_run(const struct instance *in,
                  void (*core)(const struct instance *in, const struct deltanet_tile *tile));

/* What every algorithm does beside the recurrence. */
struct cost deltanet_common_cost(struct dims d);

#endif
