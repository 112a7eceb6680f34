/*
 * gpt/tiled: a tile of queries against the keys from the window of its first query up to its last
 * query; of the scores above the diagonal those of the tile on it are computed. Memory O(S H).
 * Flops       those of the maps + 4 H sum over tiles of rows times keys: without a window about
 *             2 S (S + 64) H, with one 4 S (W + 63) H
 */
#include "gpt.h"

enum { TILE_ROWS = 64 };

static struct cost cost(struct dims d)
{
    return gpt_cost(d, attention_causal_pairs(d, TILE_ROWS));
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int count = gpt_scratch(d, out);
    out[GPT_SCORES] = (struct tensor){.name = "tile", .shape = {at_most(d.S, TILE_ROWS), d.S}};
    return count + 1;
}

/* One sequence: qkv[S,qkv_channels] to context[S,H]. */
static void attend(struct dims d, const float *qkv, float *tile, float *context)
{
    for (int64_t head = 0; head < d.A; head++)
        for (int64_t first = 0; first < d.S; first += TILE_ROWS) {
            const struct tile of = causal_tile(d, first, TILE_ROWS);
            attention_scores(d, head, of, qkv, tile);
            attention_causal_softmax(d, of, tile);
            attention_weighted(d, head, of, tile, qkv, context);
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
