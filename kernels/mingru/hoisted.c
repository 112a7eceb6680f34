/*
 * mingru/hoisted, mingru.step: all products as one, then sigmoid and update in one pass over the
 * channels of each token.
 */
#include "mingru.h"

static const struct map maps[] = {{.matrix = MINGRU_W, .bias = MINGRU_B}};

/* Channels k .. k + n, n <= VMATH_LANES. */
static inline __attribute__((always_inline)) void
update(int64_t H, int64_t k, int64_t n, const float *gates, const float *h, float *h_next)
{
    const vfloat z = v_sigmoid(v_load_head(gates + k, n, 0.0f));
    const vfloat candidate = v_load_head(gates + H + k, n, 0.0f),
                 last = v_load_head(h + k, n, 0.0f);
    v_store_head(h_next + k, last + z * (candidate - last), n);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {d.S, 2 * d.H}};
    return 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->t[MINGRU_H0];
    float *gates = in->scratch[0], *y = in->t[MINGRU_Y];
    product_rows(in, 0, S, in->t[MINGRU_X], gates);
    for (int64_t s = 0; s < S; s++, gates += 2 * H, y += H) {
        V_EACH(k, lanes, H, update(H, k, lanes, gates, h, y));
        h = y;
    }
}

const struct algorithm mingru_hoisted = {
    .name = "mingru/hoisted",
    .method = "W x of the whole sequence by one product, then the recurrence over tokens, vectors "
              "over channels",
    .layer = &mingru_layer,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};

const struct algorithm mingru_step = {
    .name = "mingru.step",
    .method = "one step of mingru/hoisted",
    .layer = &mingru_layer,
    .products = PRODUCTS_STEP,
    .is_step = true,
    .tolerance = 2e-6,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
