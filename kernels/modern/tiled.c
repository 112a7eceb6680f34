/*
 * modern/tiled: 64 queries at a time against the keys that any of them sees, their scores stored.
 * modern/online: a running softmax over tiles of keys in panels; the rest of the block in chunks of
 * tokens that stay in cache.
 */
#include "modern.h"

static const struct map maps[MODERN_MAPS] = MODERN_MAP_TABLE(MODERN_PARAMETERS, false);

enum { NORMED, QKV, CONTEXT, HIDDEN, SCORES };
enum { CHUNK_TOKENS = 96 };

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    return modern_angles(d, d.S, out);
}

static void prepare(struct instance *in)
{
    modern_fill_angles(in, 0, in->dims.S);
}

static int scratch(struct dims d, int64_t finished, struct tensor out[SCRATCH_MAX])
{
    const int64_t rows = token_rows(d);
    out[NORMED] = (struct tensor){.name = "normed", .shape = {rows, d.H}};
    out[QKV] = (struct tensor){.name = "qkv", .shape = {rows, qkv_channels(modern_dims(d))}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {rows, d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {finished, 2 * modern_ffn(d)}};
    return SCORES;
}

static int scratch_tiled(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[SCORES] = (struct tensor){.name = "tile", .shape = {at_most(d.S, TILED_QUERIES), d.S}};
    return scratch(d, token_rows(d), out) + 1;
}

static int scratch_online(struct dims d, struct tensor out[SCRATCH_MAX])
{
    attention_online_scratch(modern_dims(d), out + SCORES);
    return scratch(d, at_most(token_rows(d), CHUNK_TOKENS), out) + ONLINE_SCRATCH;
}

static struct cost cost_tiled(struct dims d)
{
    return modern_cost(d, attention_causal_pairs(d, TILED_QUERIES));
}

static struct cost cost_online(struct dims d)
{
    return modern_cost(d, attention_online_pairs(modern_dims(d)));
}

/* The block from qkv's attention on, for tokens first .. first + rows. */
static void finish(const struct instance *in, int64_t first, int64_t rows)
{
    const int64_t at = first * in->dims.H;
    float *const *s = in->scratch;
    modern_finish(in, MODERN_PARAMETERS, rows, in->t[MODERN_X] + at, s[CONTEXT] + at,
                  s[NORMED] + at, s[HIDDEN], in->t[MODERN_Y] + at);
}

static void run_tiled(const struct instance *in)
{
    const struct dims d = modern_dims(in->dims);
    float *const *s = in->scratch;
    modern_begin(in, MODERN_PARAMETERS, token_rows(d), d.S, in->t[MODERN_X], s[NORMED], s[QKV]);
    attend_each(d, s[QKV], s[SCORES], s[CONTEXT], attend_causal_tiles);
    finish(in, 0, token_rows(d));
}

static void run_online(const struct instance *in)
{
    const struct dims d = modern_dims(in->dims);
    const int64_t rows = token_rows(d);
    float *const *s = in->scratch;
    modern_begin(in, MODERN_PARAMETERS, rows, d.S, in->t[MODERN_X], s[NORMED], s[QKV]);
    attend_online(d, true, s[QKV], s + SCORES, s[CONTEXT]);
    for (int64_t first = 0; first < rows; first += CHUNK_TOKENS)
        finish(in, first, at_most(rows - first, CHUNK_TOKENS));
}

const struct algorithm modern_tiled = {
    .name = "modern/tiled",
    .method = "64 queries at a time; keys behind the tile are skipped",
    .layer = &modern_layer,
    .batch_rows = BATCH_GROUP,
    MAPS(maps),
    .cost = cost_tiled,
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch_tiled,
    .run = run_tiled,
};

const struct algorithm modern_online = {
    .name = "modern/online",
    .method = "tiles of queries and keys with a running softmax; the rest in chunks of 96 tokens",
    .layer = &modern_layer,
    .batch_rows = BATCH_GROUP,
    ONLINE_NEEDS_PANELS,
    MAPS(maps),
    .cost = cost_online,
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch_online,
    .run = run_online,
};
