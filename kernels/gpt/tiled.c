/*
 * gpt/tiled: a tile of queries against the keys from the window of its first query up to its last
 * query; of the scores above the diagonal those of the tile on it are computed. Memory O(S H).
 * Flops       those of the maps + 4 H sum over tiles of rows times keys: without a window about
 *             2 S (S + 64) H, with one 4 S (W + 63) H
 */
#include "gpt.h"

static struct cost cost(struct dims d)
{
    return gpt_cost(d, attention_causal_pairs(d, TILED_QUERIES));
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int count = gpt_scratch(d, out);
    out[GPT_SCORES] = (struct tensor){.name = "tile", .shape = {at_most(d.S, TILED_QUERIES), d.S}};
    return count + 1;
}

static void run(const struct instance *in)
{
    gpt_run(in, attend_causal_tiles);
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
