/*
 * gru/hoisted, gru.step: W x leaves the loop as one product, one 3H x H matrix-vector product per
 * step, then gates and update in one pass.
 */
#include <string.h>

#include "gru.h"

enum { OF_INPUT, OF_STATE };
static const struct map maps[] = {
    [OF_INPUT] = {.matrix = GRU_W, .bias = GRU_B},
    [OF_STATE] = {.matrix = GRU_U, .one_row = true},
};

/* Channels k .. k + n of a step, n <= VMATH_LANES; uh already holds the biases bn. */
static inline __attribute__((always_inline)) void update(int64_t H, int64_t k, int64_t n,
                                                         const float *wx, const float *uh,
                                                         const float *h, float *h_next)
{
    const vfloat r = v_sigmoid(v_load_head(wx + k, n, 0.0f) + v_load_head(uh + k, n, 0.0f));
    const vfloat z = v_sigmoid(v_load_head(wx + H + k, n, 0.0f) + v_load_head(uh + H + k, n, 0.0f));
    const vfloat candidate =
        v_tanh(v_load_head(wx + 2 * H + k, n, 0.0f) + r * v_load_head(uh + 2 * H + k, n, 0.0f));
    v_store_head(h_next + k, candidate + z * (v_load_head(h + k, n, 0.0f) - candidate), n);
}

enum { WX, UH };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[WX] = (struct tensor){.name = "wx", .shape = {d.S, 3 * d.H}};
    out[UH] = (struct tensor){.name = "uh", .shape = {3 * d.H}};
    return UH + 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->t[GRU_H0];
    float *wx = in->scratch[WX], *uh = in->scratch[UH], *y = in->t[GRU_Y];

    product_rows(in, OF_INPUT, S, in->t[GRU_X], wx);
    for (int64_t s = 0; s < S; s++, wx += 3 * H, y += H) {
        memset(uh, 0, (size_t)(2 * H) * sizeof(float));
        memcpy(uh + 2 * H, in->t[GRU_BN], (size_t)H * sizeof(float));
        product_row(in, OF_STATE, h, uh, uh);
        V_EACH(k, lanes, H, update(H, k, lanes, wx, uh, h, y));
        h = y;
    }
}

const struct algorithm gru_hoisted = {
    .name = "gru/hoisted",
    .method = "W x of the whole sequence by one product, then per step one 3H x H product and one "
              "pass",
    .layer = &gru_layer,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};

const struct algorithm gru_step = {
    .name = "gru.step",
    .method = "one step of gru/hoisted",
    .layer = &gru_layer,
    .products = PRODUCTS_STEP,
    .is_step = true,
    .tolerance = 2e-6,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
