/*
 * gru/hoisted: X W^T leaves the loop as one sgemm, one 3H x H sgemv per step, then gates and update
 * in one pass. Labels: layer.c.
 */
#include <string.h>

#include "blas.h"
#include "gru.h"
#include "vmath.h"

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

void gru_finish_step(int64_t H, const float *wx, const float *h, const float *U, const float *bn,
                     float *uh, float *h_next)
{
    memset(uh, 0, (size_t)(2 * H) * sizeof(float));
    memcpy(uh + 2 * H, bn, (size_t)H * sizeof(float));
    blas_sgemv(3 * H, H, U, H, h, 1.0f, uh);
    int64_t k = 0;
    for (; k + VMATH_LANES <= H; k += VMATH_LANES)
        update(H, k, VMATH_LANES, wx, uh, h, h_next);
    if (k < H)
        update(H, k, H - k, wx, uh, h, h_next);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "wx", .shape = {d.S, 3 * d.H}};
    out[1] = (struct tensor){.name = "uh", .shape = {3 * d.H}};
    out[2] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 3;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->scratch[2];
    float *wx = in->scratch[0], *y = in->t[GRU_Y];

    memset(in->scratch[2], 0, (size_t)H * sizeof(float));
    blas_linear(S, H, 3 * H, in->t[GRU_X], in->t[GRU_W], in->t[GRU_B], wx);
    for (int64_t s = 0; s < S; s++) {
        gru_finish_step(H, wx + s * 3 * H, h, in->t[GRU_U], in->t[GRU_BN], in->scratch[1],
                        y + s * H);
        h = y + s * H;
    }
}

const struct kernel gru_hoisted = {
    .name = "gru/hoisted",
    .method = "X W^T for the whole sequence by one sgemm, then per step one 3H x H sgemv and one "
              "pass",
    .layer = &gru_layer,
    .scratch = scratch,
    .run = run,
};
