/*
 * Temporal convolution block: two causal dilated convolutions and a residual, K = 3 taps, d = 2.
 * Equation    c(v)_t = b + sum over j < K of W_j v_(t-(K-1-j)d), v before the start is 0;
 *             y = relu(relu(c2(relu(c1(x)))) + x)
 * Shapes      x[S,H] W1[K,H,H] b1[H] W2[K,H,H] b2[H] -> y[S,H]; tap j is [out][in], tap K-1 is the
 *             current token
 * Flops       4 S K H^2 = 12 S H^2 in matrix products, the zeros before the start multiplied too;
 *             4 S H elementwise
 * Bytes       weights (24 H^2 bytes and little more), input and output once
 * State       the last (K-1) d = 4 tokens of x and of relu(c1(x)): 8 H
 * Inputs      x in [-1,1]; W, b in [-1/sqrt(K H), 1/sqrt(K H)] as torch.nn.Conv1d draws them
 * Timed       everything from x to y. Not timed: drawing the inputs, laying out the weights
 * Sequential  nothing
 * Source      Bai, Kolter, Koltun 2018, arXiv:1803.01271: TemporalBlock with dropout 0, weight norm
 *             folded into W, as many channels out as in
 */
#include "common/reference.h"
#include "tcn.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)(TCN_TAPS * d.H));
    out[TCN_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[TCN_W1] = (struct tensor){"W1", PARAMETER, {TCN_TAPS, d.H, d.H}, 0.0f, w};
    out[TCN_B1] = (struct tensor){"b1", PARAMETER, {d.H}, 0.0f, w};
    out[TCN_W2] = (struct tensor){"W2", PARAMETER, {TCN_TAPS, d.H, d.H}, 0.0f, w};
    out[TCN_B2] = (struct tensor){"b2", PARAMETER, {d.H}, 0.0f, w};
    out[TCN_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return TCN_Y + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){
        .multiply_adds = 2 * TCN_TAPS * d.S * d.H * d.H,
        .elementwise = 4 * d.S * d.H,
    };
}

static int64_t state(struct dims d)
{
    return 2 * (TCN_TAPS - 1) * TCN_DILATION * d.H;
}

/* relu of one convolution, output by output */
static void convolve(struct dims d, const double *v, const double *W, const double *b, double *out)
{
    for (int64_t s = 0; s < d.S; s++)
        for (int64_t o = 0; o < d.H; o++) {
            double sum = b[o];
            int64_t from = s;
            for (int64_t tap = TCN_TAPS - 1; tap >= 0 && from >= 0; tap--, from -= TCN_DILATION)
                for (int64_t c = 0; c < d.H; c++)
                    sum += W[(tap * d.H + o) * d.H + c] * v[from * d.H + c];
            out[s * d.H + o] = sum > 0.0 ? sum : 0.0;
        }
}

static void reference(struct dims d, double *const t[])
{
    double *hidden = reference_room(d.S * d.H);
    convolve(d, t[TCN_X], t[TCN_W1], t[TCN_B1], hidden);
    convolve(d, hidden, t[TCN_W2], t[TCN_B2], t[TCN_Y]);
    for (int64_t i = 0; i < d.S * d.H; i++)
        t[TCN_Y][i] = fmax(t[TCN_Y][i] + t[TCN_X][i], 0.0);
    free(hidden);
}

const struct layer tcn_layer = {
    .name = "tcn",
    .equation = "c(v) = b + sum of W_j v_(t-(2-j)2), j < 3; y = relu(relu(c2(relu(c1(x)))) + x)",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 2e-6,
};
