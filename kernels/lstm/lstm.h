/* lstm.h - the tensors of the LSTM layer and the pieces of a step that its variants share. */
#ifndef SEQBENCH_LSTM_H
#define SEQBENCH_LSTM_H

#include "seqbench.h"

enum { LSTM_X, LSTM_W, LSTM_U, LSTM_B, LSTM_Y, LSTM_C_LAST };

extern const struct layer lstm_layer;

/* The four gates of one step, each from two products of its own. gates[4H], wx and uh: H floats. */
void lstm_literal_gates(int64_t H, const float *x, const float *h, const float *W, const float *U,
                        const float *b, float *wx, float *uh, float *gates);

/* One token from two products. gates[4H] is scratch; c_next may be c. */
void lstm_fused_step(int64_t H, const float *x, const float *h, const float *c, const float *W,
                     const float *U, const float *b, float *gates, float *c_next, float *h_next);

/* sigmoid of i and f, tanh of C_hat, sigmoid of o, in place. gates[4H] */
void lstm_activate(int64_t H, float *gates);

/* c_next = f c + i C_hat; h = o tanh(c_next). gates[4H] after activation; c_next may be c. */
void lstm_cell_update(int64_t H, const float *gates, const float *c, float *c_next, float *h);

#endif
