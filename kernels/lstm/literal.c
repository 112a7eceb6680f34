/* lstm/literal: eight matrix-vector products per step, as the textbook writes the gates. */
#include "lstm.h"

static const struct map maps[] = LSTM_GATE_MAPS(LSTM_W, LSTM_U);

enum { GATES, WX, UH };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[GATES] = (struct tensor){.name = "gates", .shape = {4 * d.H}};
    out[WX] = (struct tensor){.name = "wx", .shape = {d.H}};
    out[UH] = (struct tensor){.name = "uh", .shape = {d.H}};
    return UH + 1;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->t[LSTM_H0], *c = in->t[LSTM_C0];
    for (int64_t s = 0; s < S; s++) {
        float *y = in->t[LSTM_Y] + s * H;
        lstm_literal_gates(in, in->t[LSTM_X] + s * input_size(in->dims), h, in->t[LSTM_B],
                           in->scratch[WX], in->scratch[UH], in->scratch[GATES]);
        lstm_cell_update(H, in->scratch[GATES], c, in->t[LSTM_C_LAST], y);
        c = in->t[LSTM_C_LAST];
        h = y;
    }
}

const struct algorithm lstm_literal = {
    .name = "lstm/literal",
    .method = "per step eight products, W x and U h for each of F, I, C^, O, then activations",
    .layer = &lstm_layer,
    .products = PRODUCTS_STEP,
    .is_whole = true,
    TEXTBOOK,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
