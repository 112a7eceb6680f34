/*
 * rnn/hoisted: W x leaves the loop as one product; only U h stays sequential. rnn/panels: the same,
 * with U in panels of rows.
 */
#include "common/recurrence.h"
#include "rnn.h"

enum { OF_INPUT, OF_STATE };
static const struct map maps[] = {
    [OF_INPUT] = {.matrix = RNN_W, .bias = RNN_B},
    [OF_STATE] = {.matrix = RNN_U, .one_row = true},
};

static inline void run(const struct instance *in, bool in_panels)
{
    const int64_t B = in->dims.B, S = in->dims.S, H = in->dims.H;
    const float *h = in->t[RNN_H0];
    int64_t from_h_to_h = H; /* of one sequence and the next */
    float *y = in->t[RNN_Y];
    product_rows(in, OF_INPUT, token_rows(in->dims), in->t[RNN_X], y);
    for (int64_t s = 0; s < S; s++, y += H) {
        if (in_panels)
            sgemv_panels(&in->weights[OF_STATE], h, s % 2, y);
        else
            product(in, OF_STATE, B, h, from_h_to_h, y, y, S * H);
        for (int64_t b = 0; b < B; b++)
            vmath_tanh(H, y + b * S * H, y + b * S * H);
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

const struct algorithm rnn_hoisted = {
    .name = "rnn/hoisted",
    .method = "W x of the whole sequence by one product, then one product with U per step",
    .layer = &rnn_layer,
    .batch_rows = BATCH_TOGETHER,
    MAPS(maps),
    .run = run_hoisted,
};

const struct algorithm rnn_panels = {
    .name = "rnn/panels",
    .method = "hoisted, with U h by one sgemv per panel, forward and backward in turn",
    .layer = &rnn_layer,
    ONLY_OPENBLAS("its panels are rows of the matrix as sgemv takes them"),
    MAPS(maps),
    .run = run_panels,
};
