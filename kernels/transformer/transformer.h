/*
 * transformer.h - the tensors of the Transformer block and the stages that its variants share.
 * Rows of qkv are [q | k | v], 3H floats; head a owns channels a H/A .. (a+1) H/A of each.
 */
#ifndef SEQBENCH_TRANSFORMER_H
#define SEQBENCH_TRANSFORMER_H

#include "block.h"
#include "seqbench.h"

/* Between x and y the parameters in the order of block.h. */
enum {
    TRANSFORMER_X,
    TRANSFORMER_WQKV,
    TRANSFORMER_BQKV,
    TRANSFORMER_WO,
    TRANSFORMER_BO,
    TRANSFORMER_W1,
    TRANSFORMER_B1,
    TRANSFORMER_W2,
    TRANSFORMER_B2,
    TRANSFORMER_LN1_G,
    TRANSFORMER_LN1_B,
    TRANSFORMER_LN2_G,
    TRANSFORMER_LN2_B,
    TRANSFORMER_Y,
};

extern const struct layer transformer_layer;

/* Scaled scores of one head, queries first .. first + rows against all keys: scores[rows,S]. */
void transformer_head_scores(struct dims d, int64_t head, int64_t first, int64_t rows,
                             const float *qkv, float *scores);

/* Weighted sums of one head for the same queries, from probs[rows,S] into context[S,H]. */
void transformer_head_weighted(struct dims d, int64_t head, int64_t first, int64_t rows,
                               const float *probs, const float *qkv, float *context);

/* Softmax of each of rows rows of n. out may be in. */
void transformer_softmax_rows(int64_t rows, int64_t n, const float *in, float *out);

/* y[S,H] = layer norm of (a + b), row by row. y may be a or b. */
void transformer_residual_norm(struct dims d, const float *a, const float *b, const float *gain,
                               const float *bias, float *y);

/* y[S,H] = W2 relu(W1 x + b1) + b2; hidden[S,F] is scratch. */
void transformer_feed_forward(struct dims d, const float *x, const float *W1, const float *b1,
                              const float *W2, const float *b2, float *hidden, float *y);

/*
 * From the heads' context[S,H] to y: output projection, residual and norm, FFN, residual and norm.
 * branch[S,H], normed[S,H] and hidden[S,F] are scratch.
 */
void transformer_finish(const struct instance *in, const float *context, float *branch,
                        float *normed, float *hidden);

#endif
