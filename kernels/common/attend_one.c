#include "common/attend_one.h"

#include <math.h>
#include <string.h>

#include "vmath.h"

enum { KEYS = 4, VECTORS = 4 };

/* Heads of so many channels that share keys and values, and how many keys they see. */
struct group {
    int64_t heads, size, seen;
};

/* scores[KEYS] = k q, k[KEYS,size]; as many sums are under way. */
static void products_with_keys(int64_t size, const float *q, const float *k, float *scores)
{
    vfloat sum[KEYS] = {(vfloat){0}};
    int64_t c = 0;
    for (; c + VMATH_LANES <= size; c += VMATH_LANES)
        for (int row = 0; row < KEYS; row++)
            sum[row] += v_load(q + c) * v_load(k + row * size + c);
    for (int row = 0; c < size && row < KEYS; row++)
        sum[row] +=
            v_load_head(q + c, size - c, 0.0f) * v_load_head(k + row * size + c, size - c, 0.0f);
    for (int row = 0; row < KEYS; row++)
        scores[row] = vmath_sum_lanes(sum[row]);
}

/* scores[heads,seen] of the cached keys k[seen - 1,size], each of which meets all heads in turn. */
static void scores_of_cached(struct group g, const float *q, const float *k, float *scores)
{
    int64_t j = 0;
    for (; j + KEYS <= g.seen - 1; j += KEYS)
        for (int64_t a = 0; a < g.heads; a++)
            products_with_keys(g.size, q + a * g.size, k + j * g.size, scores + a * g.seen + j);
    for (; j < g.seen - 1; j++)
        for (int64_t a = 0; a < g.heads; a++)
            scores[a * g.seen + j] = vmath_dot(g.size, q + a * g.size, k + j * g.size);
}

/* out += sum of p[j] v[j], v[n,size], for VECTORS vectors of channels held in registers. */
static void add_weighted_columns(int64_t n, int64_t size, const float *p, const float *v,
                                 float *out)
{
    vfloat even[VECTORS] = {(vfloat){0}}, odd[VECTORS] = {(vfloat){0}};
    int64_t j = 0;
    for (; j + 2 <= n; j += 2)
        for (int i = 0; i < VECTORS; i++) {
            even[i] += p[j] * v_load(v + j * size + i * VMATH_LANES);
            odd[i] += p[j + 1] * v_load(v + (j + 1) * size + i * VMATH_LANES);
        }
    for (int i = 0; i < VECTORS; i++) {
        float *at = out + i * VMATH_LANES;
        if (j < n)
            even[i] += p[j] * v_load(v + j * size + i * VMATH_LANES);
        v_store(at, v_load(at) + (even[i] + odd[i]));
    }
}

static void add_weighted(int64_t n, int64_t size, const float *p, const float *v, float *out)
{
    int64_t c = 0;
    for (; c + VECTORS * VMATH_LANES <= size; c += VECTORS * VMATH_LANES)
        add_weighted_columns(n, size, p, v + c, out + c);
    for (; c < size; c += VMATH_LANES) {
        const int64_t width = at_most(size - c, VMATH_LANES);
        vfloat sum = {0};
        for (int64_t j = 0; j < n; j++)
            sum += p[j] * v_load_head(v + j * size + c, width, 0.0f);
        v_store_head(out + c, v_load_head(out + c, width, 0.0f) + sum, width);
    }
}

/* Values that all heads of a group meet while they are in the nearest cache. */
enum { SHARED_FLOATS = 4096 };

/* context[heads,size] = probs[heads,seen] of the cached values v[seen - 1,size]. */
static void weighted_cached(struct group g, const float *probs, const float *v, float *context)
{
    const int64_t cached = g.seen - 1,
                  few = SHARED_FLOATS / g.size > 2 ? SHARED_FLOATS / g.size : 2;
    const int64_t block = g.heads > 1 ? few : g.seen;
    memset(context, 0, (size_t)(g.heads * g.size) * sizeof(float));
    for (int64_t j = 0; j < cached; j += block)
        for (int64_t a = 0; a < g.heads; a++)
            add_weighted(at_most(cached - j, block), g.size, probs + a * g.seen + j, v + j * g.size,
                         context + a * g.size);
}

/* One group: its q[heads,size], k[size] and v[size] of the new token and its caches. */
static void attend_group(struct group g, const float *q, const float *k, const float *v,
                         const float *k_cache, const float *v_cache, float *probs, float *context)
{
    scores_of_cached(g, q, k_cache, probs);
    for (int64_t a = 0; a < g.heads; a++) {
        float *row = probs + a * g.seen;
        row[g.seen - 1] = vmath_dot(g.size, q + a * g.size, k);
        vmath_softmax(g.seen, row, row);
    }
    weighted_cached(g, probs, v_cache, context);
    for (int64_t a = 0; a < g.heads; a++) {
        const float p = probs[a * g.seen + g.seen - 1];
        for (int64_t c = 0; c < g.size; c++)
            context[a * g.size + c] += p * v[c];
    }
}

void attend_one(struct dims d, float *qkv, const float *k_cache, const float *v_cache, float *probs,
                float *context)
{
    const int64_t size = d.H / d.A;
    const struct group g = {d.A / kv_heads(d), size, seen_keys(d)};
    const float scale = 1.0f / sqrtf((float)size);
    for (int64_t c = 0; c < d.H; c++)
        qkv[c] *= scale;
    for (int64_t head = 0; head < kv_heads(d); head++) {
        const int64_t first = head * g.heads * size, cached = attend_one_first(d, head);
        const float *k = qkv + d.H + head * size;
        attend_group(g, qkv + first, k, k + kv_channels(d), k_cache + cached, v_cache + cached,
                     probs, context + first);
    }
    multiply_adds_done += 2 * g.seen * d.H;
}

void attend_one_carry(struct dims d, int64_t run_number, const float *k_new, const float *v_new,
                      float *k_cache, float *v_cache)
{
    const int64_t size = d.H / d.A, cached = seen_keys(d) - 1;
    for (int64_t head = 0; head < kv_heads(d) && cached > 0; head++) {
        const int64_t at = attend_one_first(d, head) + run_number % cached * size;
        memcpy(k_cache + at, k_new + head * size, (size_t)size * sizeof(float));
        memcpy(v_cache + at, v_new + head * size, (size_t)size * sizeof(float));
    }
}
