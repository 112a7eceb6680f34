/*
 * decode/packed: weights packed once, so that every map streams its matrix in order; keys, then
 * values of a head streamed once. Labels: layer.c.
 */
#include <math.h>
#include <string.h>

#include "decode.h"
#include "packed_block.h"

enum { NORMED, QKV, PROBS, CONTEXT, HIDDEN };

static void prepare(struct instance *in)
{
    packed_block_fill(in, PACKED_STEP_VECTORS, in->t + DECODE_PARAMETERS);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[NORMED] = (struct tensor){.name = "normed", .shape = {d.H}};
    out[QKV] = (struct tensor){.name = "qkv", .shape = {3 * d.H}};
    out[PROBS] = (struct tensor){.name = "probs", .shape = {d.S}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

/* y = W x + b + addend */
static void apply(const struct instance *in, enum block_map map, const float *x,
                  const float *addend, float *y)
{
    const struct packed w = packed_map(map, in->dims.H, PACKED_STEP_VECTORS, in->prepared);
    packed_vector_product(&w, x, packed_map_bias(map, in->prepared), addend, y);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    const int64_t H = d.H;
    float *const *p = in->t + DECODE_PARAMETERS, *const *s = in->scratch;
    float *y = in->t[DECODE_Y], *qkv = s[QKV];
    const float scale = 1.0f / sqrtf((float)(H / d.A));

    block_norm(1, H, in->t[DECODE_X], p[BLOCK_LN1_G], p[BLOCK_LN1_B], s[NORMED]);
    apply(in, MAP_QKV, s[NORMED], 0, qkv);
    memcpy(in->t[DECODE_K_NEW], qkv + H, (size_t)H * sizeof(float));
    memcpy(in->t[DECODE_V_NEW], qkv + 2 * H, (size_t)H * sizeof(float));
    for (int64_t c = 0; c < H; c++)
        qkv[c] *= scale;
    for (int64_t head = 0; head < d.A; head++)
        decode_attend(d, head, qkv, in->t[DECODE_K_CACHE], in->t[DECODE_V_CACHE], s[PROBS],
                      s[CONTEXT]);
    apply(in, MAP_OUTPUT, s[CONTEXT], in->t[DECODE_X], y);
    block_norm(1, H, y, p[BLOCK_LN2_G], p[BLOCK_LN2_B], s[NORMED]);
    apply(in, MAP_FIRST, s[NORMED], 0, s[HIDDEN]);
    vmath_gelu_tanh(BLOCK_FFN_FACTOR * H, s[HIDDEN], s[HIDDEN]);
    apply(in, MAP_SECOND, s[HIDDEN], y, y);
}

const struct kernel decode_packed = {
    .name = "decode/packed",
    .method = "one token: weights packed once and streamed in order; keys, then values of a head",
    .layer = &decode_layer,
    .engine = PACKED,
    .prepared = packed_block_tensors,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
