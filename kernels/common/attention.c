#include "common/attention.h"

#include <math.h>
#include <string.h>

#include "common/panels.h"

/* Where the keys that head a of the queries meets begin in a row, and its values. */
static int64_t keys_of(struct dims d, int64_t head)
{
    return d.H + head * kv_heads(d) / d.A * (d.H / d.A);
}

static int64_t values_of(struct dims d, int64_t head)
{
    return keys_of(d, head) + kv_channels(d);
}

void attention_scores(struct dims d, int64_t head, struct tile tile, const float *qkv,
                      float *scores)
{
    const int64_t size = d.H / d.A, row = qkv_channels(d);
    const float *q = qkv + tile.first * row + head * size;
    const float *k = qkv + tile.from * row + keys_of(d, head);
    sgemm_nt(tile.rows, tile.keys, size, 1.0f / sqrtf((float)size), q, row, k, row, 0.0f, scores,
             tile.keys);
}

void attention_weighted(struct dims d, int64_t head, struct tile tile, const float *probs,
                        const float *qkv, float *context)
{
    const int64_t size = d.H / d.A, row = qkv_channels(d);
    const float *v = qkv + tile.from * row + values_of(d, head);
    sgemm_nn(tile.rows, size, tile.keys, probs, tile.keys, v, row, 0.0f,
             context + tile.first * d.H + head * size, d.H);
}

void attention_softmax(int64_t rows, int64_t n, const float *in, float *out)
{
    for (int64_t r = 0; r < rows; r++)
        vmath_softmax(n, in + r * n, out + r * n);
}

/* What a query sees of some keys: seen.from .. seen.to of them; nothing where both are the same. */
struct seen {
    int64_t from, to;
};

static struct seen causally_seen(struct dims d, int64_t s, int64_t from, int64_t keys)
{
    const int64_t to = at_most(s + 1 - from, keys), first = first_key(d, s) - from;
    return to <= 0 || first >= to ? (struct seen){0, 0} : (struct seen){first > 0 ? first : 0, to};
}

/* Zeros before and behind what is seen of a row. */
static void clear_unseen(struct seen seen, int64_t keys, float *row)
{
    memset(row, 0, (size_t)seen.from * sizeof(float));
    memset(row + seen.to, 0, (size_t)(keys - seen.to) * sizeof(float));
}

void attention_causal_softmax(struct dims d, struct tile tile, float *scores)
{
    for (int64_t r = 0; r < tile.rows; r++) {
        const struct seen seen = causally_seen(d, tile.first + r, tile.from, tile.keys);
        float *row = scores + r * tile.keys;
        vmath_softmax(seen.to - seen.from, row + seen.from, row + seen.from);
        clear_unseen(seen, tile.keys, row);
    }
}

int64_t attention_causal_pairs(struct dims d, int64_t rows)
{
    int64_t pairs = 0;
    for (int64_t first = 0; first < d.S; first += rows) {
        const struct tile tile = causal_tile(d, first, rows);
        pairs += tile.rows * tile.keys;
    }
    return pairs;
}

void attend_causal_tiles(struct dims d, const float *qkv, float *scores, float *context)
{
    for (int64_t head = 0; head < d.A; head++)
        for (int64_t first = 0; first < d.S; first += TILED_QUERIES) {
            const struct tile tile = causal_tile(d, first, TILED_QUERIES);
            attention_scores(d, head, tile, qkv, scores);
            attention_causal_softmax(d, tile, scores);
            attention_weighted(d, head, tile, scores, qkv, context);
        }
}

/* ---- running softmax ---- */

enum { TILE_KEYS = 512, SHORT_TILE_KEYS = 64 }; /* multiples of every vector's lanes */

/* Keys of a tile: a quarter of a short window, so that few lie before what a query sees. */
static int64_t tile_keys(struct dims d)
{
    if (seen_keys(d) == d.S)
        return TILE_KEYS;
    const int64_t quarter = (d.W / 4 + SHORT_TILE_KEYS - 1) / SHORT_TILE_KEYS * SHORT_TILE_KEYS;
    return at_most(quarter > 0 ? quarter : SHORT_TILE_KEYS, TILE_KEYS);
}

/* A causal tile of queries against whole tiles of keys. */
static struct tile online_tile(struct dims d, int64_t first)
{
    const struct tile seen = causal_tile(d, first, ONLINE_QUERIES);
    const int64_t before = seen.from % tile_keys(d);
    return (struct tile){first, seen.rows, seen.from - before, seen.keys + before};
}

int64_t attention_online_pairs(struct dims d)
{
    int64_t pairs = 0;
    for (int64_t first = 0; first < d.S; first += ONLINE_QUERIES)
        pairs += online_tile(d, first).rows * online_tile(d, first).keys;
    return pairs;
}

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

/* Packs the keys that a head meets, times 1 / sqrt(size), and the values, tile by tile. */
static void pack_head(struct dims d, int64_t head, const float *qkv, float *keys, float *values)
{
    const int64_t size = d.H / d.A, row = qkv_channels(d), tile = tile_keys(d);
    const float *k = qkv + keys_of(d, head), *v = qkv + values_of(d, head);
    const struct panels of_values = matrix(size, d.S, NULL);
    for (int64_t first = 0; first < d.S; first += tile) {
        const int64_t count = at_most(d.S - first, tile);
        const struct panels K = matrix(count, size, NULL), V = matrix(size, count, NULL);
        panels_fill(&K, k + first * row, row, 1.0f / sqrtf((float)size), keys + first * size);
        panels_fill_transposed(&V, v + first * row, row, values + first * panels_rows(&of_values));
    }
}

/* Maximum, and sum of e^(score - maximum), of what a query has seen; the sum is 0 of nothing. */
struct running {
    float max, total;
};

/* Scores of one query to e^(score - max); its sums so far, if any, are scaled to the new max. */
static void soften(int64_t count, int64_t size, float *scores, struct running *of_query,
                   float *sums)
{
    const float top = vmath_max(count, scores);
    if (of_query->total == 0.0f) {
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

/* Context of one head for the queries of a tile. */
static void attend(struct dims d, int64_t head, struct tile of, bool causal, const float *qkv,
                   float *const scratch[ONLINE_SCRATCH], float *context)
{
    const int64_t size = d.H / d.A, row = qkv_channels(d), end = of.from + of.keys;
    const float *q = qkv + of.first * row + head * size;
    const struct panels of_values = matrix(size, d.S, NULL);
    struct running running[ONLINE_QUERIES] = {{0}};
    float *tile = scratch[ONLINE_TILE], *sums = scratch[ONLINE_SUMS];
    for (int64_t key = of.from; key < end; key += tile_keys(d)) {
        const int64_t packed = at_most(d.S - key, tile_keys(d)), count = at_most(end - key, packed);
        const struct panels K = matrix(packed, size, scratch[ONLINE_KEYS] + key * size);
        struct panels V =
            matrix(size, packed, scratch[ONLINE_VALUES] + key * panels_rows(&of_values));
        panels_product(of.rows, count, &K, q, row, NULL, NULL, false, tile, TILE_KEYS);
        for (int64_t r = 0; r < of.rows; r++) {
            const struct seen seen =
                causal ? causally_seen(d, of.first + r, key, count) : (struct seen){0, count};
            float *scores = tile + r * TILE_KEYS;
            if (seen.to > seen.from)
                soften(seen.to - seen.from, size, scores + seen.from, &running[r], sums + r * size);
            clear_unseen(seen, count, scores);
        }
        V.in = count;
        panels_product(of.rows, size, &V, tile, TILE_KEYS, NULL, key > of.from ? sums : NULL, false,
                       sums, size);
    }
    multiply_adds_done += 2 * of.rows * of.keys * size;
    for (int64_t r = 0; r < of.rows; r++) {
        float *out = context + (of.first + r) * d.H + head * size;
        const float scale = 1.0f / running[r].total;
        for (int64_t c = 0; c < size; c++)
            out[c] = sums[r * size + c] * scale;
    }
}

static void attend_sequence(struct dims d, bool causal, const float *qkv,
                            float *const scratch[ONLINE_SCRATCH], float *context)
{
    for (int64_t head = 0; head < d.A; head++) {
        if (head % (d.A / kv_heads(d)) == 0)
            pack_head(d, head, qkv, scratch[ONLINE_KEYS], scratch[ONLINE_VALUES]);
        for (int64_t first = 0; first < d.S; first += ONLINE_QUERIES) {
            const struct tile all = {first, at_most(d.S - first, ONLINE_QUERIES), 0, d.S};
            attend(d, head, causal ? online_tile(d, first) : all, causal, qkv, scratch, context);
        }
    }
}

void attend_online(struct dims d, bool causal, const float *qkv,
                   float *const scratch[ONLINE_SCRATCH], float *context)
{
    for (int64_t b = 0; b < d.B; b++)
        attend_sequence(d, causal, qkv + b * d.S * qkv_channels(d), scratch,
                        context + b * d.S * d.H);
}
