/*
 * mingru/hoisted: all products as one sgemm, then sigmoid and update in one pass over the channels
 * of each token. Labels: layer.c.
 */
#include <string.h>

#include "blas.h"
#include "mingru.h"
#include "vmath.h"

/* Channels k .. k + n, n <= VMATH_LANES. */
static inline __attribute__((always_inline)) void
update(int64_t H, int64_t k, int64_t n, const float *gates, const float *h, float *h_next)
{
    const vfloat z = v_sigmoid(v_load_head(gates + k, n, 0.0f));
    const vfloat candidate = v_load_head(gates + H + k, n, 0.0f),
                 last = v_load_head(h + k, n, 0.0f);
    v_store_head(h_next + k, last + z * (candidate - last), n);
}

void mingru_update(int64_t H, const float *gates, const float *h, float *h_next)
{
    int64_t k = 0;
    for (; k + VMATH_LANES <= H; k += VMATH_LANES)
        update(H, k, VMATH_LANES, gates, h, h_next);
    if (k < H)
        update(H, k, H - k, gates, h, h_next);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {d.S, 2 * d.H}};
    out[1] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 2;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->scratch[1];
    float *gates = in->scratch[0], *y = in->t[MINGRU_Y];

    memset(in->scratch[1], 0, (size_t)H * sizeof(float));
    blas_linear(S, H, 2 * H, in->t[MINGRU_X], in->t[MINGRU_W], in->t[MINGRU_B], gates);
    for (int64_t s = 0; s < S; s++) {
        mingru_update(H, gates + s * 2 * H, h, y + s * H);
        h = y + s * H;
    }
}

const struct kernel mingru_hoisted = {
    .name = "mingru/hoisted",
    .method = "X W^T for the whole sequence by one sgemm, then the recurrence over tokens, vectors "
              "over channels",
    .layer = &mingru_layer,
    .scratch = scratch,
    .run = run,
};
