/*
 * lstm.update: C and H of one step from its gates, timed alone.
 * Equation    c' = f c + i C_hat, h = o tanh(c')
 * Shapes      gates[4H] (i, f, C_hat, o) c[H] -> c_next[H] h[H]
 * Flops       4 H elementwise, H tanh; no matrix product
 * Bytes       input and output once
 * State       c
 * Inputs      gates in [0,1], where sigmoid leaves three of them; c in [-1,1]
 * Timed       the update, everything in L1
 * Sequential  all of it
 * Source      the article's "C and H updates"
 */
#include <math.h>

#include "lstm.h"

enum { GATES, C, C_NEXT, H_NEXT };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[GATES] = (struct tensor){"gates", INPUT, {4 * d.H}, 0.5f, 0.5f};
    out[C] = (struct tensor){"c", INPUT, {d.H}, 0.0f, 1.0f};
    out[C_NEXT] = (struct tensor){"c_next", OUTPUT, {d.H}, 0.0f, 0.0f};
    out[H_NEXT] = (struct tensor){"h", OUTPUT, {d.H}, 0.0f, 0.0f};
    return H_NEXT + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){.elementwise = 4 * d.H, .tanhs = d.H, .sequential = 4 * d.H};
}

static void reference(struct dims d, double *const t[])
{
    const double *i = t[GATES], *f = i + d.H, *c_hat = f + d.H, *o = c_hat + d.H;
    for (int64_t k = 0; k < d.H; k++) {
        t[C_NEXT][k] = i[k] * c_hat[k] + f[k] * t[C][k];
        t[H_NEXT][k] = o[k] * tanh(t[C_NEXT][k]);
    }
}

static void run(const struct instance *in)
{
    lstm_cell_update(in->dims.H, in->t[GATES], in->t[C], in->t[C_NEXT], in->t[H_NEXT]);
}

static const struct layer layer = {
    .name = "lstm.update",
    .equation = "c = f c + i C^; h = o tanh(c), one step",
    .cells = CELLS_PER_STEP,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 1e-6,
};

const struct algorithm lstm_update = {
    .name = "lstm.update",
    .method = "the cell update that all LSTMs share",
    .layer = &layer,
    .products = PRODUCTS_NONE,
    .run = run,
};
