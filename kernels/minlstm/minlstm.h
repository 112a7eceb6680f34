/* minlstm.h - the tensors of the minLSTM layer. */
#ifndef SEQBENCH_MINLSTM_H
#define SEQBENCH_MINLSTM_H

#include "products.h"

enum { MINLSTM_X, MINLSTM_H0, MINLSTM_W, MINLSTM_B, MINLSTM_Y };

extern const struct layer minlstm_layer;

#endif
