/* mingru/literal: the equations token by token, two matrix-vector products per step. */
#include "mingru.h"

enum { OF_GATE, OF_CANDIDATE };
static const struct map maps[] = {
    [OF_GATE] = {.matrix = MINGRU_W, .part = 0, .parts = 2, .one_row = true},
    [OF_CANDIDATE] = {.matrix = MINGRU_W, .part = 1, .parts = 2, .one_row = true},
};

enum { Z, CANDIDATE };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[Z] = (struct tensor){.name = "z", .shape = {d.H}};
    out[CANDIDATE] = (struct tensor){.name = "candidate", .shape = {d.H}};
    return CANDIDATE + 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *b = in->t[MINGRU_B], *h = in->t[MINGRU_H0];
    float *z = in->scratch[Z], *candidate = in->scratch[CANDIDATE];
    for (int64_t s = 0; s < S; s++) {
        const float *x = in->t[MINGRU_X] + s * H;
        float *y = in->t[MINGRU_Y] + s * H;
        product_row(in, OF_GATE, x, NULL, z);
        product_row(in, OF_CANDIDATE, x, NULL, candidate);
        for (int64_t k = 0; k < H; k++)
            z[k] += b[k];
        vmath_sigmoid(H, z, z);
        for (int64_t k = 0; k < H; k++)
            y[k] = h[k] + z[k] * (candidate[k] + b[H + k] - h[k]);
        h = y;
    }
}

const struct algorithm mingru_literal = {
    .name = "mingru/literal",
    .method = "per step two products, for z and the candidate, then sigmoid and update",
    .layer = &mingru_layer,
    .products = PRODUCTS_STEP,
    TEXTBOOK,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
