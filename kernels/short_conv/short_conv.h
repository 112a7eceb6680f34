/* short_conv.h - the tensors of the gated short convolution. */
#ifndef SEQBENCH_SHORT_CONV_H
#define SEQBENCH_SHORT_CONV_H

#include "common/convolution.h"
#include "products.h"

enum {
    SHORT_CONV_X,
    SHORT_CONV_WINDOW,
    SHORT_CONV_WIN,
    SHORT_CONV_CONV_W,
    SHORT_CONV_WOUT,
    SHORT_CONV_Y,
    SHORT_CONV_WINDOW_LAST,
};

enum { SHORT_CONV_TAPS = 3 };

extern const struct layer short_conv_layer;

#endif
