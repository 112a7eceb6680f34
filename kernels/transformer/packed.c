/*
 * transformer/packed: weights packed once; keys and values packed per head, tiles of queries
 * against tiles of keys with a running softmax, one division at the end; then output projection,
 * norms and FFN for a chunk of tokens at a time. Memory O(S H). Labels: layer.c.
 */
#include <math.h>

#include "packed_block.h"
#include "transformer.h"

enum { QKV, KEYS, VALUES, TILE, SUMS, CONTEXT, NORMED, HIDDEN };
enum { TILE_QUERIES = 48, TILE_KEYS = 512, CHUNK_TOKENS = 96 };

static void prepare(struct instance *in)
{
    packed_block_fill(in, PACKED_VECTORS, in->t + TRANSFORMER_WQKV);
}

static struct packed matrix(int64_t out, int64_t in, const float *panels)
{
    return packed_matrix(out, in, PACKED_VECTORS, panels);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * H;
    const struct packed keys = matrix(S, H / d.A, 0), values = matrix(H / d.A, S, 0);
    out[QKV] = (struct tensor){.name = "qkv", .shape = {S, 3 * H}};
    out[KEYS] = packed_tensor("keys", &keys);
    out[VALUES] = packed_tensor("values", &values);
    out[TILE] = (struct tensor){.name = "tile", .shape = {TILE_QUERIES, TILE_KEYS}};
    out[SUMS] = (struct tensor){.name = "sums", .shape = {TILE_QUERIES, H / d.A}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {S, H}};
    out[NORMED] = (struct tensor){.name = "normed", .shape = {CHUNK_TOKENS, H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {CHUNK_TOKENS, F}};
    return HIDDEN + 1;
}

/* Y = then(X W^T + b + addend) by one of the four maps, rows without gaps. */
static void apply(const struct instance *in, enum block_map map, int64_t rows, const float *X,
                  const float *addend, enum packed_then then, float *Y)
{
    const struct packed w = packed_map(map, in->dims.H, PACKED_VECTORS, in->prepared);
    packed_linear(rows, w.hid, &w, X, w.in, packed_map_bias(map, in->prepared), addend, then, Y,
                  w.hid);
}

/* Packs one head's keys, times 1 / sqrt(size), and its values, tile by tile. */
static void pack_head(const struct instance *in, int64_t head)
{
    const int64_t S = in->dims.S, H = in->dims.H, size = H / in->dims.A;
    const float *k = in->scratch[QKV] + H + head * size, *v = k + H;
    const struct packed values = matrix(size, S, 0);
    for (int64_t first = 0; first < S; first += TILE_KEYS) {
        const int64_t count = at_most(S - first, TILE_KEYS);
        const struct packed tile_keys = matrix(count, size, 0), tile = matrix(size, count, 0);
        packed_fill(&tile_keys, k + first * 3 * H, 3 * H, 1.0f / sqrtf((float)size),
                    in->scratch[KEYS] + first * size);
        packed_fill_transposed(&tile, v + first * 3 * H, 3 * H,
                               in->scratch[VALUES] + first * packed_rows(&values));
    }
}

/*
 * Running softmax: scores of one query to e^(score - max); its sums so far, if there are any, are
 * scaled to the new max.
 */
static void soften(int64_t count, int64_t size, bool is_first, float *scores, float *max,
                   float *total, float *sums)
{
    const float top = vmath_max(count, scores);
    if (is_first) {
        *max = top;
        *total = 0.0f;
    } else if (top > *max) {
        const float scale = expf(*max - top);
        *max = top;
        *total *= scale;
        for (int64_t c = 0; c < size; c++)
            sums[c] *= scale;
    }
    *total += vmath_exp_below(count, scores, *max, scores);
}

/* Context of one head for queries first .. first + rows. */
static void attend(const struct instance *in, int64_t head, int64_t first, int64_t rows)
{
    const int64_t S = in->dims.S, H = in->dims.H, size = H / in->dims.A;
    const float *q = in->scratch[QKV] + first * 3 * H + head * size;
    const struct packed values = matrix(size, S, 0);
    float max[TILE_QUERIES], total[TILE_QUERIES];
    float *tile = in->scratch[TILE], *sums = in->scratch[SUMS];
    for (int64_t key = 0; key < S; key += TILE_KEYS) {
        const int64_t count = at_most(S - key, TILE_KEYS);
        const struct packed K = matrix(count, size, in->scratch[KEYS] + key * size);
        const struct packed V =
            matrix(size, count, in->scratch[VALUES] + key * packed_rows(&values));
        packed_linear(rows, count, &K, q, 3 * H, 0, 0, THEN_NOTHING, tile, TILE_KEYS);
        for (int64_t r = 0; r < rows; r++)
            soften(count, size, key == 0, tile + r * TILE_KEYS, &max[r], &total[r],
                   sums + r * size);
        packed_linear(rows, size, &V, tile, TILE_KEYS, 0, key ? sums : 0, THEN_NOTHING, sums, size);
    }
    for (int64_t r = 0; r < rows; r++) {
        float *context = in->scratch[CONTEXT] + (first + r) * H + head * size;
        const float scale = 1.0f / total[r];
        for (int64_t c = 0; c < size; c++)
            context[c] = sums[r * size + c] * scale;
    }
}

/* From context to y for tokens first .. first + rows, while they are in cache. */
static void finish(const struct instance *in, int64_t first, int64_t rows)
{
    const int64_t H = in->dims.H;
    float *const *t = in->t, *const *s = in->scratch;
    float *y = t[TRANSFORMER_Y] + first * H;
    apply(in, MAP_OUTPUT, rows, s[CONTEXT] + first * H, t[TRANSFORMER_X] + first * H, THEN_NOTHING,
          s[NORMED]);
    block_norm(rows, H, s[NORMED], t[TRANSFORMER_LN1_G], t[TRANSFORMER_LN1_B], s[NORMED]);
    apply(in, MAP_FIRST, rows, s[NORMED], 0, THEN_RELU, s[HIDDEN]);
    apply(in, MAP_SECOND, rows, s[HIDDEN], s[NORMED], THEN_NOTHING, y);
    block_norm(rows, H, y, t[TRANSFORMER_LN2_G], t[TRANSFORMER_LN2_B], y);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    apply(in, MAP_QKV, d.S, in->t[TRANSFORMER_X], 0, THEN_NOTHING, in->scratch[QKV]);
    for (int64_t head = 0; head < d.A; head++) {
        pack_head(in, head);
        for (int64_t first = 0; first < d.S; first += TILE_QUERIES)
            attend(in, head, first, at_most(d.S - first, TILE_QUERIES));
    }
    for (int64_t first = 0; first < d.S; first += CHUNK_TOKENS)
        finish(in, first, at_most(d.S - first, CHUNK_TOKENS));
}

const struct kernel transformer_packed = {
    .name = "transformer/packed",
    .method = "weights packed once, register-blocked products, running softmax, fused passes",
    .layer = &transformer_layer,
    .engine = PACKED,
    .prepared = packed_block_tensors,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
