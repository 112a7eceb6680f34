/*
 * attention/online, causal_attention/online: tiles of queries against tiles of keys in panels with
 * a running softmax. Memory O(S H).
 */
#include "attention_layer.h"

enum { QKV = ONLINE_SCRATCH, CONTEXT };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    attention_online_scratch(d, out);
    out[QKV] = (struct tensor){.name = "qkv", .shape = {token_rows(d), 3 * d.H}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {token_rows(d), d.H}};
    return CONTEXT + 1;
}

static inline void run(const struct instance *in, bool causal)
{
    const int64_t rows = token_rows(in->dims);
    product_rows(in, ATTENTION_OF_QKV, rows, in->t[ATTENTION_X], in->scratch[QKV]);
    attend_online(in->dims, causal, in->scratch[QKV], in->scratch, in->scratch[CONTEXT]);
    product_rows(in, ATTENTION_OF_OUTPUT, rows, in->scratch[CONTEXT], in->t[ATTENTION_Y]);
}

static void run_bidirectional(const struct instance *in)
{
    run(in, false);
}

static void run_causal(const struct instance *in)
{
    run(in, true);
}

static struct cost causal_cost(struct dims d)
{
    return causal_attention_cost(d, attention_online_pairs(d));
}

const struct algorithm attention_online = {
    .name = "attention/online",
    .method = "tiles of queries and keys with a running softmax",
    .layer = &attention_layer,
    .batch_rows = BATCH_GROUP,
    ONLINE_NEEDS_PANELS,
    .maps = attention_maps,
    .map_count = ATTENTION_MAPS,
    .scratch = scratch,
    .run = run_bidirectional,
};

const struct algorithm causal_attention_online = {
    .name = "causal_attention/online",
    .method = "tiles of queries and keys with a running softmax; keys behind a tile are skipped",
    .layer = &causal_attention_layer,
    .batch_rows = BATCH_GROUP,
    ONLINE_NEEDS_PANELS,
    .maps = attention_maps,
    .map_count = ATTENTION_MAPS,
    .cost = causal_cost,
    .scratch = scratch,
    .run = run_causal,
};
