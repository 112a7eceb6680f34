/* rnn/literal: the operations as the textbook writes them, one by one. Labels: layer.c. */
#include <string.h>

#include "blas.h"
#include "rnn.h"
#include "vmath.h"

void rnn_literal_step(int64_t H, const float *x, const float *h, const float *W, const float *U,
                      const float *b, float *wx, float *uh, float *h_next)
{
    blas_sgemv(H, H, W, H, x, 0.0f, wx);
    blas_sgemv(H, H, U, H, h, 0.0f, uh);
    for (int64_t i = 0; i < H; i++)
        wx[i] += uh[i] + b[i];
    vmath_tanh(H, wx, h_next);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "wx", .shape = {d.H}};
    out[1] = (struct tensor){.name = "uh", .shape = {d.H}};
    out[2] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 3;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *x = in->t[RNN_X], *h = in->scratch[2];
    float *y = in->t[RNN_Y];

    memset(in->scratch[2], 0, (size_t)H * sizeof(float));
    for (int64_t s = 0; s < S; s++) {
        rnn_literal_step(H, x + s * H, h, in->t[RNN_W], in->t[RNN_U], in->t[RNN_B], in->scratch[0],
                         in->scratch[1], y + s * H);
        h = y + s * H;
    }
}

const struct kernel rnn_literal = {
    .name = "rnn/literal",
    .method = "per step: W x by sgemv, U h by sgemv, add, tanh",
    .layer = &rnn_layer,
    .scratch = scratch,
    .run = run,
};
