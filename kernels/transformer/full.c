/*
 * transformer/full: the scores of all heads are stored, A S^2 floats. transformer/tiled: those of a
 * tile of queries, with softmax and weighted sum while the tile is in cache: memory O(S H).
 */
#include "transformer.h"

enum { TILE_ROWS = 64 };

static int scratch_full(struct dims d, struct tensor out[SCRATCH_MAX])
{
    transformer_scratch(d, out);
    out[TRANSFORMER_SCORES] = (struct tensor){.name = "probs", .shape = {d.A, d.S, d.S}};
    return TRANSFORMER_SCORES + 1;
}

static int scratch_tiled(struct dims d, struct tensor out[SCRATCH_MAX])
{
    transformer_scratch(d, out);
    out[TRANSFORMER_SCORES] = (struct tensor){.name = "tile", .shape = {TILE_ROWS, d.S}};
    return TRANSFORMER_SCORES + 1;
}

/* One sequence: qkv[S,3H] to context[S,H]. */
static void attend_full(struct dims d, const float *qkv, float *probs, float *context)
{
    for (int64_t head = 0; head < d.A; head++)
        attention_scores(d, head, whole_square(d), qkv, probs + head * d.S * d.S);
    attention_softmax(d.A * d.S, d.S, probs, probs);
    for (int64_t head = 0; head < d.A; head++)
        attention_weighted(d, head, whole_square(d), probs + head * d.S * d.S, qkv, context);
}

static void attend_tiled(struct dims d, const float *qkv, float *tile, float *context)
{
    for (int64_t head = 0; head < d.A; head++)
        for (int64_t first = 0; first < d.S; first += TILE_ROWS) {
            const struct tile of = {first, at_most(d.S - first, TILE_ROWS), 0, d.S};
            attention_scores(d, head, of, qkv, tile);
            attention_softmax(of.rows, d.S, tile, tile);
            attention_weighted(d, head, of, tile, qkv, context);
        }
}

static inline void run(const struct instance *in, attend_by_scores *attend)
{
    float *const *s = in->scratch;
    product_rows(in, MAP_QKV, token_rows(in->dims), in->t[TRANSFORMER_X], s[TRANSFORMER_QKV]);
    attend_each(in->dims, s[TRANSFORMER_QKV], s[TRANSFORMER_SCORES], s[TRANSFORMER_CONTEXT],
                attend);
    transformer_finish(in);
}

static void run_full(const struct instance *in)
{
    run(in, attend_full);
}

static void run_tiled(const struct instance *in)
{
    run(in, attend_tiled);
}

const struct algorithm transformer_full = {
    .name = "transformer/full",
    .method = "per head Q K^T, softmax and P V with the S x S scores stored, then FFN",
    .layer = &transformer_layer,
    .batch_rows = BATCH_GROUP,
    .is_whole = true,
    TEXTBOOK,
    .maps = transformer_maps,
    .map_count = BLOCK_MAPS,
    .scratch = scratch_full,
    .run = run_full,
};

const struct algorithm transformer_tiled = {
    .name = "transformer/tiled",
    .method = "the same block, scores never larger than 64 queries x S: memory O(S H)",
    .layer = &transformer_layer,
    .batch_rows = BATCH_GROUP,
    .maps = transformer_maps,
    .map_count = BLOCK_MAPS,
    .scratch = scratch_tiled,
    .run = run_tiled,
};
