/*
 * lstm/hoisted: W x leaves the loop as one product, one product with U[4H,H] per step.
 * lstm/panels: the same, with U in panels of rows.
 */
#include "common/recurrence.h"
#include "lstm.h"

enum { OF_INPUT, OF_STATE };
static const struct map maps[] = {
    [OF_INPUT] = {.matrix = LSTM_W, .bias = LSTM_B},
    [OF_STATE] = {.matrix = LSTM_U, .one_row = true},
};

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {token_rows(d), 4 * d.H}};
    return 1;
}

static inline void run(const struct instance *in, bool in_panels)
{
    const int64_t B = in->dims.B, S = in->dims.S, H = in->dims.H;
    const float *h = in->t[LSTM_H0], *c = in->t[LSTM_C0];
    int64_t from_h_to_h = H; /* of one sequence and the next */
    float *gates = in->scratch[0], *y = in->t[LSTM_Y];
    product_rows(in, OF_INPUT, token_rows(in->dims), in->t[LSTM_X], gates);
    for (int64_t s = 0; s < S; s++, gates += 4 * H, y += H) {
        if (in_panels)
            sgemv_panels(&in->weights[OF_STATE], h, s % 2, gates);
        else
            product(in, OF_STATE, B, h, from_h_to_h, gates, gates, S * 4 * H);
        for (int64_t b = 0; b < B; b++) {
            lstm_activate(H, gates + b * S * 4 * H);
            lstm_cell_update(H, gates + b * S * 4 * H, c + b * H, in->t[LSTM_C_LAST] + b * H,
                             y + b * S * H);
        }
        c = in->t[LSTM_C_LAST];
        h = y;
        from_h_to_h = S * H;
    }
}

static void run_hoisted(const struct instance *in)
{
    run(in, false);
}

static void run_panels(const struct instance *in)
{
    run(in, true);
}

const struct algorithm lstm_hoisted = {
    .name = "lstm/hoisted",
    .method = "W x of the whole sequence by one product, then one 4H x H product per step",
    .layer = &lstm_layer,
    .batch_rows = BATCH_TOGETHER,
    MAPS(maps),
    .scratch = scratch,
    .run = run_hoisted,
};

const struct algorithm lstm_panels = {
    .name = "lstm/panels",
    .method = "hoisted, with U h by one sgemv per panel, forward and backward in turn",
    .layer = &lstm_layer,
    ONLY_OPENBLAS("its panels are rows of the matrix as sgemv takes them"),
    MAPS(maps),
    .scratch = scratch,
    .run = run_panels,
};
