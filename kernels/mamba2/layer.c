/*
 * Mamba-2 block (SSD): D = 2H channels in heads of P = 64, N = 64 states, one group, K = 4 taps.
 * Equation    [z; x; B; C; dt] = Win x; x, B, C = silu(conv_b + conv(x, B, C))
 *             dt = softplus(dt + dt_bias); per head a = exp(-dt exp(A_log)), h = a h + dt x B^T
 *             y = Wout RMSNorm((h C + Dskip x) silu(z)); epsilon 1e-5, one mean over D
 * Shapes      x[S,H] Win[2D+2N+heads,H] conv_w[D+2N,K] conv_b[D+2N] dt_bias[heads] A_log[heads]
 *             Dskip[heads] norm[D] Wout[H,D] -> y[S,H]; the last tap meets the current token
 * Flops       S (2 H (3D + 2N + heads) + 2 K (D + 2N)) in products;
 *             S (5 D N + 10 D + 2 N + 2 heads + 1) elementwise;
 *             2 S heads exp (softplus counts as one), S (2 D + 2 N) sigmoid, S rsqrt.
 *             The chunked form: chunked.c
 * Bytes       weights (about 24 H^2 bytes), input and output once
 * State       h[D,N] and the last K - 1 inputs of the convolution
 * Inputs      x in [-1,1]; Win in +-3/sqrt H, so that what it makes has variance 1; conv_w and Wout
 *             in +-sqrt(3 / inputs), which keeps it; softplus(dt_bias) in [0.001,0.1]; exp(A_log)
 *             in [1,16]; Dskip in [0.5,1.5]; norm in [0.9,1.1]
 * Timed       everything from x to y. Not timed: drawing the inputs, -exp(A_log), the taps' order
 * Sequential  the update of h and its product with C, 4 S D N of the 5 S D N: dt x B does not wait
 * Source      Dao and Gu 2024; mamba_ssm's Mamba2Simple (norm after the gate)
 */
#include <math.h>
#include <stdlib.h>

#include "common/reference.h"
#include "mamba2.h"

enum { P = MAMBA2_HEAD_SIZE, N = MAMBA2_STATES, K = CONV_TAPS };

static const char *refuses(struct dims d)
{
    return MAMBA2_EXPAND * d.H % P == 0 ? NULL : "2 HidSize is not divisible by the head size 64";
}

static float keeps_variance(int64_t inputs)
{
    return sqrtf(3.0f / (float)inputs);
}

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    const int64_t S = d.S, H = d.H;
    const float small_dt = -6.9073f, large_dt = -2.2522f; /* softplus: 0.001 and 0.1 */
    const float half_log_16 = 1.3862944f;
    out[MAMBA2_X] = (struct tensor){"x", INPUT, {S, H}, 0.0f, 1.0f};
    out[MAMBA2_WIN] =
        (struct tensor){"Win", PARAMETER, {s.projected, H}, 0.0f, 3.0f / sqrtf((float)H)};
    out[MAMBA2_CONV_W] =
        (struct tensor){"conv_w", PARAMETER, {s.convolved, K}, 0.0f, keeps_variance(K)};
    out[MAMBA2_CONV_B] = (struct tensor){"conv_b", PARAMETER, {s.convolved}, 0.0f, 0.1f};
    out[MAMBA2_DT_BIAS] = (struct tensor){"dt_bias",
                                          PARAMETER,
                                          {s.heads},
                                          (small_dt + large_dt) / 2.0f,
                                          (large_dt - small_dt) / 2.0f};
    out[MAMBA2_A_LOG] = (struct tensor){"A_log", PARAMETER, {s.heads}, half_log_16, half_log_16};
    out[MAMBA2_DSKIP] = (struct tensor){"Dskip", PARAMETER, {s.heads}, 1.0f, 0.5f};
    out[MAMBA2_NORM] = (struct tensor){"norm", PARAMETER, {s.D}, 1.0f, 0.1f};
    out[MAMBA2_WOUT] = (struct tensor){"Wout", PARAMETER, {H, s.D}, 0.0f, keeps_variance(s.D)};
    out[MAMBA2_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    return MAMBA2_Y + 1;
}

/* dt x and Dskip x + y, bias and rate of dt, the gate, the norm; without the recurrence. */
struct cost mamba2_common_cost(struct dims d)
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    return (struct cost){
        .multiply_adds = d.S * (d.H * (s.projected + s.D) + K * s.convolved),
        .elementwise = d.S * (10 * s.D + 2 * N + 2 * s.heads + 1),
        .exps = 2 * d.S * s.heads,
        .sigmoids = d.S * (s.convolved + s.D),
        .rsqrts = d.S,
    };
}

static struct cost cost(struct dims d)
{
    const int64_t SDN = d.S * MAMBA2_EXPAND * d.H * N;
    struct cost cost = mamba2_common_cost(d);
    cost.elementwise += 5 * SDN;
    cost.sequential = 4 * SDN;
    return cost;
}

static int64_t state(struct dims d)
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    return s.D * N + (K - 1) * s.convolved;
}

/* u[E] after convolution and silu from the projected rows up to token s */
static void convolve(struct dims d, double *const t[], const double *projected, int64_t s,
                     double *u)
{
    const struct mamba2_sizes z = mamba2_sizes(d);
    for (int64_t c = 0; c < z.convolved; c++) {
        double sum = t[MAMBA2_CONV_B][c];
        for (int64_t back = 0; back < K && back <= s; back++)
            sum += t[MAMBA2_CONV_W][c * K + K - 1 - back] *
                   projected[(s - back) * z.projected + z.D + c];
        u[c] = sum * reference_sigmoid(sum);
    }
}

/* y[D] from u[E] and one token's projection; h[D,N] moves on. */
static void recur(struct dims d, double *const t[], const double *projected, const double *u,
                  double *h, double *y)
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    const double *B = u + s.D, *C = B + N, *dt_raw = projected + s.D + s.convolved;
    double squares = 0.0;
    for (int64_t c = 0; c < s.D; c++) {
        const int64_t head = c / P;
        const double dt = log1p(exp(dt_raw[head] + t[MAMBA2_DT_BIAS][head]));
        const double a = exp(-dt * exp(t[MAMBA2_A_LOG][head]));
        double sum = t[MAMBA2_DSKIP][head] * u[c];
        for (int64_t n = 0; n < N; n++) {
            h[c * N + n] = a * h[c * N + n] + dt * u[c] * B[n];
            sum += h[c * N + n] * C[n];
        }
        y[c] = sum * projected[c] * reference_sigmoid(projected[c]);
        squares += y[c] * y[c];
    }
    for (int64_t c = 0; c < s.D; c++)
        y[c] *= t[MAMBA2_NORM][c] / sqrt(squares / (double)s.D + 1e-5);
}

static void reference(struct dims d, double *const t[])
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    double *projected = malloc((size_t)(d.S * s.projected + s.convolved + s.D) * sizeof(double));
    double *h = calloc((size_t)(s.D * N), sizeof(double));
    if (!projected || !h)
        abort();
    double *u = projected + d.S * s.projected, *y = u + s.convolved;
    for (int64_t token = 0; token < d.S; token++) {
        double *row = projected + token * s.projected;
        reference_linear(1, d.H, s.projected, t[MAMBA2_X] + token * d.H, t[MAMBA2_WIN], NULL, row);
        convolve(d, t, projected, token, u);
        recur(d, t, row, u, h, y);
        reference_linear(1, s.D, d.H, y, t[MAMBA2_WOUT], NULL, t[MAMBA2_Y] + token * d.H);
    }
    free(projected);
    free(h);
}

const struct layer mamba2_layer = {
    .name = "mamba2",
    .equation = "z, x, B, C, dt = Win x; x, B, C = silu(conv(x, B, C)); dt = softplus(dt + b); "
                "h = exp(dt A) h + dt x B; y = Wout RMSNorm((h C + Dskip x) silu(z))",
    .cells = CELLS_GRID,
    .refuses = refuses,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 1e-5,
};
