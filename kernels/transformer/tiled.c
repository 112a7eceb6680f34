/*
 * transformer/tiled: scores of a tile of queries against all keys, softmax and weighted sum while
 * the tile is in cache. Memory O(S H) instead of O(S^2). Labels: layer.c.
 */
#include "blas.h"
#include "transformer.h"

enum { QKV, TILE, CONTEXT, BRANCH, NORMED, HIDDEN };
enum { TILE_ROWS = 64 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[QKV] = (struct tensor){.name = "qkv", .shape = {d.S, 3 * d.H}};
    out[TILE] = (struct tensor){.name = "tile", .shape = {TILE_ROWS, d.S}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.S, d.H}};
    out[BRANCH] = (struct tensor){.name = "branch", .shape = {d.S, d.H}};
    out[NORMED] = (struct tensor){.name = "normed", .shape = {d.S, d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {d.S, BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    float *qkv = in->scratch[QKV], *tile = in->scratch[TILE], *context = in->scratch[CONTEXT];

    blas_linear(d.S, d.H, 3 * d.H, in->t[TRANSFORMER_X], in->t[TRANSFORMER_WQKV],
                in->t[TRANSFORMER_BQKV], qkv);
    for (int64_t head = 0; head < d.A; head++)
        for (int64_t first = 0; first < d.S; first += TILE_ROWS) {
            const int64_t rows = at_most(d.S - first, TILE_ROWS);
            transformer_head_scores(d, head, first, rows, qkv, tile);
            transformer_softmax_rows(rows, d.S, tile, tile);
            transformer_head_weighted(d, head, first, rows, tile, qkv, context);
        }
    transformer_finish(in, context, in->scratch[BRANCH], in->scratch[NORMED], in->scratch[HIDDEN]);
}

const struct kernel transformer_tiled = {
    .name = "transformer/tiled",
    .method = "the same block, scores never larger than 64 queries x S: memory O(S H)",
    .layer = &transformer_layer,
    .scratch = scratch,
    .run = run,
};
