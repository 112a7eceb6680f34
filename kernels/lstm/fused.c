/* lstm/fused: the gates stacked to 4H x H, two sgemv per step. Labels: layer.c. */
#include <string.h>

#include "blas.h"
#include "lstm.h"

void lstm_fused_step(int64_t H, const float *x, const float *h, const float *c, const float *W,
                     const float *U, const float *b, float *gates, float *c_next, float *h_next)
{
    memcpy(gates, b, (size_t)(4 * H) * sizeof(float));
    blas_sgemv(4 * H, H, W, H, x, 1.0f, gates);
    blas_sgemv(4 * H, H, U, H, h, 1.0f, gates);
    lstm_activate(H, gates);
    lstm_cell_update(H, gates, c, c_next, h_next);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {4 * d.H}};
    out[1] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 2;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *x = in->t[LSTM_X], *h = in->scratch[1];
    float *y = in->t[LSTM_Y], *c = in->t[LSTM_C_LAST], *gates = in->scratch[0];

    memset(in->scratch[1], 0, (size_t)H * sizeof(float));
    memset(c, 0, (size_t)H * sizeof(float));
    for (int64_t s = 0; s < S; s++) {
        lstm_fused_step(H, x + s * H, h, c, in->t[LSTM_W], in->t[LSTM_U], in->t[LSTM_B], gates, c,
                        y + s * H);
        h = y + s * H;
    }
}

const struct kernel lstm_fused = {
    .name = "lstm/fused",
    .method = "per step two sgemv with the gates stacked to 4H x H",
    .layer = &lstm_layer,
    .scratch = scratch,
    .run = run,
};
