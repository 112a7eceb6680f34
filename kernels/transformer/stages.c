/* stages.c - the stages that algorithms and parts of the Transformer block share. */
#include "transformer.h"

const struct map transformer_maps[BLOCK_MAPS] =
    BLOCK_MAP_TABLE(TRANSFORMER_PARAMETERS, .relu = true, .one_row = false);

void transformer_residual_norm(struct dims d, const float *a, const float *b, const float *gain,
                               const float *bias, float *y)
{
    for (int64_t s = 0; s < token_rows(d); s++) {
        float *row = y + s * d.H;
        for (int64_t k = 0; k < d.H; k++)
            row[k] = a[s * d.H + k] + b[s * d.H + k];
        vmath_layer_norm(d.H, row, gain, bias, block_norm_epsilon, row);
    }
}

void transformer_feed_forward(const struct instance *in, int first, const float *x, float *hidden,
                              float *y)
{
    product_rows(in, first, token_rows(in->dims), x, hidden);
    product_rows(in, first + 1, token_rows(in->dims), hidden, y);
}

void transformer_scratch(struct dims d, struct tensor out[TRANSFORMER_SCORES])
{
    const int64_t F = BLOCK_FFN_FACTOR * d.H, rows = token_rows(d);
    out[TRANSFORMER_QKV] = (struct tensor){.name = "qkv", .shape = {rows, 3 * d.H}};
    out[TRANSFORMER_CONTEXT] = (struct tensor){.name = "context", .shape = {rows, d.H}};
    out[TRANSFORMER_BRANCH] = (struct tensor){.name = "branch", .shape = {rows, d.H}};
    out[TRANSFORMER_NORMED] = (struct tensor){.name = "normed", .shape = {rows, d.H}};
    out[TRANSFORMER_HIDDEN] = (struct tensor){.name = "hidden", .shape = {rows, F}};
}

void transformer_finish(const struct instance *in)
{
    float *const *p = in->t + TRANSFORMER_PARAMETERS, *const *s = in->scratch;
    const struct dims d = in->dims;
    product_rows(in, MAP_OUTPUT, token_rows(d), s[TRANSFORMER_CONTEXT], s[TRANSFORMER_BRANCH]);
    transformer_residual_norm(d, in->t[TRANSFORMER_X], s[TRANSFORMER_BRANCH], p[BLOCK_LN1_G],
                              p[BLOCK_LN1_B], s[TRANSFORMER_NORMED]);
    transformer_feed_forward(in, MAP_FIRST, s[TRANSFORMER_NORMED], s[TRANSFORMER_HIDDEN],
                             s[TRANSFORMER_BRANCH]);
    transformer_residual_norm(d, s[TRANSFORMER_NORMED], s[TRANSFORMER_BRANCH], p[BLOCK_LN2_G],
                              p[BLOCK_LN2_B], in->t[TRANSFORMER_Y]);
}
