/* lstm.h - the tensors of the LSTM layer and the pieces of a step that its algorithms share. */
#ifndef SEQBENCH_LSTM_H
#define SEQBENCH_LSTM_H

#include "products.h"

enum { LSTM_X, LSTM_H0, LSTM_C0, LSTM_W, LSTM_U, LSTM_B, LSTM_Y, LSTM_C_LAST };

enum { LSTM_GATES = 4 };

extern const struct layer lstm_layer;

/* Maps of one product per gate: those of W, then those of U. */
#define LSTM_GATE_MAP(tensor, gate)                                                                \
    {                                                                                              \
        .matrix = (tensor), .part = (gate), .parts = LSTM_GATES, .one_row = true                   \
    }
#define LSTM_GATE_MAPS(W, U)                                                                       \
    {                                                                                              \
        LSTM_GATE_MAP(W, 0), LSTM_GATE_MAP(W, 1), LSTM_GATE_MAP(W, 2), LSTM_GATE_MAP(W, 3),        \
            LSTM_GATE_MAP(U, 0), LSTM_GATE_MAP(U, 1), LSTM_GATE_MAP(U, 2), LSTM_GATE_MAP(U, 3)     \
    }

/* The four gates of one step by these eight maps. gates[4H]; wx and uh: H floats of scratch. */
void lstm_literal_gates(const struct instance *in, const float *x, const float *h, const float *b,
                        float *wx, float *uh, float *gates);

/* sigmoid of i and f, tanh of C_hat, sigmoid of o, in place. gates[4H] */
void lstm_activate(int64_t H, float *gates);

/* c_next = f c + i C_hat; h = o tanh(c_next). gates[4H] after activation; c_next may be c. */
void lstm_cell_update(int64_t H, const float *gates, const float *c, float *c_next, float *h);

/*
 * The same for a vector of channels, from the sums of its gates: c becomes c_next, h is returned.
 * Two divisions in all, where there would be five.
 */
static inline vfloat lstm_cell(vfloat i, vfloat f, vfloat c_hat, vfloat o, vfloat *c)
{
    const struct v_fraction in = v_sigmoid_fraction(i), kept = v_sigmoid_fraction(f);
    const struct v_fraction new = v_tanh_fraction(c_hat), out = v_sigmoid_fraction(o);
    const vfloat under = in.under * new.under;
    const vfloat over = kept.over * *c * under + in.over * new.over *kept.under;
    *c = over / (kept.under * under);
    const struct v_fraction shown = v_tanh_fraction(*c);
    return out.over * shown.over / (out.under * shown.under);
}

#endif
