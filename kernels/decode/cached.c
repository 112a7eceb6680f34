/* decode/cached: one pass over a head's keys, one over its values. */
#include <math.h>
#include <string.h>

#include "decode.h"

static const struct map maps[BLOCK_MAPS] =
    BLOCK_MAP_TABLE(DECODE_PARAMETERS, .relu = false, .one_row = true);

enum { NORMED, QKV, PROBS, CONTEXT, HIDDEN };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[NORMED] = (struct tensor){.name = "normed", .shape = {d.H}};
    out[QKV] = (struct tensor){.name = "qkv", .shape = {3 * d.H}};
    out[PROBS] = (struct tensor){.name = "probs", .shape = {d.S}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    float *const *p = in->t + DECODE_PARAMETERS;
    float *qkv = in->scratch[QKV], *context = in->scratch[CONTEXT];
    const float scale = 1.0f / sqrtf((float)(d.H / d.A));

    block_norm(1, d.H, in->t[DECODE_X], p[BLOCK_LN1_G], p[BLOCK_LN1_B], in->scratch[NORMED]);
    product_row(in, MAP_QKV, in->scratch[NORMED], NULL, qkv);
    memcpy(in->t[DECODE_K_NEW], qkv + d.H, (size_t)d.H * sizeof(float));
    memcpy(in->t[DECODE_V_NEW], qkv + 2 * d.H, (size_t)d.H * sizeof(float));
    for (int64_t c = 0; c < d.H; c++)
        qkv[c] *= scale;
    for (int64_t head = 0; head < d.A; head++)
        decode_attend(d, head, qkv, in->t[DECODE_K_CACHE], in->t[DECODE_V_CACHE],
                      in->scratch[PROBS], context);
    block_gelu_finish(in, 1, p, in->t[DECODE_X], context, in->scratch[NORMED], in->scratch[HIDDEN],
                      in->t[DECODE_Y]);
}

const struct algorithm decode_cached = {
    .name = "decode/cached",
    .method = "one token: keys, then values of a head streamed once",
    .layer = &decode_layer,
    .products = PRODUCTS_STEP,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
