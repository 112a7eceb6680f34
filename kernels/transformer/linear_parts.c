/*
 * transformer.qkv and transformer.output: the two projections around the attention, timed alone.
 * Equation    qkv = Wqkv x + bqkv; y = Wo context + bo
 * Shapes      x[S,H] W[3H,H] b[3H] -> qkv[S,3H]; context[S,H] W[H,H] b[H] -> y[S,H]
 * Flops       6 S H^2 and 2 S H^2, one product each
 * Bytes       weights, input and output once
 * State       none
 * Inputs      x in [-1,1]; W, b in [-1/sqrt H, 1/sqrt H]
 * Timed       bias and product. Sequential: nothing
 * Source      the article's "QKV" and "output" of transformer/full
 */
#include <math.h>

#include "common/reference.h"
#include "transformer.h"

enum { X, W, B, Y };

static const struct map maps[] = {{.matrix = W, .bias = B}};

static int linear_tensors(struct dims d, int64_t outputs, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[W] = (struct tensor){"W", PARAMETER, {outputs, d.H}, 0.0f, w};
    out[B] = (struct tensor){"b", PARAMETER, {outputs}, 0.0f, w};
    out[Y] = (struct tensor){"y", OUTPUT, {d.S, outputs}, 0.0f, 0.0f};
    return Y + 1;
}

static int qkv_tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    return linear_tensors(d, 3 * d.H, out);
}

static struct cost qkv_cost(struct dims d)
{
    return (struct cost){.multiply_adds = 3 * d.S * d.H * d.H};
}

static void qkv_reference(struct dims d, double *const t[])
{
    reference_linear(d.S, d.H, 3 * d.H, t[X], t[W], t[B], t[Y]);
}

static void run(const struct instance *in)
{
    product_rows(in, 0, in->dims.S, in->t[X], in->t[Y]);
}

static const struct layer qkv_layer = {
    .name = "transformer.qkv",
    .equation = "q, k, v = Wqkv x + bqkv",
    .cells = CELLS_GRID,
    .tensors = qkv_tensors,
    .cost = qkv_cost,
    .reference = qkv_reference,
    .tolerance = 2e-6,
};

const struct algorithm transformer_qkv = {
    .name = "transformer.qkv",
    .method = "one product, S x H by H x 3H",
    .layer = &qkv_layer,
    PIECE_OF("transformer/full"),
    MAPS(maps),
    .run = run,
};

static int output_tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    return linear_tensors(d, d.H, out);
}

static struct cost output_cost(struct dims d)
{
    return (struct cost){.multiply_adds = d.S * d.H * d.H};
}

static void output_reference(struct dims d, double *const t[])
{
    reference_linear(d.S, d.H, d.H, t[X], t[W], t[B], t[Y]);
}

static const struct layer output_layer = {
    .name = "transformer.output",
    .equation = "y = Wo context + bo",
    .cells = CELLS_GRID,
    .tensors = output_tensors,
    .cost = output_cost,
    .reference = output_reference,
    .tolerance = 2e-6,
};

const struct algorithm transformer_output = {
    .name = "transformer.output",
    .method = "one product, S x H by H x H",
    .layer = &output_layer,
    PIECE_OF("transformer/full"),
    MAPS(maps),
    .run = run,
};
