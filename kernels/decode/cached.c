/* decode/cached: one pass over a head's keys, one over its values. */
#include <math.h>
#include <string.h>

#include "decode.h"

static const struct map maps[BLOCK_MAPS] =
    BLOCK_MAP_TABLE(DECODE_PARAMETERS, .relu = false, .one_row = true);

enum { NORMED, QKV, PROBS, CONTEXT, HIDDEN };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[NORMED] = (struct tensor){.name = "normed", .shape = {d.B, d.H}};
    out[QKV] = (struct tensor){.name = "qkv", .shape = {d.B, 3 * d.H}};
    out[PROBS] = (struct tensor){.name = "probs", .shape = {d.S}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.B, d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {d.B, BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

/* The token of sequence b: qkv[3H] to k_new, v_new and context[H]. */
static void attend(const struct instance *in, int64_t b, float *qkv)
{
    const struct dims d = in->dims;
    const float scale = 1.0f / sqrtf((float)(d.H / d.A));
    memcpy(in->t[DECODE_K_NEW] + b * d.H, qkv + d.H, (size_t)d.H * sizeof(float));
    memcpy(in->t[DECODE_V_NEW] + b * d.H, qkv + 2 * d.H, (size_t)d.H * sizeof(float));
    for (int64_t c = 0; c < d.H; c++)
        qkv[c] *= scale;
    for (int64_t head = 0; head < d.A; head++)
        decode_attend(d, head, qkv, in->t[DECODE_K_CACHE] + b * d.S * d.H,
                      in->t[DECODE_V_CACHE] + b * d.S * d.H, in->scratch[PROBS],
                      in->scratch[CONTEXT] + b * d.H);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    float *const *p = in->t + DECODE_PARAMETERS;
    block_norm(d.B, d.H, in->t[DECODE_X], p[BLOCK_LN1_G], p[BLOCK_LN1_B], in->scratch[NORMED]);
    product_rows(in, MAP_QKV, d.B, in->scratch[NORMED], in->scratch[QKV]);
    for (int64_t b = 0; b < d.B; b++)
        attend(in, b, in->scratch[QKV] + b * 3 * d.H);
    block_gelu_finish(in, d.B, p, in->t[DECODE_X], in->scratch[CONTEXT], in->scratch[NORMED],
                      in->scratch[HIDDEN], in->t[DECODE_Y]);
}

const struct algorithm decode_cached = {
    .name = "decode/cached",
    .method = "one token: keys, then values of a head streamed once",
    .layer = &decode_layer,
    .batch_rows = BATCH_TOGETHER,
    .products = PRODUCTS_STEP,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
