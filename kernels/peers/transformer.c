/*
 * transformer/onednn, transformer/onednn_bf16: oneDNN's inner products with packed weights, bias and
 * ReLU fused; bfloat16: what they multiply is converted within the time. The
 * attention as transformer/tiled has it, by oneDNN's sgemm.
 * The residual is not fused: with it as a post-op oneDNN 2.6 falls back to weights not packed.
 */
#include <math.h>
#include <stdlib.h>

#include "peers/onednn.h"
#include "transformer/transformer.h"

enum { QKV, TILE, CONTEXT, BRANCH, NORMED, HIDDEN, TAKEN };
enum { TILE_ROWS = 256 };

enum { OF_QKV, OF_OUTPUT, OF_INNER, OF_OUTER, MAPS };

/* A product, and the conversion of its input before it, if any. */
struct maps {
    struct onednn *taken[MAPS], *product[MAPS];
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

static int narrow_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    scratch(d, out);
    out[TAKEN] =
        (struct tensor){.name = "x as taken", .shape = {token_rows(d), BLOCK_FFN_FACTOR * d.H}};
    return TAKEN + 1;
}

static void open_map(struct instance *in, dnnl_data_type_t type, int map, int64_t from, int64_t to,
                     const float *X, int W, int b, float *Y)
{
    const int64_t rows = token_rows(in->dims);
    float *const *p = in->t + TRANSFORMER_PARAMETERS;
    struct maps *maps = in->handle;
    const bool is_taken = type != dnnl_f32;
    if (is_taken)
        maps->taken[map] =
            onednn_reorder(onednn_desc(dnnl_f32, rows, from, 0, 0, dnnl_ab), X,
                           onednn_desc(type, rows, from, 0, 0, dnnl_ab), in->scratch[TAKEN], NULL);
    maps->product[map] = onednn_linear(type, rows, from, to, is_taken ? in->scratch[TAKEN] : X,
                                       p[W], p[b], map == OF_INNER, Y);
}

static void open(struct instance *in, dnnl_data_type_t type)
{
    const int64_t H = in->dims.H, F = BLOCK_FFN_FACTOR * H;
    float *const *s = in->scratch;
    in->handle = calloc(1, sizeof(struct maps));
    if (!in->handle)
        abort();
    open_map(in, type, OF_QKV, H, 3 * H, in->t[TRANSFORMER_X], BLOCK_WQKV, BLOCK_BQKV, s[QKV]);
    open_map(in, type, OF_OUTPUT, H, H, s[CONTEXT], BLOCK_WO, BLOCK_BO, s[BRANCH]);
    open_map(in, type, OF_INNER, H, F, s[NORMED], BLOCK_W1, BLOCK_B1, s[HIDDEN]);
    open_map(in, type, OF_OUTER, F, H, s[HIDDEN], BLOCK_W2, BLOCK_B2, s[BRANCH]);
}

static void prepare(struct instance *in)
{
    open(in, dnnl_f32);
}

static void prepare_bf16(struct instance *in)
{
    open(in, dnnl_bf16);
}

static void multiply(const struct maps *maps, int map)
{
    if (maps->taken[map])
        onednn_execute(maps->taken[map]);
    onednn_execute(maps->product[map]);
}

static void release(struct instance *in)
{
    struct maps *maps = in->handle;
    for (int map = 0; map < MAPS; map++) {
        if (maps->taken[map])
            onednn_close(maps->taken[map]);
        onednn_close(maps->product[map]);
    }
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
    multiply(maps, OF_QKV);
    for (int64_t b = 0; b < d.B; b++)
        for (int64_t head = 0; head < d.A; head++)
            for (int64_t first = 0; first < d.S; first += TILE_ROWS)
                attend(d, head, first, at_most(d.S - first, TILE_ROWS), s[QKV] + b * d.S * 3 * d.H,
                       s[TILE], s[CONTEXT] + b * d.S * d.H);
    multiply(maps, OF_OUTPUT);
    transformer_residual_norm(d, t[TRANSFORMER_X], s[BRANCH], p[BLOCK_LN1_G], p[BLOCK_LN1_B],
                              s[NORMED]);
    multiply(maps, OF_INNER);
    multiply(maps, OF_OUTER);
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

const struct algorithm transformer_onednn_bf16 = {
    .name = "transformer/onednn_bf16",
    .method = "oneDNN's inner products in bfloat16, its sgemm in tiles of 256 queries",
    .layer = &transformer_layer,
    BY_ONEDNN_BF16,
    .tolerance = ONEDNN_BF16_TOLERANCE,
    .batch_rows = BATCH_TOGETHER,
    .scratch = narrow_scratch,
    .prepare = prepare_bf16,
    .release = release,
    .run = run,
};
