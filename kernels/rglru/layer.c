/*
 * RG-LRU: Griffin's recurrent block, a gated linear recurrence with a GELU branch, A heads.
 * Equation    b = gelu(Wy x + by); u = conv_b + conv(Wx x + bx); per head i = sigmoid(Wi u + bi),
 *             r = sigmoid(Wa u + ba); log a = -8 r softplus(lam);
 *             h = a h + sqrt(1 - a^2) (i u), the first h of all is i u; y = Wo (h b) + bo
 * Shapes      x[S,H] window[K-1,H] (Wx x + bx, from old to new) h0[H] Wy[H,H] by[H] Wx[H,H] bx[H]
 *             conv_w[H,K] conv_b[H] Wi[A,H/A,H/A] bi[H] Wa[A,H/A,H/A] ba[H] lam[H] Wo[H,H] bo[H]
 *             -> y[S,H] window_last[K-1,H] h_last[H]; K = 4; matrices [out][in]; h0 of -infinity
 *             says that no token was before
 * Parameters  3 H^2 + 2 H H/A + 11 H
 * Job         mixer
 * Flops       S (6 H^2 + 4 H H/A + 2 K H) in products; 17 S H elementwise; S H exp, 2 S H sigmoid,
 *             S H tanh, S H roots
 * Bytes       weights (12 H^2 bytes and little more), input and output once
 * State       h[H] and the last K - 1 inputs of the convolution
 * Inputs      x, window in [-1,1]; h0 in [-0.5,0.5]; Wy, Wx in +-3/sqrt H, so that what they make
 *             has variance 1; conv_w and Wo in +-sqrt(3 / inputs), which keeps it; Wi, Wa in
 *             +-1/sqrt(H/A); a^8 of an open gate in [0.9,0.999]; biases in [-0.1,0.1]
 * Timed       everything from x to y. Not timed: drawing the inputs, 8 softplus(lam), the order of
 *             taps and of gates' rows
 * Sequential  h = a h + b; no product
 * Source      De et al. 2024, arXiv:2402.19427; recurrentgemma, torch/layers.py
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "rglru.h"

enum { K = CONV_TAPS };

static void list_parameters(int64_t H, int64_t A, struct tensor out[TENSOR_MAX])
{
    const int64_t size = H / A;
    const float unit = 3.0f / sqrtf((float)H), keeps = sqrtf(3.0f / (float)H), bias = 0.1f;
    const float gate = 1.0f / sqrtf((float)size);
    const float slow = -8.987f, fast = -4.323f; /* softplus: -ln(0.999) / 8, -ln(0.9) / 8 */
    out[RGLRU_WY] = (struct tensor){"Wy", PARAMETER, {H, H}, 0.0f, unit};
    out[RGLRU_BY] = (struct tensor){"by", PARAMETER, {H}, 0.0f, bias};
    out[RGLRU_WX] = (struct tensor){"Wx", PARAMETER, {H, H}, 0.0f, unit};
    out[RGLRU_BX] = (struct tensor){"bx", PARAMETER, {H}, 0.0f, bias};
    out[RGLRU_CONV_W] = (struct tensor){"conv_w", PARAMETER, {H, K}, 0.0f, sqrtf(3.0f / (float)K)};
    out[RGLRU_CONV_B] = (struct tensor){"conv_b", PARAMETER, {H}, 0.0f, bias};
    out[RGLRU_WI] = (struct tensor){"Wi", PARAMETER, {A, size, size}, 0.0f, gate};
    out[RGLRU_BI] = (struct tensor){"bi", PARAMETER, {H}, 0.0f, bias};
    out[RGLRU_WA] = (struct tensor){"Wa", PARAMETER, {A, size, size}, 0.0f, gate};
    out[RGLRU_BA] = (struct tensor){"ba", PARAMETER, {H}, 0.0f, bias};
    out[RGLRU_LAM] =
        (struct tensor){"lam", PARAMETER, {H}, (slow + fast) / 2.0f, (fast - slow) / 2.0f};
    out[RGLRU_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, keeps};
    out[RGLRU_BO] = (struct tensor){"bo", PARAMETER, {H}, 0.0f, bias};
}

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[RGLRU_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[RGLRU_WINDOW] = (struct tensor){"window", INITIAL, {K - 1, d.H}, 0.0f, 1.0f};
    out[RGLRU_H0] = (struct tensor){"h0", INITIAL_NONE, {d.H}, 0.0f, 0.5f};
    list_parameters(d.H, d.A, out);
    out[RGLRU_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    out[RGLRU_WINDOW_LAST] = (struct tensor){"window_last", FINAL, {K - 1, d.H}, 0.0f, 0.0f};
    out[RGLRU_H_LAST] = (struct tensor){"h_last", FINAL, {d.H}, 0.0f, 0.0f};
    return RGLRU_H_LAST + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){
        .multiply_adds = SH * (3 * d.H + 2 * d.H / d.A + K),
        .elementwise = 17 * SH,
        .exps = SH,
        .sigmoids = 2 * SH,
        .tanhs = SH,
        .rsqrts = SH,
        .sequential = 2 * SH,
    };
}

static int64_t state(struct dims d)
{
    return K * d.H;
}

/* u[H] from Wx x + bx, the newest row; the window moves on by one token. */
static void convolve(int64_t H, double *const t[], const double *newest, double *window, double *u)
{
    for (int64_t c = 0; c < H; c++)
        u[c] = t[RGLRU_CONV_B][c] +
               reference_convolve(K, H, c, t[RGLRU_CONV_W] + c * K, newest[c], window);
}

static double gate(int64_t size, int64_t c, const double *W, const double *b, const double *u)
{
    const double *of_head = u + c / size * size;
    return reference_sigmoid(b[c] + reference_dot(size, W + c * size, of_head));
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H, size = H / d.A;
    double *b = reference_room(4 * H), *newest = b + H, *u = newest + H, *gated = u + H;
    double *h = t[RGLRU_H_LAST];
    memcpy(t[RGLRU_WINDOW_LAST], t[RGLRU_WINDOW], (size_t)((K - 1) * H) * sizeof(double));
    memcpy(h, t[RGLRU_H0], (size_t)H * sizeof(double));
    for (int64_t s = 0; s < d.S; s++) {
        const double *x = t[RGLRU_X] + s * H;
        reference_linear(1, H, H, x, t[RGLRU_WY], t[RGLRU_BY], b);
        reference_linear(1, H, H, x, t[RGLRU_WX], t[RGLRU_BX], newest);
        convolve(H, t, newest, t[RGLRU_WINDOW_LAST], u);
        for (int64_t c = 0; c < H; c++) {
            const double r = gate(size, c, t[RGLRU_WA], t[RGLRU_BA], u);
            const double in = gate(size, c, t[RGLRU_WI], t[RGLRU_BI], u) * u[c];
            const double log_a = -8.0 * r * log1p(exp(t[RGLRU_LAM][c]));
            h[c] = isinf(h[c]) ? in : exp(log_a) * h[c] + sqrt(-expm1(2.0 * log_a)) * in;
            gated[c] = h[c] * reference_gelu_tanh(b[c]);
        }
        reference_linear(1, H, H, gated, t[RGLRU_WO], t[RGLRU_BO], t[RGLRU_Y] + s * H);
    }
    free(b);
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_exchange(in, RGLRU_WINDOW, RGLRU_WINDOW_LAST);
    carry_exchange(in, RGLRU_H0, RGLRU_H_LAST);
}

const struct layer rglru_layer = {
    .name = "rglru",
    .job = JOB_MIXER,
    .job_source = "De et al. 2024, arXiv:2402.19427: in the place of attention",
    .equation = "b = gelu(Wy x); u = conv(Wx x); i, r = sigmoid(W u); log a = -8 r softplus(lam); "
                "h = a h + sqrt(1 - a^2) i u; y = Wo (h b)",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 1e-5,
};
