/* mingru.h - the tensors of the minGRU layer. */
#ifndef SEQBENCH_MINGRU_H
#define SEQBENCH_MINGRU_H

#include "products.h"

enum { MINGRU_X, MINGRU_H0, MINGRU_W, MINGRU_B, MINGRU_Y };

extern const struct layer mingru_layer;

#endif
