/* stages.c - what the variants of the GPT block share. Labels: layer.c. */
#include <string.h>

#include "gpt.h"

int gpt_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[GPT_NORMED] = (struct tensor){.name = "normed", .shape = {d.S, d.H}};
    out[GPT_QKV] = (struct tensor){.name = "qkv", .shape = {d.S, 3 * d.H}};
    out[GPT_CONTEXT] = (struct tensor){.name = "context", .shape = {d.S, d.H}};
    out[GPT_HIDDEN] = (struct tensor){.name = "hidden", .shape = {d.S, BLOCK_FFN_FACTOR * d.H}};
    return GPT_SCORES;
}

void gpt_begin(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    float *const *p = in->t + GPT_PARAMETERS, *normed = in->scratch[GPT_NORMED];
    block_norm(S, H, in->t[GPT_X], p[BLOCK_LN1_G], p[BLOCK_LN1_B], normed);
    blas_linear(S, H, 3 * H, normed, p[BLOCK_WQKV], p[BLOCK_BQKV], in->scratch[GPT_QKV]);
}

void gpt_finish(const struct instance *in)
{
    block_gelu_finish(in->dims.S, in->dims.H, in->t + GPT_PARAMETERS, in->t[GPT_X],
                      in->scratch[GPT_CONTEXT], in->scratch[GPT_NORMED], in->scratch[GPT_HIDDEN],
                      in->t[GPT_Y]);
}

void gpt_causal_softmax(int64_t first, int64_t rows, int64_t keys, float *scores)
{
    for (int64_t r = 0; r < rows; r++) {
        const int64_t seen = first + r + 1;
        float *row = scores + r * keys;
        vmath_softmax(seen, row, row);
        memset(row + seen, 0, (size_t)(keys - seen) * sizeof(float));
    }
}
