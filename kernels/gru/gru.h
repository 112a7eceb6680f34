/* gru.h - the tensors of the GRU layer. */
#ifndef SEQBENCH_GRU_H
#define SEQBENCH_GRU_H

#include "products.h"

enum { GRU_X, GRU_H0, GRU_W, GRU_U, GRU_B, GRU_BN, GRU_Y };

enum { GRU_GATES = 3 };

extern const struct layer gru_layer;

/*
 * h of a vector of channels from the sums of r and z, of W_n x + b_n and of U_n h + bn, and from the
 * last h. Two divisions in all, where there would be three.
 */
static inline vfloat gru_cell(vfloat r, vfloat z, vfloat n_of_x, vfloat n_of_h, vfloat last)
{
    const struct v_fraction reset = v_sigmoid_fraction(r), kept = v_sigmoid_fraction(z);
    const struct v_fraction new = v_tanh_fraction(n_of_x + reset.over / reset.under * n_of_h);
    const vfloat over = new.over *kept.under + kept.over *(last * new.under - new.over);
    return over / (new.under *kept.under);
}

#endif
