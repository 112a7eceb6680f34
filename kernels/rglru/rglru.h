/* rglru.h - the tensors of Griffin's recurrent block. */
#ifndef SEQBENCH_RGLRU_H
#define SEQBENCH_RGLRU_H

#include "common/convolution.h"
#include "products.h"

enum {
    RGLRU_X,
    RGLRU_WINDOW,
    RGLRU_H0,
    RGLRU_WY,
    RGLRU_BY,
    RGLRU_WX,
    RGLRU_BX,
    RGLRU_CONV_W,
    RGLRU_CONV_B,
    RGLRU_WI,
    RGLRU_BI,
    RGLRU_WA,
    RGLRU_BA,
    RGLRU_LAM,
    RGLRU_WO,
    RGLRU_BO,
    RGLRU_Y,
    RGLRU_WINDOW_LAST,
    RGLRU_H_LAST,
};

extern const struct layer rglru_layer;

/* log a = -8 rho softplus(lam) */
static const float rglru_power = 8.0f;

#endif
