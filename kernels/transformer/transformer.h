/* transformer.h - the tensors of the Transformer block and what its algorithms and parts share. */
#ifndef SEQBENCH_TRANSFORMER_H
#define SEQBENCH_TRANSFORMER_H

#include "common/attention.h"
#include "common/block.h"

/* x, the parameters of block.h, y. */
enum {
    TRANSFORMER_X,
    TRANSFORMER_PARAMETERS,
    TRANSFORMER_Y = TRANSFORMER_PARAMETERS + BLOCK_PARAMETERS,
};

extern const struct layer transformer_layer;
extern const struct map transformer_maps[BLOCK_MAPS];

/* y[B,S,H] = layer norm of (a + b), row by row. y may be a or b. */
void transformer_residual_norm(struct dims d, const float *a, const float *b, const float *gain,
                               const float *bias, float *y);

/* y[B,S,H] = W2 relu(W1 x + b1) + b2 by two maps, the first of which is `first`; hidden[B,S,F]. */
void transformer_feed_forward(const struct instance *in, int first, const float *x, float *hidden,
                              float *y);

/* ---- algorithms that take the whole sequence through one stage after the other ---- */

/* Scratch that they list first; their scores follow. */
enum {
    TRANSFORMER_QKV,
    TRANSFORMER_CONTEXT,
    TRANSFORMER_BRANCH,
    TRANSFORMER_NORMED,
    TRANSFORMER_HIDDEN,
    TRANSFORMER_SCORES,
};

/* Lists qkv[B,S,3H], context[B,S,H], branch[B,S,H], normed[B,S,H], hidden[B,S,F]. */
void transformer_scratch(struct dims d, struct tensor out[TRANSFORMER_SCORES]);

/* From context to y: output projection, residual and norm, FFN, residual and norm. */
void transformer_finish(const struct instance *in);

#endif
