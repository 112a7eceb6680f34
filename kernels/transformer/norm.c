/*
 * transformer.norm: both residual additions and layer norms of the block, timed alone.
 * Equation    x1 = LN1(x + attention); y = LN2(x1 + ffn)
 * Shapes      x[S,H] attention[S,H] ffn[S,H] gains and biases[H] -> x1[S,H] y[S,H]
 * Flops       S (16H + 2) elementwise, 2 S rsqrt; no matrix product
 * Bytes       input and output once
 * State       none
 * Inputs      all in [-1,1]; gains in [0.9,1.1]; biases in [-0.1,0.1]
 * Timed       both norms. Sequential: nothing
 * Source      residuals and norms of transformer/full (the article leaves them out)
 */
#include <math.h>

#include "transformer.h"

enum { X, ATTENTION, FFN, LN1_G, LN1_B, LN2_G, LN2_B, X1, Y };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[ATTENTION] = (struct tensor){"attention", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[FFN] = (struct tensor){"ffn", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[LN1_G] = (struct tensor){"ln1_g", PARAMETER, {d.H}, 1.0f, 0.1f};
    out[LN1_B] = (struct tensor){"ln1_b", PARAMETER, {d.H}, 0.0f, 0.1f};
    out[LN2_G] = (struct tensor){"ln2_g", PARAMETER, {d.H}, 1.0f, 0.1f};
    out[LN2_B] = (struct tensor){"ln2_b", PARAMETER, {d.H}, 0.0f, 0.1f};
    out[X1] = (struct tensor){"x1", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    out[Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){.elementwise = d.S * (16 * d.H + 2), .rsqrts = 2 * d.S};
}

static void sublayer(int64_t H, const double *x, const double *branch, const double *gain,
                     const double *bias, double *y)
{
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < H; i++)
        sum += x[i] + branch[i];
    for (int64_t i = 0; i < H; i++)
        squares += pow(x[i] + branch[i] - sum / (double)H, 2);
    for (int64_t i = 0; i < H; i++)
        y[i] = bias[i] +
               gain[i] * (x[i] + branch[i] - sum / (double)H) / sqrt(squares / (double)H + 1e-5);
}

static void reference(struct dims d, double *const t[])
{
    for (int64_t row = 0; row < d.S * d.H; row += d.H) {
        sublayer(d.H, t[X] + row, t[ATTENTION] + row, t[LN1_G], t[LN1_B], t[X1] + row);
        sublayer(d.H, t[X1] + row, t[FFN] + row, t[LN2_G], t[LN2_B], t[Y] + row);
    }
}

static void run(const struct instance *in)
{
    transformer_residual_norm(in->dims, in->t[X], in->t[ATTENTION], in->t[LN1_G], in->t[LN1_B],
                              in->t[X1]);
    transformer_residual_norm(in->dims, in->t[X1], in->t[FFN], in->t[LN2_G], in->t[LN2_B],
                              in->t[Y]);
}

static const struct layer layer = {
    .name = "transformer.norm",
    .equation = "x1 = LN(x + attention); y = LN(x1 + ffn)",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 5e-6,
};

const struct algorithm transformer_norm = {
    .name = "transformer.norm",
    .method = "two passes per row: mean, then variance",
    .layer = &layer,
    .products = PRODUCTS_NONE,
    .run = run,
};
