/*
 * transformer/online: attention with a running softmax over tiles of keys in panels; then output
 * projection, norms and FFN for a chunk of tokens at a time. Memory O(S H).
 */
#include "transformer.h"

enum { QKV = ONLINE_SCRATCH, CONTEXT, NORMED, HIDDEN };
enum { CHUNK_TOKENS = 96 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    attention_online_scratch(d, out);
    out[QKV] = (struct tensor){.name = "qkv", .shape = {token_rows(d), 3 * d.H}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {token_rows(d), d.H}};
    out[NORMED] = (struct tensor){.name = "normed", .shape = {CHUNK_TOKENS, d.H}};
    out[HIDDEN] =
        (struct tensor){.name = "hidden", .shape = {CHUNK_TOKENS, BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

/* From context to y for tokens first .. first + rows, while they are in cache. */
static void finish(const struct instance *in, int64_t first, int64_t rows)
{
    const int64_t H = in->dims.H;
    float *const *p = in->t + TRANSFORMER_PARAMETERS, *const *s = in->scratch;
    float *y = in->t[TRANSFORMER_Y] + first * H;
    product(in, MAP_OUTPUT, rows, s[CONTEXT] + first * H, H, in->t[TRANSFORMER_X] + first * H,
            s[NORMED], H);
    block_norm(rows, H, s[NORMED], p[BLOCK_LN1_G], p[BLOCK_LN1_B], s[NORMED]);
    product_rows(in, MAP_FIRST, rows, s[NORMED], s[HIDDEN]);
    product(in, MAP_SECOND, rows, s[HIDDEN], BLOCK_FFN_FACTOR * H, s[NORMED], y, H);
    block_norm(rows, H, y, p[BLOCK_LN2_G], p[BLOCK_LN2_B], y);
}

static void run(const struct instance *in)
{
    const int64_t rows = token_rows(in->dims);
    product_rows(in, MAP_QKV, rows, in->t[TRANSFORMER_X], in->scratch[QKV]);
    attend_online(in->dims, false, in->scratch[QKV], in->scratch, in->scratch[CONTEXT]);
    for (int64_t first = 0; first < rows; first += CHUNK_TOKENS)
        finish(in, first, at_most(rows - first, CHUNK_TOKENS));
}

const struct algorithm transformer_online = {
    .name = "transformer/online",
    .method = "tiles of queries and keys with a running softmax; the rest in chunks of 96 tokens",
    .layer = &transformer_layer,
    .batch_rows = BATCH_GROUP,
    ONLINE_NEEDS_PANELS,
    .maps = transformer_maps,
    .map_count = BLOCK_MAPS,
    .scratch = scratch,
    .run = run,
};
