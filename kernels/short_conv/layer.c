/*
 * Gated short convolution: K = 3 taps between two gates, no activation.
 * Equation    [b; g; u] = Win x; y = Wout (g conv(b u)), conv causal and depthwise
 * Shapes      x[S,H] window[K-1,H] (b u, from old to new) Win[3H,H] conv_w[H,K] Wout[H,H]
 *             -> y[S,H] window_last[K-1,H]; the last tap of conv_w meets the current token
 * Parameters  4 H^2 + 3 H
 * Job         mixer
 * Flops       S (8 H^2 + 6 H) in products; 2 S H elementwise
 * Bytes       weights (16 H^2 bytes and little more), input and output once
 * State       the last K - 1 inputs of the convolution
 * Inputs      x, window in [-1,1]; Win in +-3/sqrt H, so that b, g, u have variance 1; conv_w and
 *             Wout in +-sqrt(3 / inputs), which keeps it
 * Timed       everything from x to y. Not timed: drawing the inputs, the taps' order
 * Sequential  nothing
 * Source      LFM2's convolution (transformers, models/lfm2/modeling_lfm2.py), without bias
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "short_conv.h"

enum { K = SHORT_CONV_TAPS };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H;
    const float keeps_variance = sqrtf(3.0f / (float)H);
    out[SHORT_CONV_X] = (struct tensor){"x", INPUT, {S, H}, 0.0f, 1.0f};
    out[SHORT_CONV_WINDOW] = (struct tensor){"window", INITIAL, {K - 1, H}, 0.0f, 1.0f};
    out[SHORT_CONV_WIN] =
        (struct tensor){"Win", PARAMETER, {3 * H, H}, 0.0f, 3.0f / sqrtf((float)H)};
    out[SHORT_CONV_CONV_W] = (struct tensor){"conv_w", PARAMETER, {H, K}, 0.0f, 1.0f};
    out[SHORT_CONV_WOUT] = (struct tensor){"Wout", PARAMETER, {H, H}, 0.0f, keeps_variance};
    out[SHORT_CONV_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    out[SHORT_CONV_WINDOW_LAST] = (struct tensor){"window_last", FINAL, {K - 1, H}, 0.0f, 0.0f};
    return SHORT_CONV_WINDOW_LAST + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){.multiply_adds = SH * (4 * d.H + K), .elementwise = 2 * SH};
}

static int64_t state(struct dims d)
{
    return (K - 1) * d.H;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H;
    double *bgu = reference_room(4 * H), *gated = bgu + 3 * H, *past = t[SHORT_CONV_WINDOW_LAST];
    memcpy(past, t[SHORT_CONV_WINDOW], (size_t)((K - 1) * H) * sizeof(double));
    for (int64_t s = 0; s < d.S; s++) {
        reference_linear(1, H, 3 * H, t[SHORT_CONV_X] + s * H, t[SHORT_CONV_WIN], NULL, bgu);
        for (int64_t c = 0; c < H; c++) {
            const double newest = bgu[c] * bgu[2 * H + c];
            gated[c] = bgu[H + c] *
                       reference_convolve(K, H, c, t[SHORT_CONV_CONV_W] + c * K, newest, past);
        }
        reference_linear(1, H, H, gated, t[SHORT_CONV_WOUT], NULL, t[SHORT_CONV_Y] + s * H);
    }
    free(bgu);
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_exchange(in, SHORT_CONV_WINDOW, SHORT_CONV_WINDOW_LAST);
}

const struct layer short_conv_layer = {
    .name = "short_conv",
    .job = JOB_MIXER,
    .job_source = "Liquid AI 2025, LFM2: in the place of attention in most of its blocks",
    .equation = "b, g, u = Win x; y = Wout (g conv(b u))",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
