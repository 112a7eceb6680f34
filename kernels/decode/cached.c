/* decode/cached: sgemv for the maps, one pass over a head's keys, one over its values. */
#include <math.h>
#include <string.h>

#include "decode.h"

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
    blas_linear(1, d.H, 3 * d.H, in->scratch[NORMED], p[BLOCK_WQKV], p[BLOCK_BQKV], qkv);
    memcpy(in->t[DECODE_K_NEW], qkv + d.H, (size_t)d.H * sizeof(float));
    memcpy(in->t[DECODE_V_NEW], qkv + 2 * d.H, (size_t)d.H * sizeof(float));
    for (int64_t c = 0; c < d.H; c++)
        qkv[c] *= scale;
    for (int64_t head = 0; head < d.A; head++)
        decode_attend(d, head, qkv, in->t[DECODE_K_CACHE], in->t[DECODE_V_CACHE],
                      in->scratch[PROBS], context);
    block_gelu_finish(1, d.H, p, in->t[DECODE_X], context, in->scratch[NORMED], in->scratch[HIDDEN],
                      in->t[DECODE_Y]);
}

const struct kernel decode_cached = {
    .name = "decode/cached",
    .method = "one token: sgemv for the maps; keys, then values of a head streamed once",
    .layer = &decode_layer,
    .scratch = scratch,
    .run = run,
};
