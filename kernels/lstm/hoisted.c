/* lstm/hoisted: X W^T leaves the loop as one sgemm, one 4H x H sgemv per step. Labels: layer.c. */
#include <string.h>

#include "blas.h"
#include "lstm.h"

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {d.S, 4 * d.H}};
    out[1] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 2;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->scratch[1];
    float *y = in->t[LSTM_Y], *c = in->t[LSTM_C_LAST];

    memset(in->scratch[1], 0, (size_t)H * sizeof(float));
    memset(c, 0, (size_t)H * sizeof(float));
    blas_linear(S, H, 4 * H, in->t[LSTM_X], in->t[LSTM_W], in->t[LSTM_B], in->scratch[0]);
    for (int64_t s = 0; s < S; s++) {
        float *gates = in->scratch[0] + s * 4 * H;
        blas_sgemv(4 * H, H, in->t[LSTM_U], H, h, 1.0f, gates);
        lstm_activate(H, gates);
        lstm_cell_update(H, gates, c, c, y + s * H);
        h = y + s * H;
    }
}

const struct kernel lstm_hoisted = {
    .name = "lstm/hoisted",
    .method = "X W^T for the whole sequence by one sgemm, then one 4H x H sgemv per step",
    .layer = &lstm_layer,
    .scratch = scratch,
    .run = run,
};
