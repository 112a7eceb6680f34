/* rnn.h - the tensors of the Elman layer. */
#ifndef SEQBENCH_RNN_H
#define SEQBENCH_RNN_H

#include "products.h"

enum { RNN_X, RNN_H0, RNN_W, RNN_U, RNN_B, RNN_Y };

extern const struct layer rnn_layer;

#endif
