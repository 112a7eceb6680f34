/*
 * minlstm/hoisted: all products as one, then gates and update in one pass over the channels
 * of each token.
 */
#include "minlstm.h"

static const struct map maps[] = {{.matrix = MINLSTM_W, .bias = MINLSTM_B}};

/*
 * f/(f+i) of two sigmoids: (1 + e^-i) / (2 + e^-i + e^-f), one division instead of three. Nothing
 * overflows or becomes 0/0: where both gates lie below -40, f/(f+i) depends on their difference
 * only, and they are lifted; one that still lies below -80 is 2^-57 of the other and may be cut.
 */
static inline vfloat forget_share(vfloat f, vfloat i)
{
    const vfloat lift = v_max(-40.0f - v_max(f, i), (vfloat){0});
    const vfloat e_f = v_exp(-v_max(f + lift, -80.0f - (vfloat){0}));
    const vfloat e_i = v_exp(-v_max(i + lift, -80.0f - (vfloat){0})) + 1.0f;
    return e_i / (e_i + (e_f + 1.0f));
}

/* Channels k .. k + n, n <= VMATH_LANES. */
static inline __attribute__((always_inline)) void
update(int64_t H, int64_t k, int64_t n, const float *gates, const float *h, float *h_next)
{
    const vfloat keep =
        forget_share(v_load_head(gates + k, n, 0.0f), v_load_head(gates + H + k, n, 0.0f));
    const vfloat candidate = v_load_head(gates + 2 * H + k, n, 0.0f);
    v_store_head(h_next + k, candidate + keep * (v_load_head(h + k, n, 0.0f) - candidate), n);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {d.S, 3 * d.H}};
    return 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->t[MINLSTM_H0];
    float *gates = in->scratch[0], *y = in->t[MINLSTM_Y];
    product_rows(in, 0, S, in->t[MINLSTM_X], gates);
    for (int64_t s = 0; s < S; s++, gates += 3 * H, y += H) {
        V_EACH(k, lanes, H, update(H, k, lanes, gates, h, y));
        h = y;
    }
}

/* Two exps where the layer counts two sigmoids; of 14 elementwise the update waits, 3. */
static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){
        .multiply_adds = 3 * SH * d.H,
        .elementwise = 14 * SH,
        .exps = 2 * SH,
        .sequential = 3 * SH,
    };
}

const struct algorithm minlstm_hoisted = {
    .name = "minlstm/hoisted",
    .method = "W x of the whole sequence by one product, then the recurrence over tokens, vectors "
              "over channels",
    .layer = &minlstm_layer,
    MAPS(maps),
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
