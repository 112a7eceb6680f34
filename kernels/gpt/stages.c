/* stages.c - what the algorithms of the GPT block share. */
#include "gpt.h"

const struct map gpt_maps[BLOCK_MAPS] =
    BLOCK_MAP_TABLE(GPT_PARAMETERS, .relu = false, .one_row = false);

int gpt_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[GPT_NORMED] = (struct tensor){.name = "normed", .shape = {token_rows(d), d.H}};
    out[GPT_QKV] = (struct tensor){.name = "qkv", .shape = {token_rows(d), qkv_channels(d)}};
    out[GPT_CONTEXT] = (struct tensor){.name = "context", .shape = {token_rows(d), d.H}};
    out[GPT_HIDDEN] =
        (struct tensor){.name = "hidden", .shape = {token_rows(d), BLOCK_FFN_FACTOR * d.H}};
    return GPT_SCORES;
}

void gpt_begin(const struct instance *in)
{
    const int64_t rows = token_rows(in->dims), H = in->dims.H;
    float *const *p = in->t + GPT_PARAMETERS, *normed = in->scratch[GPT_NORMED];
    block_norm(rows, H, in->t[GPT_X], p[BLOCK_LN1_G], p[BLOCK_LN1_B], normed);
    product_rows(in, MAP_QKV, rows, normed, in->scratch[GPT_QKV]);
}

void gpt_run(const struct instance *in, attend_by_scores *attend)
{
    gpt_begin(in);
    attend_each(in->dims, in->scratch[GPT_QKV], in->scratch[GPT_SCORES], in->scratch[GPT_CONTEXT],
                attend);
    gpt_finish(in);
}

void gpt_finish(const struct instance *in)
{
    block_gelu_finish(in, token_rows(in->dims), in->t + GPT_PARAMETERS, in->t[GPT_X],
                      in->scratch[GPT_CONTEXT], in->scratch[GPT_NORMED], in->scratch[GPT_HIDDEN],
                      in->t[GPT_Y]);
}
