/* attend.c - the attention of one token. */
#include "decode.h"
#include "vmath.h"

enum { KEYS = 4, VECTORS = 4 };

/* scores[n] = k q, k[n,size]; KEYS rows at a time, so that as many sums are under way. */
static void products_with_keys(int64_t n, int64_t size, const float *q, const float *k,
                               float *scores)
{
    int64_t j = 0;
    for (; j + KEYS <= n; j += KEYS) {
        const float *rows = k + j * size;
        vfloat sum[KEYS] = {(vfloat){0}};
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
    vfloat even[VECTORS] = {(vfloat){0}}, odd[VECTORS] = {(vfloat){0}};
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
        const int64_t width = at_most(size - c, VMATH_LANES);
        vfloat sum = {0};
        for (int64_t j = 0; j < n; j++)
            sum += p[j] * v_load_head(v + j * size + c, width, 0.0f);
        v_store_head(out + c, sum, width);
    }
}

void decode_attend(struct dims d, int64_t head, const float *qkv, const float *k_cache,
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
