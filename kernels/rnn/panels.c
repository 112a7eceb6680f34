/*
 * rnn/panels: hoisted, with U in panels of rows, forward in even steps and backward in odd ones, so
 * that a step begins with the panels that the step before left in L2. Labels: layer.c.
 */
#include <string.h>

#include "blas.h"
#include "rnn.h"
#include "vmath.h"

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->scratch[0];
    float *y = in->t[RNN_Y];

    memset(in->scratch[0], 0, (size_t)H * sizeof(float));
    blas_linear(S, H, H, in->t[RNN_X], in->t[RNN_W], in->t[RNN_B], y);
    for (int64_t s = 0; s < S; s++) {
        blas_sgemv_panels(H, H, in->t[RNN_U], h, s % 2, y + s * H);
        vmath_tanh(H, y + s * H, y + s * H);
        h = y + s * H;
    }
}

const struct kernel rnn_panels = {
    .name = "rnn/panels",
    .method = "hoisted, with U h by one sgemv per panel, forward and backward in turn",
    .layer = &rnn_layer,
    .scratch = scratch,
    .run = run,
};
