/*
 * minlstm/literal: the equations token by token, three matrix-vector products per step. f + i is 0
 * where both gates lie below -87: 0/0.
 */
#include "minlstm.h"

enum { ROWS = 3 }; /* f, i, candidate */
static const struct map maps[ROWS] = {
    {.matrix = MINLSTM_W, .part = 0, .parts = ROWS, .one_row = true},
    {.matrix = MINLSTM_W, .part = 1, .parts = ROWS, .one_row = true},
    {.matrix = MINLSTM_W, .part = 2, .parts = ROWS, .one_row = true},
};

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {ROWS * d.H}};
    return 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *b = in->t[MINLSTM_B], *h = in->t[MINLSTM_H0];
    float *f = in->scratch[0], *i = f + H, *candidate = i + H;
    for (int64_t s = 0; s < S; s++) {
        float *y = in->t[MINLSTM_Y] + s * H;
        for (int row = 0; row < ROWS; row++)
            product_row(in, row, in->t[MINLSTM_X] + s * H, NULL, f + row * H);
        for (int64_t k = 0; k < ROWS * H; k++)
            f[k] += b[k];
        vmath_sigmoid(2 * H, f, f);
        for (int64_t k = 0; k < H; k++)
            y[k] = candidate[k] + f[k] / (f[k] + i[k]) * (h[k] - candidate[k]);
        h = y;
    }
}

const struct algorithm minlstm_literal = {
    .name = "minlstm/literal",
    .method = "per step three products, for f, i and the candidate, then sigmoids, f/(f+i), update",
    .layer = &minlstm_layer,
    .products = PRODUCTS_STEP,
    TEXTBOOK,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
