/*
 * gru/hoisted, gru.step: W x leaves the loop as one product, one product with U[3H,H] per step,
 * then gates and update in one pass.
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
    out[WX] = (struct tensor){.name = "wx", .shape = {token_rows(d), 3 * d.H}};
    out[UH] = (struct tensor){.name = "uh", .shape = {d.B, 3 * d.H}};
    return UH + 1;
}

static void run(const struct instance *in)
{
    const int64_t B = in->dims.B, S = in->dims.S, H = in->dims.H;
    const float *h = in->t[GRU_H0];
    int64_t from_h_to_h = H; /* of one sequence and the next */
    float *wx = in->scratch[WX], *uh = in->scratch[UH], *y = in->t[GRU_Y];

    product_rows(in, OF_INPUT, token_rows(in->dims), in->t[GRU_X], wx);
    for (int64_t s = 0; s < S; s++, wx += 3 * H, y += H) {
        for (int64_t b = 0; b < B; b++) {
            memset(uh + b * 3 * H, 0, (size_t)(2 * H) * sizeof(float));
            memcpy(uh + b * 3 * H + 2 * H, in->t[GRU_BN], (size_t)H * sizeof(float));
        }
        product(in, OF_STATE, B, h, from_h_to_h, uh, uh, 3 * H);
        for (int64_t b = 0; b < B; b++)
            V_EACH(k, lanes, H,
                   update(H, k, lanes, wx + b * S * 3 * H, uh + b * 3 * H, h + b * from_h_to_h,
                          y + b * S * H));
        h = y;
        from_h_to_h = S * H;
    }
}

const struct algorithm gru_hoisted = {
    .name = "gru/hoisted",
    .method = "W x of the whole sequence by one product, then per step one 3H x H product and one "
              "pass",
    .layer = &gru_layer,
    .batch_rows = BATCH_TOGETHER,
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
