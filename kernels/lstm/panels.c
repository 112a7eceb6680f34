/*
 * lstm/panels: hoisted, with U in panels of rows, forward in even steps and backward in odd ones,
 * so that a step begins with the panels that the step before left in L2. Labels: layer.c.
 */
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
        blas_sgemv_panels(4 * H, H, in->t[LSTM_U], h, s % 2, gates);
        lstm_activate(H, gates);
        lstm_cell_update(H, gates, c, c, y + s * H);
        h = y + s * H;
    }
}

const struct kernel lstm_panels = {
    .name = "lstm/panels",
    .method = "hoisted, with U h by one sgemv per panel, forward and backward in turn",
    .layer = &lstm_layer,
    .scratch = scratch,
    .run = run,
};
