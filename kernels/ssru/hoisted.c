/*
 * ssru/hoisted, ssru.step: both products of the whole sequence, then gate and update in one pass
 * over the channels of each token.
 */
#include "ssru.h"

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {d.S, 2 * d.H}};
    return 1;
}

/* Channels k .. k + lanes of a token. */
static inline __attribute__((always_inline)) void update(int64_t H, int64_t k, int64_t lanes,
                                                         const float *gates, const float *c,
                                                         float *c_next, float *y)
{
    const vfloat next = ssru_next(H, lanes, gates + k, v_load_head(c + k, lanes, 0.0f));
    v_store_head(c_next + k, next, lanes);
    v_store_head(y + k, v_max(next, (vfloat){0}), lanes);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *c = in->t[SSRU_C0];
    float *gates = in->scratch[0], *y = in->t[SSRU_Y], *c_next = in->t[SSRU_C_LAST];
    ssru_project(in, S, in->t[SSRU_X], gates);
    for (int64_t s = 0; s < S; s++, gates += 2 * H, y += H) {
        V_EACH(k, lanes, H, update(H, k, lanes, gates, c, c_next, y));
        c = c_next;
    }
}

const struct algorithm ssru_hoisted = {
    .name = "ssru/hoisted",
    .method = "both products of the whole sequence, then token by token",
    .layer = &ssru_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = ssru_maps,
    .map_count = SSRU_MAPS,
    .scratch = scratch,
    .run = run,
};

const struct algorithm ssru_step = {
    .name = "ssru.step",
    .method = "one step of ssru/hoisted",
    .layer = &ssru_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .products = PRODUCTS_STEP,
    .is_step = true,
    .maps = ssru_maps,
    .map_count = SSRU_MAPS,
    .scratch = scratch,
    .run = run,
};
