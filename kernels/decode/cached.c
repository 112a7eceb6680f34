/* decode/cached: sgemv for the maps, one pass over a head's keys, one over its values. */
#include <math.h>
#include <string.h>

#include "decode.h"

enum { NORMED, QKV, PROBS, CONTEXT, HIDDEN };
enum { KEYS = 4, VECTORS = 4 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[NORMED] = (struct tensor){.name = "normed", .shape = {d.H}};
    out[QKV] = (struct tensor){.name = "qkv", .shape = {3 * d.H}};
    out[PROBS] = (struct tensor){.name = "probs", .shape = {d.S}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

/* scores[n] = k q, k[n,size]; KEYS rows at a time, so that as many sums are under way. */
static void products_with_keys(int64_t n, int64_t size, const float *q, const float *k,
                               float *scores)
{
    int64_t j = 0;
    for (; j + KEYS <= n; j += KEYS) {
        const float *rows = k + j * size;
        vfloat sum[KEYS] = {{0}};
        int64_t c = 0;
        for (; c + VMATH_LANES <= size; c += VMATH_LANES)
            for (int row = 0; row < KEYS; row++)
                sum[row] += v_load(q + c) * v_load(rows + row * size + c);
        for (int row = 0; c < size && row < KEYS; row++)
            sum[row] += v_load_head(q + c, size - c, 0.0f) *
                        v_load_head(rows + row * size + c, size - c, 0.0f);
        for (int row = 0; row < KEYS; row++)
            scores[j + row] = vmath_sum_lanes(sum[row]);
    }
    for (; j < n; j++)
        scores[j] = vmath_dot(size, q, k + j * size);
}

/* out = sum of p[j] v[j], v[n,size], for VECTORS vectors of channels held in registers. */
static void weighted_columns(int64_t n, int64_t size, const float *p, const float *v, float *out)
{
    vfloat even[VECTORS] = {{0}}, odd[VECTORS] = {{0}};
    int64_t j = 0;
    for (; j + 2 <= n; j += 2)
        for (int i = 0; i < VECTORS; i++) {
            even[i] += p[j] * v_load(v + j * size + i * VMATH_LANES);
            odd[i] += p[j + 1] * v_load(v + (j + 1) * size + i * VMATH_LANES);
        }
    for (int i = 0; i < VECTORS; i++) {
        if (j < n)
            even[i] += p[j] * v_load(v + j * size + i * VMATH_LANES);
        v_store(out + i * VMATH_LANES, even[i] + odd[i]);
    }
}

static void weighted_sum(int64_t n, int64_t size, const float *p, const float *v, float *out)
{
    int64_t c = 0;
    for (; c + VECTORS * VMATH_LANES <= size; c += VECTORS * VMATH_LANES)
        weighted_columns(n, size, p, v + c, out + c);
    for (; c < size; c += VMATH_LANES) {
        const int64_t width = size - c < VMATH_LANES ? size - c : VMATH_LANES;
        vfloat sum = {0};
        for (int64_t j = 0; j < n; j++)
            sum += p[j] * v_load_head(v + j * size + c, width, 0.0f);
        v_store_head(out + c, sum, width);
    }
}

/* Context of a head: its S - 1 cached tokens and the new one. */
static void attend(struct dims d, int64_t head, const float *qkv, const float *k_cache,
                   const float *v_cache, float *probs, float *context)
{
    const int64_t size = d.H / d.A, first = head * size, old = d.S - 1;
    const float *q = qkv + first, *v_new = qkv + 2 * d.H + first;
    products_with_keys(old, size, q, k_cache + first * d.S, probs);
    probs[old] = vmath_dot(size, q, qkv + d.H + first);
    vmath_softmax(d.S, probs, probs);
    weighted_sum(old, size, probs, v_cache + first * d.S, context + first);
    for (int64_t c = 0; c < size; c++)
        context[first + c] += probs[old] * v_new[c];
    multiply_adds_done += 2 * d.S * size;
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
        attend(d, head, qkv, in->t[DECODE_K_CACHE], in->t[DECODE_V_CACHE], in->scratch[PROBS],
               context);
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
