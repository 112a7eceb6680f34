/* gru/literal: six matrix-vector products per step, as the textbook writes the gates. */
#include "gru.h"

#define GATE_MAP(tensor, gate)                                                                     \
    {                                                                                              \
        .matrix = (tensor), .part = (gate), .parts = GRU_GATES, .one_row = true                    \
    }
static const struct map maps[] = {GATE_MAP(GRU_W, 0), GATE_MAP(GRU_W, 1), GATE_MAP(GRU_W, 2),
                                  GATE_MAP(GRU_U, 0), GATE_MAP(GRU_U, 1), GATE_MAP(GRU_U, 2)};

enum { GATES, WX, UH };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[GATES] = (struct tensor){.name = "gates", .shape = {3 * d.H}};
    out[WX] = (struct tensor){.name = "wx", .shape = {d.H}};
    out[UH] = (struct tensor){.name = "uh", .shape = {d.H}};
    return UH + 1;
}

/* h_next of one step; x, h: H floats each. */
static void step(const struct instance *in, const float *x, const float *h, float *h_next)
{
    const int64_t H = in->dims.H;
    const float *b = in->t[GRU_B], *bn = in->t[GRU_BN];
    float *wx = in->scratch[WX], *uh = in->scratch[UH];
    float *r = in->scratch[GATES], *z = r + H, *n = z + H;

    for (int gate = 0; gate < 2; gate++) {
        product_row(in, gate, x, NULL, wx);
        product_row(in, GRU_GATES + gate, h, NULL, uh);
        for (int64_t k = 0; k < H; k++)
            r[gate * H + k] = wx[k] + uh[k] + b[gate * H + k];
    }
    vmath_sigmoid(2 * H, r, r);
    product_row(in, 2, x, NULL, wx);
    product_row(in, GRU_GATES + 2, h, NULL, uh);
    for (int64_t k = 0; k < H; k++)
        n[k] = wx[k] + b[2 * H + k] + r[k] * (uh[k] + bn[k]);
    vmath_tanh(H, n, n);
    for (int64_t k = 0; k < H; k++)
        h_next[k] = n[k] + z[k] * (h[k] - n[k]);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->t[GRU_H0];
    for (int64_t s = 0; s < S; s++) {
        float *y = in->t[GRU_Y] + s * H;
        step(in, in->t[GRU_X] + s * input_size(in->dims), h, y);
        h = y;
    }
}

const struct algorithm gru_literal = {
    .name = "gru/literal",
    .method = "per step six products, W x and U h for each of r, z, n, then activations and update",
    .layer = &gru_layer,
    .products = PRODUCTS_STEP,
    TEXTBOOK,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
