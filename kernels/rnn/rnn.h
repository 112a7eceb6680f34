/* rnn.h - the tensors of the Elman layer and the step that its literal variant is made of. */
#ifndef SEQBENCH_RNN_H
#define SEQBENCH_RNN_H

#include "seqbench.h"

enum { RNN_X, RNN_W, RNN_U, RNN_B, RNN_Y };

extern const struct layer rnn_layer;

/* h_next[H] = tanh(W x + U h + b); wx and uh are scratch of H floats. h_next may be h. */
void rnn_literal_step(int64_t H, const float *x, const float *h, const float *W, const float *U,
                      const float *b, float *wx, float *uh, float *h_next);

#endif
