/* cell.c - the pieces of an LSTM step that algorithms and parts share. */
#include "lstm.h"

void lstm_literal_gates(const struct instance *in, const float *x, const float *h, const float *b,
                        float *wx, float *uh, float *gates)
{
    const int64_t H = in->dims.H;
    for (int gate = 0; gate < LSTM_GATES; gate++) {
        product_row(in, gate, x, NULL, wx);
        product_row(in, LSTM_GATES + gate, h, NULL, uh);
        for (int64_t k = 0; k < H; k++)
            gates[gate * H + k] = wx[k] + uh[k] + b[gate * H + k];
    }
    lstm_activate(H, gates);
}

void lstm_activate(int64_t H, float *gates)
{
    vmath_sigmoid(2 * H, gates, gates);
    vmath_tanh(H, gates + 2 * H, gates + 2 * H);
    vmath_sigmoid(H, gates + 3 * H, gates + 3 * H);
}

void lstm_cell_update(int64_t H, const float *gates, const float *c, float *c_next, float *h)
{
    const float *i = gates, *f = gates + H, *c_hat = gates + 2 * H, *o = gates + 3 * H;
    for (int64_t k = 0; k < H; k++)
        c_next[k] = f[k] * c[k] + i[k] * c_hat[k];
    vmath_tanh(H, c_next, h);
    for (int64_t k = 0; k < H; k++)
        h[k] *= o[k];
}
