/*
 * gpt/online: attention with a running softmax over tiles of keys in panels; a tile of 48 queries
 * meets the keys up to its last query, from the tile on in which the window of its first begins.
 * Flops       those of the maps + 4 H sum over tiles of rows times keys: without a window about
 *             2 S (S + 48) H
 */
#include "gpt.h"

static struct cost cost(struct dims d)
{
    return gpt_cost(d, attention_online_pairs(d));
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int count = gpt_scratch(d, out);
    attention_online_scratch(d, out + count);
    return count + ONLINE_SCRATCH;
}

static void run(const struct instance *in)
{
    gpt_begin(in);
    attend_online(in->dims, true, in->scratch[GPT_QKV], in->scratch + GPT_SCORES,
                  in->scratch[GPT_CONTEXT]);
    gpt_finish(in);
}

const struct algorithm gpt_online = {
    .name = "gpt/online",
    .method = "tiles of queries and keys with a running softmax; keys behind a tile are skipped",
    .layer = &gpt_layer,
    .batch_rows = BATCH_GROUP,
    ONLINE_NEEDS_PANELS,
    .maps = gpt_maps,
    .map_count = BLOCK_MAPS,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
