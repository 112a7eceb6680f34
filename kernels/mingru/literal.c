/* mingru/literal: the equations token by token, two sgemv per step. Labels: layer.c. */
#include <string.h>

#include "blas.h"
#include "mingru.h"
#include "vmath.h"

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "z", .shape = {d.H}};
    out[1] = (struct tensor){.name = "candidate", .shape = {d.H}};
    out[2] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 3;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *W = in->t[MINGRU_W], *b = in->t[MINGRU_B], *h = in->scratch[2];
    float *z = in->scratch[0], *candidate = in->scratch[1];

    memset(in->scratch[2], 0, (size_t)H * sizeof(float));
    for (int64_t s = 0; s < S; s++) {
        const float *x = in->t[MINGRU_X] + s * H;
        float *y = in->t[MINGRU_Y] + s * H;
        blas_sgemv(H, H, W, H, x, 0.0f, z);
        blas_sgemv(H, H, W + H * H, H, x, 0.0f, candidate);
        for (int64_t k = 0; k < H; k++)
            z[k] += b[k];
        vmath_sigmoid(H, z, z);
        for (int64_t k = 0; k < H; k++)
            y[k] = h[k] + z[k] * (candidate[k] + b[H + k] - h[k]);
        h = y;
    }
}

const struct kernel mingru_literal = {
    .name = "mingru/literal",
    .method = "per step two sgemv, for z and the candidate, then sigmoid and update",
    .layer = &mingru_layer,
    .scratch = scratch,
    .run = run,
};
