/* decode/cached: one pass over the keys of the heads that share them, one over their values. */
#include <string.h>

#include "decode.h"

static const struct map maps[BLOCK_MAPS] =
    BLOCK_MAP_TABLE(DECODE_PARAMETERS, .relu = false, .one_row = true);

enum { NORMED, QKV, PROBS, CONTEXT, HIDDEN };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[NORMED] = (struct tensor){.name = "normed", .shape = {d.B, d.H}};
    out[QKV] = (struct tensor){.name = "qkv", .shape = {d.B, qkv_channels(d)}};
    out[PROBS] = (struct tensor){.name = "probs", .shape = {attend_one_scratch(d)}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.B, d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {d.B, BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

/* The token of sequence b: its row [q | k | v] to k_new, v_new and context[H]. */
static void attend(const struct instance *in, int64_t b, float *qkv)
{
    const struct dims d = in->dims;
    const int64_t kv = kv_channels(d), cache = d.S * kv;
    memcpy(in->t[DECODE_K_NEW] + b * kv, qkv + d.H, (size_t)kv * sizeof(float));
    memcpy(in->t[DECODE_V_NEW] + b * kv, qkv + d.H + kv, (size_t)kv * sizeof(float));
    attend_one(d, qkv, in->t[DECODE_K_CACHE] + b * cache, in->t[DECODE_V_CACHE] + b * cache,
               in->scratch[PROBS], in->scratch[CONTEXT] + b * d.H);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    float *const *p = in->t + DECODE_PARAMETERS;
    block_norm(d.B, d.H, in->t[DECODE_X], p[BLOCK_LN1_G], p[BLOCK_LN1_B], in->scratch[NORMED]);
    product_rows(in, MAP_QKV, d.B, in->scratch[NORMED], in->scratch[QKV]);
    for (int64_t b = 0; b < d.B; b++)
        attend(in, b, in->scratch[QKV] + b * qkv_channels(d));
    block_gelu_finish(in, d.B, p, in->t[DECODE_X], in->scratch[CONTEXT], in->scratch[NORMED],
                      in->scratch[HIDDEN], in->t[DECODE_Y]);
}

const struct algorithm decode_cached = {
    .name = "decode/cached",
    .method = "one token: keys, then values of the heads that share them streamed once",
    .layer = &decode_layer,
    .batch_rows = BATCH_TOGETHER,
    .products = PRODUCTS_STEP,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
