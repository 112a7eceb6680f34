/*
 * block.h - what Transformer blocks share: their parameters, the products of a head, and the
 * second half of a pre-norm GELU block.
 *
 * FfnSize F = 4H. Rows of qkv are [q | k | v], 3H floats; head a owns channels a H/A .. (a+1) H/A
 * of each.
 */
#ifndef SEQBENCH_BLOCK_H
#define SEQBENCH_BLOCK_H

#include <math.h>

#include "blas.h"
#include "vmath.h"

enum { BLOCK_FFN_FACTOR = 4 };

enum {
    BLOCK_WQKV,
    BLOCK_BQKV,
    BLOCK_WO,
    BLOCK_BO,
    BLOCK_W1,
    BLOCK_B1,
    BLOCK_W2,
    BLOCK_B2,
    BLOCK_LN1_G,
    BLOCK_LN1_B,
    BLOCK_LN2_G,
    BLOCK_LN2_B,
    BLOCK_PARAMETERS,
};

static const float block_norm_epsilon = 1e-5f;

/*
 * Matrices in +-1/sqrt(inputs of the map), as torch.nn.Linear draws them; gains in [0.9,1.1],
 * biases of the norms in [-0.1,0.1].
 */
static inline void block_parameters(int64_t H, struct tensor out[BLOCK_PARAMETERS])
{
    const int64_t F = BLOCK_FFN_FACTOR * H;
    const float w = 1.0f / sqrtf((float)H), w2 = 1.0f / sqrtf((float)F);
    out[BLOCK_WQKV] = (struct tensor){"Wqkv", PARAMETER, {3 * H, H}, 0.0f, w};
    out[BLOCK_BQKV] = (struct tensor){"bqkv", PARAMETER, {3 * H}, 0.0f, w};
    out[BLOCK_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, w};
    out[BLOCK_BO] = (struct tensor){"bo", PARAMETER, {H}, 0.0f, w};
    out[BLOCK_W1] = (struct tensor){"W1", PARAMETER, {F, H}, 0.0f, w};
    out[BLOCK_B1] = (struct tensor){"b1", PARAMETER, {F}, 0.0f, w};
    out[BLOCK_W2] = (struct tensor){"W2", PARAMETER, {H, F}, 0.0f, w2};
    out[BLOCK_B2] = (struct tensor){"b2", PARAMETER, {H}, 0.0f, w2};
    out[BLOCK_LN1_G] = (struct tensor){"ln1_g", PARAMETER, {H}, 1.0f, 0.1f};
    out[BLOCK_LN1_B] = (struct tensor){"ln1_b", PARAMETER, {H}, 0.0f, 0.1f};
    out[BLOCK_LN2_G] = (struct tensor){"ln2_g", PARAMETER, {H}, 1.0f, 0.1f};
    out[BLOCK_LN2_B] = (struct tensor){"ln2_b", PARAMETER, {H}, 0.0f, 0.1f};
}

/* scores[rows,keys] = q k^T / sqrt(H/A) of one head: queries from first on, keys from 0 on. */
static inline void block_head_scores(struct dims d, int64_t head, int64_t first, int64_t rows,
                                     int64_t keys, const float *qkv, float *scores)
{
    const int64_t size = d.H / d.A, row = 3 * d.H;
    const float *q = qkv + first * row + head * size, *k = qkv + d.H + head * size;
    blas_sgemm_nt(rows, keys, size, 1.0f / sqrtf((float)size), q, row, k, row, 0.0f, scores, keys);
}

/* The rows of context[S,H] from first on, one head: probs[rows,keys] times v. */
static inline void block_head_weighted(struct dims d, int64_t head, int64_t first, int64_t rows,
                                       int64_t keys, const float *probs, const float *qkv,
                                       float *context)
{
    const int64_t size = d.H / d.A, row = 3 * d.H;
    const float *v = qkv + 2 * d.H + head * size;
    blas_sgemm_nn(rows, size, keys, probs, keys, v, row, context + first * d.H + head * size, d.H);
}

/* y[rows,H] = LN(x), row by row. y may be x. */
static inline void block_norm(int64_t rows, int64_t H, const float *x, const float *gain,
                              const float *bias, float *y)
{
    for (int64_t r = 0; r < rows; r++)
        vmath_layer_norm(H, x + r * H, gain, bias, block_norm_epsilon, y + r * H);
}

/* y = x + W in + b: the product accumulates onto the residual. in[rows,n] W[H,n]; y may be x. */
static inline void block_residual_linear(int64_t rows, int64_t n, int64_t H, const float *in,
                                         const float *W, const float *b, const float *x, float *y)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < H; i++)
            y[r * H + i] = x[r * H + i] + b[i];
    blas_sgemm_nt(rows, H, n, 1.0f, in, n, W, n, 1.0f, y, H);
}

/*
 * From the heads' context[rows,H] to y[rows,H]: x1 = x + Wo context + bo,
 * y = x1 + W2 gelu(W1 LN2(x1) + b1) + b2. p: the parameters; normed[rows,H], hidden[rows,F]:
 * scratch.
 */
static inline void block_gelu_finish(int64_t rows, int64_t H, float *const p[BLOCK_PARAMETERS],
                                     const float *x, const float *context, float *normed,
                                     float *hidden, float *y)
{
    const int64_t F = BLOCK_FFN_FACTOR * H;
    block_residual_linear(rows, H, H, context, p[BLOCK_WO], p[BLOCK_BO], x, y);
    block_norm(rows, H, y, p[BLOCK_LN2_G], p[BLOCK_LN2_B], normed);
    blas_linear(rows, H, F, normed, p[BLOCK_W1], p[BLOCK_B1], hidden);
    vmath_gelu_tanh(rows * F, hidden, hidden);
    block_residual_linear(rows, F, H, hidden, p[BLOCK_W2], p[BLOCK_B2], y, y);
}

#endif
