/*
 * minlstm/literal: the equations token by token, three sgemv per step. f + i is 0 where both gates
 * lie below -87: 0/0. Labels: layer.c.
 */
#include <string.h>

#include "blas.h"
#include "minlstm.h"
#include "vmath.h"

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {3 * d.H}};
    out[1] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 2;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *W = in->t[MINLSTM_W], *b = in->t[MINLSTM_B], *h = in->scratch[1];
    float *f = in->scratch[0], *i = f + H, *candidate = i + H;

    memset(in->scratch[1], 0, (size_t)H * sizeof(float));
    for (int64_t s = 0; s < S; s++) {
        float *y = in->t[MINLSTM_Y] + s * H;
        for (int64_t gate = 0; gate < 3; gate++)
            blas_sgemv(H, H, W + gate * H * H, H, in->t[MINLSTM_X] + s * H, 0.0f, f + gate * H);
        for (int64_t k = 0; k < 3 * H; k++)
            f[k] += b[k];
        vmath_sigmoid(2 * H, f, f);
        for (int64_t k = 0; k < H; k++)
            y[k] = candidate[k] + f[k] / (f[k] + i[k]) * (h[k] - candidate[k]);
        h = y;
    }
}

const struct kernel minlstm_literal = {
    .name = "minlstm/literal",
    .method = "per step three sgemv, for f, i and the candidate, then sigmoids, f/(f+i) and update",
    .layer = &minlstm_layer,
    .scratch = scratch,
    .run = run,
};
