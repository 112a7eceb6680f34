/* lstm/fused, lstm.step: the gates stacked to 4H x H, two matrix-vector products per step. */
#include "lstm.h"

enum { OF_INPUT, OF_STATE };
static const struct map maps[] = {
    [OF_INPUT] = {.matrix = LSTM_W, .bias = LSTM_B, .one_row = true},
    [OF_STATE] = {.matrix = LSTM_U, .one_row = true},
};

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {4 * d.H}};
    return 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->t[LSTM_H0], *c = in->t[LSTM_C0];
    float *gates = in->scratch[0];
    for (int64_t s = 0; s < S; s++) {
        float *y = in->t[LSTM_Y] + s * H;
        product_row(in, OF_INPUT, in->t[LSTM_X] + s * input_size(in->dims), NULL, gates);
        product_row(in, OF_STATE, h, gates, gates);
        lstm_activate(H, gates);
        lstm_cell_update(H, gates, c, in->t[LSTM_C_LAST], y);
        c = in->t[LSTM_C_LAST];
        h = y;
    }
}

const struct algorithm lstm_fused = {
    .name = "lstm/fused",
    .method = "per step two products with the gates stacked to 4H x H",
    .layer = &lstm_layer,
    .products = PRODUCTS_STEP,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};

const struct algorithm lstm_step = {
    .name = "lstm.step",
    .method = "one step of lstm/fused",
    .layer = &lstm_layer,
    .products = PRODUCTS_STEP,
    .is_step = true,
    .tolerance = 2e-6,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
