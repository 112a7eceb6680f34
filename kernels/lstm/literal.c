/* lstm/literal: eight sgemv per step, as the textbook writes the gates. Labels: layer.c. */
#include <string.h>

#include "blas.h"
#include "lstm.h"

void lstm_literal_gates(int64_t H, const float *x, const float *h, const float *W, const float *U,
                        const float *b, float *wx, float *uh, float *gates)
{
    for (int64_t gate = 0; gate < 4; gate++) {
        blas_sgemv(H, H, W + gate * H * H, H, x, 0.0f, wx);
        blas_sgemv(H, H, U + gate * H * H, H, h, 0.0f, uh);
        for (int64_t k = 0; k < H; k++)
            gates[gate * H + k] = wx[k] + uh[k] + b[gate * H + k];
    }
    lstm_activate(H, gates);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {4 * d.H}};
    out[1] = (struct tensor){.name = "wx", .shape = {d.H}};
    out[2] = (struct tensor){.name = "uh", .shape = {d.H}};
    out[3] = (struct tensor){.name = "h0", .shape = {d.H}};
    return 4;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *x = in->t[LSTM_X], *h = in->scratch[3];
    float *y = in->t[LSTM_Y], *c = in->t[LSTM_C_LAST], *gates = in->scratch[0];

    memset(in->scratch[3], 0, (size_t)H * sizeof(float));
    memset(c, 0, (size_t)H * sizeof(float));
    for (int64_t s = 0; s < S; s++) {
        lstm_literal_gates(H, x + s * H, h, in->t[LSTM_W], in->t[LSTM_U], in->t[LSTM_B],
                           in->scratch[1], in->scratch[2], gates);
        lstm_cell_update(H, gates, c, c, y + s * H);
        h = y + s * H;
    }
}

const struct kernel lstm_literal = {
    .name = "lstm/literal",
    .method = "per step eight sgemv, W x and U h for each of F, I, C^, O, then activations",
    .layer = &lstm_layer,
    .scratch = scratch,
    .run = run,
};
