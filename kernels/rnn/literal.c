/* rnn/literal, rnn.step: the operations as the textbook writes them, one by one. */
#include "rnn.h"

enum { OF_INPUT, OF_STATE };
static const struct map maps[] = {
    [OF_INPUT] = {.matrix = RNN_W, .one_row = true},
    [OF_STATE] = {.matrix = RNN_U, .one_row = true},
};

enum { WX, UH };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[WX] = (struct tensor){.name = "wx", .shape = {d.H}};
    out[UH] = (struct tensor){.name = "uh", .shape = {d.H}};
    return UH + 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *b = in->t[RNN_B], *h = in->t[RNN_H0];
    float *wx = in->scratch[WX], *uh = in->scratch[UH];
    for (int64_t s = 0; s < S; s++) {
        float *y = in->t[RNN_Y] + s * H;
        product_row(in, OF_INPUT, in->t[RNN_X] + s * input_size(in->dims), NULL, wx);
        product_row(in, OF_STATE, h, NULL, uh);
        for (int64_t i = 0; i < H; i++)
            wx[i] += uh[i] + b[i];
        vmath_tanh(H, wx, y);
        h = y;
    }
}

const struct algorithm rnn_literal = {
    .name = "rnn/literal",
    .method = "per step: W x, U h, add, tanh",
    .layer = &rnn_layer,
    .products = PRODUCTS_STEP,
    .is_whole = true,
    TEXTBOOK,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};

const struct algorithm rnn_step = {
    .name = "rnn.step",
    .method = "one step of rnn/literal",
    .layer = &rnn_layer,
    .products = PRODUCTS_STEP,
    .is_step = true,
    .tolerance = 2e-6,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
