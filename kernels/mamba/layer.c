/*
 * Mamba block (S6): D = 2H channels, N = 16 states each, K = 4 taps, R = ceil(H/16).
 * Equation    [u; z] = Win x; u = silu(conv_b + conv(u)); [r; B; C] = Wx u
 *             dt = softplus(Wdt r + bdt); h = exp(-dt exp(A_log)) h + dt u B
 *             y = Wout ((C h + Dskip u) silu(z))
 * Shapes      x[S,H] window[K-1,D] (from old to new) h0[N,D] Win[2D,H] conv_w[D,K] conv_b[D]
 *             Wx[R+2N,D] Wdt[D,R] bdt[D] A_log[D,N] Dskip[D] Wout[H,D]
 *             -> y[S,H] window_last[K-1,D] h_last[N,D]; the last tap of conv_w meets the
 *             current token
 * Parameters  about 6 H^2 + 110 H
 * Job         block, half of one: two stand for attention and FFN
 * Flops       S (6 H D + 4 D (R + N) + 2 D K) in products; S D (6N + 6) elementwise;
 *             S D (N + 1) exp (softplus counts as one), 2 S D sigmoid
 * Bytes       weights (about 24 H^2 bytes), input and output once
 * State       h[D,N] and the last K - 1 inputs of the convolution
 * Inputs      x, window in [-1,1]; h0 in [-0.5,0.5]; Win in +-3/sqrt H, so that u and z have
 *             variance 1; conv_w, Wx and Wout in +-sqrt(3 / inputs), which keeps it; Wdt in
 *             +-1/sqrt R; softplus(bdt) in [0.001,0.1]; exp(A_log) in [1,16]; Dskip in [0.5,1.5]
 * Timed       everything from x to y. Not timed: drawing the inputs, -exp(A_log), the taps' order
 * Sequential  the update of h and its product with C, 4 S D N; A_log is not streamed: decays do not
 *             wait
 * Source      Gu and Dao 2023; mamba_ssm's Mamba (A by zero-order hold, B by Euler)
 */
#include <string.h>

#include "common/carry.h"
#include "common/reference.h"
#include "mamba.h"

enum { N = MAMBA_STATES, K = CONV_TAPS };

static float keeps_variance(int64_t inputs)
{
    return sqrtf(3.0f / (float)inputs);
}

static void list_parameters(int64_t H, struct tensor out[TENSOR_MAX])
{
    const int64_t D = MAMBA_EXPAND * H, R = mamba_rank(H);
    const float small_dt = -6.9073f, large_dt = -2.2522f; /* softplus: 0.001 and 0.1 */
    const float half_log_16 = 1.3862944f;
    out[MAMBA_WIN] = (struct tensor){"Win", PARAMETER, {2 * D, H}, 0.0f, 3.0f / sqrtf((float)H)};
    out[MAMBA_CONV_W] = (struct tensor){"conv_w", PARAMETER, {D, K}, 0.0f, keeps_variance(K)};
    out[MAMBA_CONV_B] = (struct tensor){"conv_b", PARAMETER, {D}, 0.0f, 0.1f};
    out[MAMBA_WX] =
        (struct tensor){"Wx", PARAMETER, {mamba_selectors(H), D}, 0.0f, keeps_variance(D)};
    out[MAMBA_WDT] = (struct tensor){"Wdt", PARAMETER, {D, R}, 0.0f, 1.0f / sqrtf((float)R)};
    out[MAMBA_BDT] = (struct tensor){
        "bdt", PARAMETER, {D}, (small_dt + large_dt) / 2.0f, (large_dt - small_dt) / 2.0f};
    out[MAMBA_A_LOG] = (struct tensor){"A_log", PARAMETER, {D, N}, half_log_16, half_log_16};
    out[MAMBA_DSKIP] = (struct tensor){"Dskip", PARAMETER, {D}, 1.0f, 0.5f};
    out[MAMBA_WOUT] = (struct tensor){"Wout", PARAMETER, {H, D}, 0.0f, keeps_variance(D)};
}

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t D = MAMBA_EXPAND * d.H;
    out[MAMBA_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[MAMBA_WINDOW] = (struct tensor){"window", INITIAL, {K - 1, D}, 0.0f, 1.0f};
    out[MAMBA_H0] = (struct tensor){"h0", INITIAL, {N, D}, 0.0f, 0.5f};
    list_parameters(d.H, out);
    out[MAMBA_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    out[MAMBA_WINDOW_LAST] = (struct tensor){"window_last", FINAL, {K - 1, D}, 0.0f, 0.0f};
    out[MAMBA_H_LAST] = (struct tensor){"h_last", FINAL, {N, D}, 0.0f, 0.0f};
    return MAMBA_H_LAST + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t H = d.H, D = MAMBA_EXPAND * H, SD = d.S * D;
    return (struct cost){
        .multiply_adds = SD * (3 * H + 2 * mamba_rank(H) + 2 * N + K),
        .elementwise = SD * (6 * N + 6),
        .exps = SD * (N + 1),
        .sigmoids = 2 * SD,
        .sequential = 4 * SD * N,
    };
}

static int64_t state(struct dims d)
{
    return MAMBA_EXPAND * d.H * (N + K - 1);
}

/* u[c] after convolution and silu; the window moves on by one token. */
static double convolved(int64_t D, int64_t c, double *const t[], double *window, double newest)
{
    const double sum =
        t[MAMBA_CONV_B][c] + reference_convolve(K, D, c, t[MAMBA_CONV_W] + c * K, newest, window);
    return sum * reference_sigmoid(sum);
}

/* One token: y[H] from x[H]. window[K-1,D], from old to new, and h[N,D] move on. */
static void reference_token(int64_t H, double *const t[], const double *x, double *window,
                            double *h, double *y)
{
    const int64_t D = MAMBA_EXPAND * H, R = mamba_rank(H), M = mamba_selectors(H);
    double *u = reference_room(2 * D + M);
    double *gated = u + D, *r = gated + D, *B = r + R, *C = B + N;
    for (int64_t c = 0; c < D; c++)
        u[c] = convolved(D, c, t, window, reference_dot(H, t[MAMBA_WIN] + c * H, x));
    for (int64_t m = 0; m < M; m++)
        r[m] = reference_dot(D, t[MAMBA_WX] + m * D, u);
    for (int64_t c = 0; c < D; c++) {
        const double z = reference_dot(H, t[MAMBA_WIN] + (D + c) * H, x);
        const double dt = log1p(exp(reference_dot(R, t[MAMBA_WDT] + c * R, r) + t[MAMBA_BDT][c]));
        double sum = t[MAMBA_DSKIP][c] * u[c];
        for (int64_t n = 0; n < N; n++) {
            const double A = -exp(t[MAMBA_A_LOG][c * N + n]);
            h[n * D + c] = exp(dt * A) * h[n * D + c] + dt * u[c] * B[n];
            sum += h[n * D + c] * C[n];
        }
        gated[c] = sum * z * reference_sigmoid(z);
    }
    for (int64_t i = 0; i < H; i++)
        y[i] = reference_dot(D, t[MAMBA_WOUT] + i * D, gated);
    free(u);
}

static void reference(struct dims d, double *const t[])
{
    const int64_t D = MAMBA_EXPAND * d.H;
    memcpy(t[MAMBA_WINDOW_LAST], t[MAMBA_WINDOW], (size_t)((K - 1) * D) * sizeof(double));
    memcpy(t[MAMBA_H_LAST], t[MAMBA_H0], (size_t)(N * D) * sizeof(double));
    for (int64_t s = 0; s < d.S; s++)
        reference_token(d.H, t, t[MAMBA_X] + s * d.H, t[MAMBA_WINDOW_LAST], t[MAMBA_H_LAST],
                        t[MAMBA_Y] + s * d.H);
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_exchange(in, MAMBA_WINDOW, MAMBA_WINDOW_LAST);
    carry_exchange(in, MAMBA_H0, MAMBA_H_LAST);
}

const struct layer mamba_layer = {
    .name = "mamba",
    .job = JOB_BLOCK,
    .per_block = 2,
    .job_source = "Gu and Dao 2023, arXiv:2312.00752: two in the place of attention and FFN",
    .equation = "u, z = Win x; u = silu(conv(u)); r, B, C = Wx u; dt = softplus(Wdt r + b); "
                "h = exp(dt A) h + dt u B; y = Wout ((C h + Dskip u) silu(z))",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 1e-5,
};
