/*
 * tcn/shifted: one product per tap on the input shifted by whole rows: no copy, no product with the
 * zeros before the start, the output read K times.
 */
#include "tcn.h"

/* A map per tap of each convolution; the current token's, which is the last tap, has the bias. */
#define TAPS(W, b)                                                                                 \
    {.matrix = (W), .part = 0, .parts = TCN_TAPS}, {.matrix = (W), .part = 1, .parts = TCN_TAPS},  \
    {                                                                                              \
        .matrix = (W), .part = 2, .parts = TCN_TAPS, .bias = (b)                                   \
    }
static const struct map maps[2 * TCN_TAPS] = {TAPS(TCN_W1, TCN_B1), TAPS(TCN_W2, TCN_B2)};

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "hidden", .shape = {d.S, d.H}};
    return 1;
}

/* out[S,H] = the convolution of v[S,H] whose taps are the maps from `first` on */
static void convolve(const struct instance *in, int first, const float *v, float *out)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    product_rows(in, first + TCN_TAPS - 1, S, v, out);
    for (int tap = 0; tap < TCN_TAPS - 1; tap++) {
        const int64_t delay = tcn_delay(tap);
        float *later = out + delay * H;
        if (delay < S)
            product(in, first + tap, S - delay, v, H, later, later, H);
    }
}

static void run(const struct instance *in)
{
    const int64_t SH = in->dims.S * in->dims.H;
    float *hidden = in->scratch[0], *y = in->t[TCN_Y];
    convolve(in, 0, in->t[TCN_X], hidden);
    tcn_rectify(SH, hidden);
    convolve(in, TCN_TAPS, hidden, y);
    tcn_add_residual(SH, y, in->t[TCN_X], y);
}

static struct cost cost(struct dims d)
{
    int64_t rows = 0;
    for (int64_t tap = 0; tap < TCN_TAPS; tap++)
        rows += d.S > tcn_delay(tap) ? d.S - tcn_delay(tap) : 0;
    return (struct cost){
        .multiply_adds = 2 * rows * d.H * d.H,
        .elementwise = 4 * d.S * d.H,
    };
}

const struct algorithm tcn_shifted = {
    .name = "tcn/shifted",
    .method = "per convolution one product for each of the K taps, on shifted rows of the input",
    .layer = &tcn_layer,
    MAPS(maps),
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
