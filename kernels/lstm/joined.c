/*
 * lstm/joined: W, U and b side by side as one matrix, see joined.h; a step is one product and one
 * pass over the cells.
 */
#include "common/joined.h"
#include "lstm.h"

enum { WUB };
static const struct map maps[] = {[WUB] = JOINED_MAP(WUB)};

/* x, h and the 1 that b is multiplied by. */
static int64_t inputs(struct dims d)
{
    return input_size(d) + d.H + 1;
}

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    out[WUB] = (struct tensor){.name = "W U b", .shape = {LSTM_GATES * d.H, inputs(d)}};
    return WUB + 1;
}

static void prepare(struct instance *in)
{
    const int64_t H = in->dims.H, In = input_size(in->dims);
    float *row = in->prepared[WUB];
    for (int64_t r = 0; r < LSTM_GATES * H; r++, row += inputs(in->dims)) {
        memcpy(row, in->t[LSTM_W] + r * In, (size_t)In * sizeof(float));
        memcpy(row + In, in->t[LSTM_U] + r * H, (size_t)H * sizeof(float));
        row[In + H] = in->t[LSTM_B][r];
    }
}

enum { XH1, GATES };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[XH1] = (struct tensor){.name = "xh1", .shape = {inputs(d)}};
    out[GATES] =
        (struct tensor){.name = "gates", .shape = {joined_room(&maps[WUB], LSTM_GATES * d.H)}};
    return GATES + 1;
}

/* gates[4H] before activation, c[H] -> c_next[H], h[H]; c_next may be c. */
static void update(int64_t H, const float *gates, const float *c, float *c_next, float *h)
{
    for (int64_t k = 0; k < H; k += VMATH_LANES) {
        vfloat cell = v_load_some(c + k, H - k);
        const vfloat next = lstm_cell(v_load(gates + k), v_load(gates + H + k),
                                      v_load(gates + 2 * H + k), v_load(gates + 3 * H + k), &cell);
        v_store_some(c_next + k, cell, H - k);
        v_store_some(h + k, next, H - k);
    }
}

static void run(const struct instance *in)
{
    const int64_t H = in->dims.H, In = input_size(in->dims);
    float *xh1 = in->scratch[XH1], *gates = in->scratch[GATES];
    const float *h = in->t[LSTM_H0], *c = in->t[LSTM_C0];
    xh1[In + H] = 1.0f;
    for (int64_t s = 0; s < in->dims.S; s++) {
        float *y = in->t[LSTM_Y] + s * H;
        vmath_copy(In, in->t[LSTM_X] + s * In, xh1);
        vmath_copy(H, h, xh1 + In);
        joined_product(in, WUB, joined_backward(in, s, LSTM_GATES * H * inputs(in->dims)), xh1,
                       gates);
        update(H, gates, c, in->t[LSTM_C_LAST], y);
        c = in->t[LSTM_C_LAST];
        h = y;
    }
    multiply_adds_done += in->dims.S * LSTM_GATES * H * (In + H);
}

const struct algorithm lstm_joined = {
    .name = "lstm/joined",
    .method = "W, U and b as one matrix, walked through once per step",
    .layer = &lstm_layer,
    .products = PRODUCTS_STEP,
    .needs_panels = true,
    .because = "it walks through panels, forward and backward in turn",
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
