/*
 * Gated DeltaNet: a matrix per head that forgets and corrects itself, A heads of D = H/A.
 * Equation    q, k, v = silu(conv(Wq x)), ...; per head q, k divided by sqrt(their squares + 1e-6),
 *             q by sqrt D; g = -exp(A_log) softplus(Wa x + dt_bias), b = sigmoid(Wb x);
 *             S = e^g S; u = b (v - S^T k); S = S + k u^T; o = S^T q;
 *             y = Wo (RMSNorm(o) silu(Wg x)), the norm per head, epsilon 1e-5
 * Shapes      x[S,H] window[K-1,3H] (of Wq x, Wk x, Wv x, from old to new) S0[A,D,D] (key, value)
 *             Wq[H,H] Wk[H,H] Wv[H,H] conv_q[H,K] conv_k[H,K] conv_v[H,K] Wa[A,H] dt_bias[A]
 *             A_log[A] Wb[A,H] Wg[H,H] norm_w[D] Wo[H,H] -> y[S,H] window_last[K-1,3H]
 *             S_last[A,D,D]; K = 4 taps, the last one meets the current token
 * Parameters  5 H^2 + 2 A H + 12 H + 2 A + D
 * Job         mixer
 * Flops       S (10 H^2 + 4 A H + 6 K H) + S (6 H D + 2 H) in products; S (H D + 14 H + 6 A)
 *             elementwise; 2 S A exp, S A log (softplus is one of each), S (4 H + A) sigmoid,
 *             3 S A roots
 * Bytes       weights (20 H^2 bytes and little more), input and output once
 * State       S[A,D,D] and the last K - 1 inputs of the convolutions
 * Inputs      x, window in [-1,1]; S0 in [-0.1,0.1]; Wq, Wk, Wv, Wg in +-3/sqrt H, so that what
 *             they make has variance 1; convolutions in +-sqrt(3 / K), Wo in +-sqrt(3 / H), which
 *             keep it; Wa, Wb in +-1/sqrt H; softplus(dt_bias) in [0.001,0.1]; exp(A_log) in
 *             [1,16]; norm_w in [0.9,1.1]
 * Timed       everything from x to y. Not timed: drawing the inputs, -exp(A_log), the taps' order
 * Sequential  the update of S and the products with it
 * Source      Yang, Kautz, Hatamizadeh 2024, arXiv:2412.06464; flash-linear-attention,
 *             fla/layers/gated_deltanet.py, with keys and values of H
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "gated_deltanet.h"

enum { K = CONV_TAPS };

static const char *refuses(struct dims d)
{
    return d.H == d.A ? "heads of one channel: their norm leaves nothing but the sign" : NULL;
}

static void list_parameters(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t H = d.H, A = d.A;
    const float w = 1.0f / sqrtf((float)H), unit = 3.0f * w, tap = sqrtf(3.0f / (float)K);
    const float small_dt = -6.9073f, large_dt = -2.2522f; /* softplus: 0.001 and 0.1 */
    const float half_log_16 = 1.3862944f;
    out[DELTANET_WQ] = (struct tensor){"Wq", PARAMETER, {H, H}, 0.0f, unit};
    out[DELTANET_WK] = (struct tensor){"Wk", PARAMETER, {H, H}, 0.0f, unit};
    out[DELTANET_WV] = (struct tensor){"Wv", PARAMETER, {H, H}, 0.0f, unit};
    out[DELTANET_CONV_Q] = (struct tensor){"conv_q", PARAMETER, {H, K}, 0.0f, tap};
    out[DELTANET_CONV_K] = (struct tensor){"conv_k", PARAMETER, {H, K}, 0.0f, tap};
    out[DELTANET_CONV_V] = (struct tensor){"conv_v", PARAMETER, {H, K}, 0.0f, tap};
    out[DELTANET_WA] = (struct tensor){"Wa", PARAMETER, {A, H}, 0.0f, w};
    out[DELTANET_DT_BIAS] = (struct tensor){
        "dt_bias", PARAMETER, {A}, (small_dt + large_dt) / 2.0f, (large_dt - small_dt) / 2.0f};
    out[DELTANET_A_LOG] = (struct tensor){"A_log", PARAMETER, {A}, half_log_16, half_log_16};
    out[DELTANET_WB] = (struct tensor){"Wb", PARAMETER, {A, H}, 0.0f, w};
    out[DELTANET_WG] = (struct tensor){"Wg", PARAMETER, {H, H}, 0.0f, unit};
    out[DELTANET_NORM_W] = (struct tensor){"norm_w", PARAMETER, {H / A}, 1.0f, 0.1f};
    out[DELTANET_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, sqrtf(3.0f) * w};
}

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t D = d.H / d.A;
    out[DELTANET_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[DELTANET_WINDOW] = (struct tensor){"window", INITIAL, {K - 1, 3 * d.H}, 0.0f, 1.0f};
    out[DELTANET_S0] = (struct tensor){"S0", INITIAL, {d.A, D, D}, 0.0f, 0.1f};
    list_parameters(d, out);
    out[DELTANET_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    out[DELTANET_WINDOW_LAST] = (struct tensor){"window_last", FINAL, {K - 1, 3 * d.H}, 0.0f, 0.0f};
    out[DELTANET_S_LAST] = (struct tensor){"S_last", FINAL, {d.A, D, D}, 0.0f, 0.0f};
    return DELTANET_S_LAST + 1;
}

struct cost deltanet_common_cost(struct dims d)
{
    const int64_t S = d.S, H = d.H, A = d.A;
    return (struct cost){
        .multiply_adds = S * (5 * H * H + 2 * A * H + 3 * K * H),
        .elementwise = S * (8 * H + 6 * A),
        .exps = 2 * S * A,
        .logs = S * A,
        .sigmoids = S * (4 * H + A),
        .rsqrts = 3 * S * A,
    };
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H, D = d.H / d.A;
    struct cost cost = deltanet_common_cost(d);
    cost.multiply_adds += SH * (3 * D + 1);
    cost.elementwise += SH * (D + 6);
    cost.sequential = SH * (7 * D + 8);
    return cost;
}

static int64_t state(struct dims d)
{
    return d.H * (d.H / d.A) + 3 * (K - 1) * d.H;
}

/* A channel after convolution and silu; the window of 3H channels moves on by one token. */
static double convolved(int64_t channels, int64_t c, const double *w, double newest, double *window)
{
    const double sum = reference_convolve(K, channels, c, w, newest, window);
    return sum * reference_sigmoid(sum);
}

static void normalise(int64_t n, double *x, double factor)
{
    const double length = sqrt(reference_dot(n, x, x) + 1e-6);
    for (int64_t i = 0; i < n; i++)
        x[i] *= factor / length;
}

/* o[D] of one head; S[D,D] moves on. */
static void recur(int64_t D, double g, double b, const double *q, const double *k, const double *v,
                  double *S, double *o)
{
    for (int64_t c = 0; c < D; c++) {
        double seen = 0.0;
        for (int64_t r = 0; r < D; r++) {
            S[r * D + c] *= exp(g);
            seen += S[r * D + c] * k[r];
        }
        o[c] = 0.0;
        for (int64_t r = 0; r < D; r++) {
            S[r * D + c] += k[r] * b * (v[c] - seen);
            o[c] += S[r * D + c] * q[r];
        }
    }
}

static void reference_token(struct dims d, double *const t[], const double *x, double *room,
                            double *y)
{
    const int64_t H = d.H, A = d.A, D = H / A;
    double *qkv = room, *gate = qkv + 3 * H, *o = gate + H;
    reference_linear(1, H, H, x, t[DELTANET_WQ], NULL, qkv);
    reference_linear(1, H, H, x, t[DELTANET_WK], NULL, qkv + H);
    reference_linear(1, H, H, x, t[DELTANET_WV], NULL, qkv + 2 * H);
    reference_linear(1, H, H, x, t[DELTANET_WG], NULL, gate);
    for (int64_t c = 0; c < 3 * H; c++)
        qkv[c] = convolved(3 * H, c, t[DELTANET_CONV_Q + c / H] + c % H * K, qkv[c],
                           t[DELTANET_WINDOW_LAST]);
    for (int64_t a = 0; a < A; a++) {
        double *of_head = o + a * D, squares;
        const double raw = reference_dot(H, t[DELTANET_WA] + a * H, x) + t[DELTANET_DT_BIAS][a];
        const double b = reference_sigmoid(reference_dot(H, t[DELTANET_WB] + a * H, x));
        normalise(D, qkv + a * D, 1.0 / sqrt((double)D));
        normalise(D, qkv + H + a * D, 1.0);
        recur(D, -exp(t[DELTANET_A_LOG][a]) * log1p(exp(raw)), b, qkv + a * D, qkv + H + a * D,
              qkv + 2 * H + a * D, t[DELTANET_S_LAST] + a * D * D, of_head);
        squares = reference_dot(D, of_head, of_head) / (double)D;
        for (int64_t c = 0; c < D; c++)
            of_head[c] *= t[DELTANET_NORM_W][c] / sqrt(squares + 1e-5) * gate[a * D + c] *
                          reference_sigmoid(gate[a * D + c]);
    }
    reference_linear(1, H, H, o, t[DELTANET_WO], NULL, y);
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H, D = H / d.A;
    double *room = reference_room(5 * H);
    memcpy(t[DELTANET_WINDOW_LAST], t[DELTANET_WINDOW], (size_t)((K - 1) * 3 * H) * sizeof(double));
    memcpy(t[DELTANET_S_LAST], t[DELTANET_S0], (size_t)(H * D) * sizeof(double));
    for (int64_t s = 0; s < d.S; s++)
        reference_token(d, t, t[DELTANET_X] + s * H, room, t[DELTANET_Y] + s * H);
    free(room);
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_exchange(in, DELTANET_WINDOW, DELTANET_WINDOW_LAST);
    carry_exchange(in, DELTANET_S0, DELTANET_S_LAST);
}

const struct layer gated_deltanet_layer = {
    .name = "gated_deltanet",
    .job = JOB_MIXER,
    .job_source = "Yang, Kautz, Hatamizadeh 2024, arXiv:2412.06464: in the place of attention",
    .equation = "S = e^g S; u = b (v - S^T k); S = S + k u^T; y = Wo (RMSNorm(S^T q) silu(Wg x))",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .refuses = refuses,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 2e-5,
};
