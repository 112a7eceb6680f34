/*
 * transformer/onednn: oneDNN's inner products with packed weights, bias and ReLU fused; the
 * attention as transformer/tiled has it, by oneDNN's sgemm.
 * The residual is not fused: with it as a post-op oneDNN 2.6 falls back to weights not packed.
 */
#include <math.h>
#include <stdlib.h>

#include "peers/onednn.h"
#include "transformer/transformer.h"

enum { QKV, TILE, CONTEXT, BRANCH, NORMED, HIDDEN };
enum { TILE_ROWS = 256 };

struct maps {
    struct onednn *qkv, *output, *inner, *outer;
};

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[QKV] = (struct tensor){.name = "qkv", .shape = {token_rows(d), 3 * d.H}};
    out[TILE] = (struct tensor){.name = "tile", .shape = {TILE_ROWS, d.S}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {token_rows(d), d.H}};
    out[BRANCH] = (struct tensor){.name = "branch", .shape = {token_rows(d), d.H}};
    out[NORMED] = (struct tensor){.name = "normed", .shape = {token_rows(d), d.H}};
    out[HIDDEN] =
        (struct tensor){.name = "hidden", .shape = {token_rows(d), BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

static void prepare(struct instance *in)
{
    const int64_t rows = token_rows(in->dims), H = in->dims.H, F = BLOCK_FFN_FACTOR * H;
    float *const *t = in->t, *const *p = t + TRANSFORMER_PARAMETERS, *const *s = in->scratch;
    struct maps *maps = malloc(sizeof(*maps));
    if (!maps)
        abort();
    maps->qkv = onednn_linear(rows, H, 3 * H, t[TRANSFORMER_X], p[BLOCK_WQKV], p[BLOCK_BQKV], false,
                              s[QKV]);
    maps->output =
        onednn_linear(rows, H, H, s[CONTEXT], p[BLOCK_WO], p[BLOCK_BO], false, s[BRANCH]);
    maps->inner = onednn_linear(rows, H, F, s[NORMED], p[BLOCK_W1], p[BLOCK_B1], true, s[HIDDEN]);
    maps->outer = onednn_linear(rows, F, H, s[HIDDEN], p[BLOCK_W2], p[BLOCK_B2], false, s[BRANCH]);
    in->handle = maps;
}

static void release(struct instance *in)
{
    struct maps *maps = in->handle;
    onednn_close(maps->qkv);
    onednn_close(maps->output);
    onednn_close(maps->inner);
    onednn_close(maps->outer);
    free(maps);
}

/* One head, queries first .. first + rows against all keys. */
static void attend(struct dims d, int64_t head, int64_t first, int64_t rows, const float *qkv,
                   float *tile, float *context)
{
    const int64_t size = d.H / d.A, row = 3 * d.H;
    const float *q = qkv + first * row + head * size, *k = qkv + d.H + head * size, *v = k + d.H;
    multiply_adds_done += 2 * rows * d.S * size;
    onednn_check(dnnl_sgemm('N', 'T', rows, d.S, size, 1.0f / sqrtf((float)size), q, row, k, row,
                            0.0f, tile, d.S),
                 "dnnl_sgemm");
    attention_softmax(rows, d.S, tile, tile);
    onednn_check(dnnl_sgemm('N', 'N', rows, size, d.S, 1.0f, tile, d.S, v, row, 0.0f,
                            context + first * d.H + head * size, d.H),
                 "dnnl_sgemm");
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    const struct maps *maps = in->handle;
    float *const *t = in->t, *const *p = t + TRANSFORMER_PARAMETERS, *const *s = in->scratch;

    multiply_adds_done += (4 + 2 * BLOCK_FFN_FACTOR) * token_rows(d) * d.H * d.H;
    onednn_execute(maps->qkv);
    for (int64_t b = 0; b < d.B; b++)
        for (int64_t head = 0; head < d.A; head++)
            for (int64_t first = 0; first < d.S; first += TILE_ROWS)
                attend(d, head, first, at_most(d.S - first, TILE_ROWS), s[QKV] + b * d.S * 3 * d.H,
                       s[TILE], s[CONTEXT] + b * d.S * d.H);
    onednn_execute(maps->output);
    transformer_residual_norm(d, t[TRANSFORMER_X], s[BRANCH], p[BLOCK_LN1_G], p[BLOCK_LN1_B],
                              s[NORMED]);
    onednn_execute(maps->inner);
    onednn_execute(maps->outer);
    transformer_residual_norm(d, s[NORMED], s[BRANCH], p[BLOCK_LN2_G], p[BLOCK_LN2_B],
                              t[TRANSFORMER_Y]);
}

const struct algorithm transformer_onednn = {
    .name = "transformer/onednn",
    .method = "oneDNN's inner products with packed weights, its sgemm in tiles of 256 queries",
    .layer = &transformer_layer,
    BY_ONEDNN,
    .batch_rows = BATCH_TOGETHER,
    .scratch = scratch,
    .prepare = prepare,
    .release = release,
    .run = run,
};
