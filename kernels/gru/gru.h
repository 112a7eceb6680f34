/* gru.h - the tensors of the GRU layer. */
#ifndef SEQBENCH_GRU_H
#define SEQBENCH_GRU_H

#include "products.h"

enum { GRU_X, GRU_H0, GRU_W, GRU_U, GRU_B, GRU_BN, GRU_Y };

enum { GRU_GATES = 3 };

extern const struct layer gru_layer;

#endif
