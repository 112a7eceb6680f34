/*
 * attention/full: the scores of all heads are stored, A S^2 floats. attention/tiled: those of a
 * tile of queries. The same for causal_attention, whose tiles meet the keys up to their last query.
 */
#include "attention_layer.h"

enum { TILE_ROWS = 64 };
enum { QKV, CONTEXT, SCORES };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX], struct tensor scores)
{
    out[QKV] = (struct tensor){.name = "qkv", .shape = {token_rows(d), 3 * d.H}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {token_rows(d), d.H}};
    out[SCORES] = scores;
    return SCORES + 1;
}

static int scratch_full(struct dims d, struct tensor out[SCRATCH_MAX])
{
    return scratch(d, out, (struct tensor){.name = "probs", .shape = {d.A, d.S, d.S}});
}

static int scratch_tiled(struct dims d, struct tensor out[SCRATCH_MAX])
{
    return scratch(d, out,
                   (struct tensor){.name = "tile", .shape = {at_most(d.S, TILE_ROWS), d.S}});
}

/* A tile of a head, through `scores`. */
static void attend(struct dims d, int64_t head, struct tile tile, bool causal, const float *qkv,
                   float *scores, float *context)
{
    attention_scores(d, head, tile, qkv, scores);
    if (causal)
        attention_causal_softmax(d, tile, scores);
    else
        attention_softmax(tile.rows, tile.keys, scores, scores);
    attention_weighted(d, head, tile, scores, qkv, context);
}

/* Tiles of so many queries; with all of them at once each head's scores have a place of their own. */
static inline void run(const struct instance *in, bool causal, bool tiled)
{
    const struct dims d = in->dims;
    product_rows(in, ATTENTION_OF_QKV, token_rows(d), in->t[ATTENTION_X], in->scratch[QKV]);
    for (int64_t b = 0; b < d.B; b++)
        for (int64_t head = 0; head < d.A; head++)
            for (int64_t first = 0; first < d.S; first += tiled ? TILE_ROWS : d.S) {
                const int64_t rows = tiled ? at_most(d.S - first, TILE_ROWS) : d.S;
                const struct tile all = {first, rows, 0, d.S};
                attend(d, head, causal ? causal_tile(d, first, rows) : all, causal,
                       in->scratch[QKV] + b * d.S * 3 * d.H,
                       in->scratch[SCORES] + (tiled ? 0 : head * d.S * d.S),
                       in->scratch[CONTEXT] + b * d.S * d.H);
            }
    product_rows(in, ATTENTION_OF_OUTPUT, token_rows(d), in->scratch[CONTEXT], in->t[ATTENTION_Y]);
}

static void run_full(const struct instance *in)
{
    run(in, false, false);
}

static void run_tiled(const struct instance *in)
{
    run(in, false, true);
}

static void run_causal_full(const struct instance *in)
{
    run(in, true, false);
}

static void run_causal_tiled(const struct instance *in)
{
    run(in, true, true);
}

static struct cost tiled_cost(struct dims d)
{
    return causal_attention_cost(d, attention_causal_pairs(d, TILE_ROWS));
}

const struct algorithm attention_full = {
    .name = "attention/full",
    .method = "per head Q K^T, softmax and P V with the S x S scores stored",
    .layer = &attention_layer,
    .batch_rows = BATCH_GROUP,
    .maps = attention_maps,
    .map_count = ATTENTION_MAPS,
    .scratch = scratch_full,
    .run = run_full,
};

const struct algorithm attention_tiled = {
    .name = "attention/tiled",
    .method = "scores never larger than 64 queries x S: memory O(S H)",
    .layer = &attention_layer,
    .batch_rows = BATCH_GROUP,
    .maps = attention_maps,
    .map_count = ATTENTION_MAPS,
    .scratch = scratch_tiled,
    .run = run_tiled,
};

const struct algorithm causal_attention_full = {
    .name = "causal_attention/full",
    .method = "per head the whole S x S square of Q K^T, softmax of the lower triangle, P V",
    .layer = &causal_attention_layer,
    .batch_rows = BATCH_GROUP,
    .maps = attention_maps,
    .map_count = ATTENTION_MAPS,
    .scratch = scratch_full,
    .run = run_causal_full,
};

const struct algorithm causal_attention_tiled = {
    .name = "causal_attention/tiled",
    .method = "64 queries at a time; keys behind the tile are skipped",
    .layer = &causal_attention_layer,
    .batch_rows = BATCH_GROUP,
    .maps = attention_maps,
    .map_count = ATTENTION_MAPS,
    .cost = tiled_cost,
    .scratch = scratch_tiled,
    .run = run_causal_tiled,
};
