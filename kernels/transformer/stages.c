/* stages.c - the stages that variants and parts of the Transformer block share. Labels: layer.c. */
#include "blas.h"
#include "transformer.h"
#include "vmath.h"

void transformer_head_scores(struct dims d, int64_t head, int64_t first, int64_t rows,
                             const float *qkv, float *scores)
{
    block_head_scores(d, head, first, rows, d.S, qkv, scores);
}

void transformer_head_weighted(struct dims d, int64_t head, int64_t first, int64_t rows,
                               const float *probs, const float *qkv, float *context)
{
    block_head_weighted(d, head, first, rows, d.S, probs, qkv, context);
}

void transformer_softmax_rows(int64_t rows, int64_t n, const float *in, float *out)
{
    for (int64_t r = 0; r < rows; r++)
        vmath_softmax(n, in + r * n, out + r * n);
}

void transformer_residual_norm(struct dims d, const float *a, const float *b, const float *gain,
                               const float *bias, float *y)
{
    for (int64_t s = 0; s < d.S; s++) {
        float *row = y + s * d.H;
        for (int64_t k = 0; k < d.H; k++)
            row[k] = a[s * d.H + k] + b[s * d.H + k];
        vmath_layer_norm(d.H, row, gain, bias, block_norm_epsilon, row);
    }
}

void transformer_feed_forward(struct dims d, const float *x, const float *W1, const float *b1,
                              const float *W2, const float *b2, float *hidden, float *y)
{
    const int64_t F = BLOCK_FFN_FACTOR * d.H;
    blas_linear(d.S, d.H, F, x, W1, b1, hidden);
    for (int64_t i = 0; i < d.S * F; i++)
        hidden[i] = hidden[i] > 0.0f ? hidden[i] : 0.0f;
    blas_linear(d.S, F, d.H, hidden, W2, b2, y);
}

void transformer_finish(const struct instance *in, const float *context, float *branch,
                        float *normed, float *hidden)
{
    float *const *t = in->t;
    const struct dims d = in->dims;
    blas_linear(d.S, d.H, d.H, context, t[TRANSFORMER_WO], t[TRANSFORMER_BO], branch);
    transformer_residual_norm(d, t[TRANSFORMER_X], branch, t[TRANSFORMER_LN1_G],
                              t[TRANSFORMER_LN1_B], normed);
    transformer_feed_forward(d, normed, t[TRANSFORMER_W1], t[TRANSFORMER_B1], t[TRANSFORMER_W2],
                             t[TRANSFORMER_B2], hidden, branch);
    transformer_residual_norm(d, normed, branch, t[TRANSFORMER_LN2_G], t[TRANSFORMER_LN2_B],
                              t[TRANSFORMER_Y]);
}
