/*
 * tcn/shifted: one sgemm per tap on the input shifted by whole rows: no copy, no product with the
 * zeros before the start, the output read K times. Labels: layer.c.
 */
#include "blas.h"
#include "tcn.h"

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "hidden", .shape = {d.S, d.H}};
    return 1;
}

/* out[S,H] = the convolution of v[S,H] */
static void convolve(struct dims d, const float *v, const float *W, const float *b, float *out)
{
    const int64_t H = d.H, HH = H * H;
    blas_linear(d.S, H, H, v, W + (TCN_TAPS - 1) * HH, b, out);
    for (int64_t tap = 0; tap < TCN_TAPS - 1; tap++) {
        const int64_t delay = tcn_delay(tap);
        if (delay < d.S)
            blas_sgemm_nt(d.S - delay, H, H, 1.0f, v, H, W + tap * HH, H, 1.0f, out + delay * H, H);
    }
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    float *hidden = in->scratch[0], *y = in->t[TCN_Y];

    convolve(d, in->t[TCN_X], in->t[TCN_W1], in->t[TCN_B1], hidden);
    tcn_rectify(d.S * d.H, hidden);
    convolve(d, hidden, in->t[TCN_W2], in->t[TCN_B2], y);
    tcn_add_residual(d.S * d.H, y, in->t[TCN_X], y);
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

const struct kernel tcn_shifted = {
    .name = "tcn/shifted",
    .method = "per convolution one sgemm for each of the K taps, on shifted rows of the input",
    .layer = &tcn_layer,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
