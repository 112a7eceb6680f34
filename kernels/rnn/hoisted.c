/* rnn/hoisted: X W^T leaves the loop as one sgemm; only U h stays sequential. Labels: layer.c. */
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
    const float *U = in->t[RNN_U], *h = in->scratch[0];
    float *y = in->t[RNN_Y];

    memset(in->scratch[0], 0, (size_t)H * sizeof(float));
    blas_linear(S, H, H, in->t[RNN_X], in->t[RNN_W], in->t[RNN_B], y);
    for (int64_t s = 0; s < S; s++) {
        blas_sgemv(H, H, U, H, h, 1.0f, y + s * H);
        vmath_tanh(H, y + s * H, y + s * H);
        h = y + s * H;
    }
}

const struct kernel rnn_hoisted = {
    .name = "rnn/hoisted",
    .method = "X W^T for the whole sequence by one sgemm, then one sgemv per step",
    .layer = &rnn_layer,
    .scratch = scratch,
    .run = run,
};
