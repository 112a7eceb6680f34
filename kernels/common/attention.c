#include "common/attention.h"

#include <math.h>
#include <string.h>

#include "common/panels.h"

void attention_scores(struct dims d, int64_t head, int64_t first, int64_t rows, int64_t keys,
                      const float *qkv, float *scores)
{
    const int64_t size = d.H / d.A, row = 3 * d.H;
    const float *q = qkv + first * row + head * size, *k = qkv + d.H + head * size;
    sgemm_nt(rows, keys, size, 1.0f / sqrtf((float)size), q, row, k, row, 0.0f, scores, keys);
}

void attention_weighted(struct dims d, int64_t head, int64_t first, int64_t rows, int64_t keys,
                        const float *probs, const float *qkv, float *context)
{
    const int64_t size = d.H / d.A, row = 3 * d.H;
    const float *v = qkv + 2 * d.H + head * size;
    sgemm_nn(rows, size, keys, probs, keys, v, row, 0.0f, context + first * d.H + head * size, d.H);
}

void attention_softmax(int64_t rows, int64_t n, const float *in, float *out)
{
    for (int64_t r = 0; r < rows; r++)
        vmath_softmax(n, in + r * n, out + r * n);
}

void attention_causal_softmax(int64_t first, int64_t rows, int64_t keys, float *scores)
{
    for (int64_t r = 0; r < rows; r++) {
        const int64_t seen = first + r + 1;
        float *row = scores + r * keys;
        vmath_softmax(seen, row, row);
        memset(row + seen, 0, (size_t)(keys - seen) * sizeof(float));
    }
}

int64_t attention_causal_pairs(int64_t S, int64_t tile)
{
    int64_t pairs = 0;
    for (int64_t first = 0; first < S; first += tile) {
        const int64_t rows = at_most(S - first, tile);
        pairs += rows * (first + rows);
    }
    return pairs;
}

/* ---- running softmax ---- */

enum { TILE_KEYS = 512 };

static struct panels matrix(int64_t out, int64_t in, const float *data)
{
    return (struct panels){.gates = 1,
                           .hid = out,
                           .block = VMATH_LANES,
                           .in = in,
                           .held = in,
                           .vectors = PRODUCT_VECTORS,
                           .data = data};
}

void attention_online_scratch(struct dims d, struct tensor out[ONLINE_SCRATCH])
{
    const int64_t size = d.H / d.A;
    const struct panels keys = matrix(d.S, size, NULL), values = matrix(size, d.S, NULL);
    out[ONLINE_KEYS] = panels_tensor("keys", &keys);
    out[ONLINE_VALUES] = panels_tensor("values", &values);
    out[ONLINE_TILE] = (struct tensor){.name = "tile", .shape = {ONLINE_QUERIES, TILE_KEYS}};
    out[ONLINE_SUMS] = (struct tensor){.name = "sums", .shape = {ONLINE_QUERIES, size}};
}

/* Packs one head's keys, times 1 / sqrt(size), and its values, tile by tile. */
static void pack_head(struct dims d, int64_t head, const float *qkv, float *keys, float *values)
{
    const int64_t size = d.H / d.A, row = 3 * d.H;
    const float *k = qkv + d.H + head * size, *v = k + d.H;
    const struct panels of_values = matrix(size, d.S, NULL);
    for (int64_t first = 0; first < d.S; first += TILE_KEYS) {
        const int64_t count = at_most(d.S - first, TILE_KEYS);
        const struct panels K = matrix(count, size, NULL), V = matrix(size, count, NULL);
        panels_fill(&K, k + first * row, row, 1.0f / sqrtf((float)size), keys + first * size);
        panels_fill_transposed(&V, v + first * row, row, values + first * panels_rows(&of_values));
    }
}

/* Maximum, and sum of e^(score - maximum), of what a query has seen. */
struct running {
    float max, total;
};

/* Scores of one query to e^(score - max); its sums so far, if any, are scaled to the new max. */
static void soften(int64_t count, int64_t size, bool is_first, float *scores,
                   struct running *of_query, float *sums)
{
    const float top = vmath_max(count, scores);
    if (is_first) {
        *of_query = (struct running){top, 0.0f};
    } else if (top > of_query->max) {
        const float scale = expf(of_query->max - top);
        of_query->max = top;
        of_query->total *= scale;
        for (int64_t c = 0; c < size; c++)
            sums[c] *= scale;
    }
    of_query->total += vmath_exp_below(count, scores, of_query->max, scores);
}

/* Context of one head for queries first .. first + rows, which see keys 0 .. keys. */
static void attend(struct dims d, int64_t head, int64_t first, int64_t rows, int64_t keys,
                   bool causal, const float *qkv, float *const scratch[ONLINE_SCRATCH],
                   float *context)
{
    const int64_t size = d.H / d.A, row = 3 * d.H;
    const float *q = qkv + first * row + head * size;
    const struct panels of_values = matrix(size, d.S, NULL);
    struct running running[ONLINE_QUERIES];
    float *tile = scratch[ONLINE_TILE], *sums = scratch[ONLINE_SUMS];
    for (int64_t key = 0; key < keys; key += TILE_KEYS) {
        const int64_t packed = at_most(d.S - key, TILE_KEYS), count = at_most(keys - key, packed);
        const struct panels K = matrix(packed, size, scratch[ONLINE_KEYS] + key * size);
        struct panels V =
            matrix(size, packed, scratch[ONLINE_VALUES] + key * panels_rows(&of_values));
        panels_product(rows, count, &K, q, row, NULL, NULL, false, tile, TILE_KEYS);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t seen = causal ? at_most(first + r + 1 - key, count) : count;
            float *scores = tile + r * TILE_KEYS;
            if (seen > 0)
                soften(seen, size, key == 0, scores, &running[r], sums + r * size);
            if (seen < count)
                memset(scores + (seen > 0 ? seen : 0), 0,
                       (size_t)(count - (seen > 0 ? seen : 0)) * sizeof(float));
        }
        V.in = count;
        panels_product(rows, size, &V, tile, TILE_KEYS, NULL, key ? sums : NULL, false, sums, size);
    }
    multiply_adds_done += 2 * rows * keys * size;
    for (int64_t r = 0; r < rows; r++) {
        float *out = context + (first + r) * d.H + head * size;
        const float scale = 1.0f / running[r].total;
        for (int64_t c = 0; c < size; c++)
            out[c] = sums[r * size + c] * scale;
    }
}

static void attend_sequence(struct dims d, bool causal, const float *qkv,
                            float *const scratch[ONLINE_SCRATCH], float *context)
{
    for (int64_t head = 0; head < d.A; head++) {
        pack_head(d, head, qkv, scratch[ONLINE_KEYS], scratch[ONLINE_VALUES]);
        for (int64_t first = 0; first < d.S; first += ONLINE_QUERIES) {
            const int64_t rows = at_most(d.S - first, ONLINE_QUERIES);
            attend(d, head, first, rows, causal ? first + rows : d.S, causal, qkv, scratch,
                   context);
        }
    }
}

void attend_online(struct dims d, bool causal, const float *qkv,
                   float *const scratch[ONLINE_SCRATCH], float *context)
{
    for (int64_t b = 0; b < d.B; b++)
        attend_sequence(d, causal, qkv + b * d.S * 3 * d.H, scratch, context + b * d.S * d.H);
}
