/*
 * block.h - what Transformer blocks share: their parameters and linear maps, and the second half
 * of a pre-norm GELU block. FfnSize F = 4H.
 */
#ifndef SEQBENCH_BLOCK_H
#define SEQBENCH_BLOCK_H

#include <math.h>

#include "products.h"

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

/* The linear maps of a block whose first parameter is tensor p. */
enum block_map { MAP_QKV, MAP_OUTPUT, MAP_FIRST, MAP_SECOND, BLOCK_MAPS };
#define BLOCK_MAP_TABLE(p, of_first, ...)                                                          \
    {                                                                                              \
        [MAP_QKV] = {(p) + BLOCK_WQKV, .bias = (p) + BLOCK_BQKV, __VA_ARGS__},                     \
        [MAP_OUTPUT] = {(p) + BLOCK_WO, .bias = (p) + BLOCK_BO, __VA_ARGS__},                      \
        [MAP_FIRST] = {(p) + BLOCK_W1, .bias = (p) + BLOCK_B1, of_first, __VA_ARGS__},             \
        [MAP_SECOND] = {                                                                           \
            (p) + BLOCK_W2,                                                                        \
            .bias = (p) + BLOCK_B2,                                                                \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const float block_norm_epsilon = 1e-5f;

/*
 * Matrices in +-1/sqrt(inputs of the map), as torch.nn.Linear draws them; gains in [0.9,1.1],
 * biases of the norms in [-0.1,0.1].
 */
static inline void block_parameters(struct dims d, struct tensor out[BLOCK_PARAMETERS])
{
    const int64_t H = d.H, F = BLOCK_FFN_FACTOR * H;
    const float w = 1.0f / sqrtf((float)H), w2 = 1.0f / sqrtf((float)F);
    out[BLOCK_WQKV] = (struct tensor){"Wqkv", PARAMETER, {qkv_channels(d), H}, 0.0f, w};
    out[BLOCK_BQKV] = (struct tensor){"bqkv", PARAMETER, {qkv_channels(d)}, 0.0f, w};
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

/* y[rows,H] = LN(x), row by row. y may be x. */
static inline void block_norm(int64_t rows, int64_t H, const float *x, const float *gain,
                              const float *bias, float *y)
{
    for (int64_t r = 0; r < rows; r++)
        vmath_layer_norm(H, x + r * H, gain, bias, block_norm_epsilon, y + r * H);
}

/*
 * From the heads' context[rows,H] to y[rows,H]: x1 = x + Wo context + bo,
 * y = x1 + W2 gelu(W1 LN2(x1) + b1) + b2. p: the parameters; normed[rows,H], hidden[rows,F]:
 * scratch.
 */
static inline void block_gelu_finish(const struct instance *in, int64_t rows,
                                     float *const p[BLOCK_PARAMETERS], const float *x,
                                     const float *context, float *normed, float *hidden, float *y)
{
    const int64_t H = in->dims.H, F = BLOCK_FFN_FACTOR * H;
    product(in, MAP_OUTPUT, rows, context, H, x, y, H);
    block_norm(rows, H, y, p[BLOCK_LN2_G], p[BLOCK_LN2_B], normed);
    product_rows(in, MAP_FIRST, rows, normed, hidden);
    vmath_gelu_tanh(rows * F, hidden, hidden);
    product(in, MAP_SECOND, rows, hidden, F, y, y, H);
}

#endif
