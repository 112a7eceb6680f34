/*
 * gpt/tiled: a tile of queries against the keys up to its last query; the scores above the
 * diagonal are not computed but for the tile on it. Memory O(S H).
 * Flops       24 S H^2 + 4 H sum over tiles of rows (first + rows), about 2 S (S + 64) H
 */
#include "gpt.h"

enum { TILE_ROWS = 64 };

static struct cost cost(struct dims d)
{
    return gpt_cost(d, attention_causal_pairs(d.S, TILE_ROWS));
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int count = gpt_scratch(d, out);
    out[GPT_SCORES] = (struct tensor){.name = "tile", .shape = {at_most(d.S, TILE_ROWS), d.S}};
    return count + 1;
}

/* One sequence: qkv[S,3H] to context[S,H]. */
static void attend(struct dims d, const float *qkv, float *tile, float *context)
{
    for (int64_t head = 0; head < d.A; head++)
        for (int64_t first = 0; first < d.S; first += TILE_ROWS) {
            const int64_t rows = at_most(d.S - first, TILE_ROWS), keys = first + rows;
            attention_scores(d, head, first, rows, keys, qkv, tile);
            attention_causal_softmax(first, rows, keys, tile);
            attention_weighted(d, head, first, rows, keys, tile, qkv, context);
        }
}

static void run(const struct instance *in)
{
    gpt_run(in, attend);
}

const struct algorithm gpt_tiled = {
    .name = "gpt/tiled",
    .method = "the same block, 64 queries at a time; keys behind the tile are skipped",
    .layer = &gpt_layer,
    .batch_rows = BATCH_GROUP,
    .maps = gpt_maps,
    .map_count = BLOCK_MAPS,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
