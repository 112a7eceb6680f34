/*
 * RWKV-7 time mixing of a first layer (no mixing of values): a matrix per head that decays channel
 * by channel and replaces what a key had, A heads of D = H/A.
 * Equation    x_n = x + (x' - x) mu_n for n = r, k, v, w, a, g, x' the token before;
 *             r = Wr x_r; k = Wk x_k; v = Wv x_v; w = exp(-e^(-1/2) sigmoid(w0 + W2 tanh(W1 x_w)));
 *             a = sigmoid(a0 + A2 A1 x_a); gate = G2 sigmoid(G1 x_g);
 *             per head q = k k_k / max(|k k_k|, 1e-12), then k = k (1 + (a - 1) k_a);
 *             S = w S - (q a) (S^T q)^T + k v^T, S^T q of the S before; o = S^T r;
 *             o = ln_g LN(o) + ln_b + (sum of r k r_k) v, LN per head, epsilon 64e-5;
 *             y = Wo (o gate)
 * Shapes      x[S,H] x_before[H] S0[A,D,D] (key, value) mu_.[H] Wr[H,H] Wk[H,H] Wv[H,H] W1[R,H]
 *             W2[H,R] w0[H] A1[R,H] A2[H,R] a0[H] G1[2R,H] G2[H,2R] k_k[H] k_a[H] r_k[H] ln_g[H]
 *             ln_b[H] Wo[H,H] -> y[S,H] x_last[H] S_last[A,D,D]; R = max(8, ceil(H/12))
 * Parameters  4 H^2 + 8 H R + 13 H
 * Job         mixer
 * Flops       S (8 H^2 + 16 H R) + S (8 H D + 8 H) in products; S (H D + 40 H) elementwise; S H exp,
 *             S (2 H + 2 R) sigmoid, S R tanh, 2 S A roots
 * Bytes       weights (about 19 H^2 bytes), input and output once
 * State       S[A,D,D] and the last x
 * Inputs      x, x_before in [-1,1]; S0 in [-0.1,0.1]; mu in [0,1]; Wr, Wk, Wv, G1, W1, A1 in
 *             +-3/sqrt H, so that what they make has variance 1; W2, A2 in +-1/sqrt R, G2 in
 *             +-sqrt(3 / 2R); w0 in [-4,0]; a0 in [-1,1]; k_k, k_a, ln_g in [0.8,1.2]; r_k and ln_b
 *             in [-0.1,0.1]; Wo in +-sqrt(3 / H)
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  the update of S and the products with it
 * Source      Peng et al. 2025, arXiv:2503.14456; RWKV-LM, RWKV-v7/rwkv_v7_numpy.py
 */
#include <math.h>
#include <string.h>

#include "common/carry.h"
#include "common/reference.h"
#include "rwkv7.h"

static const char *refuses(struct dims d)
{
    return d.H == d.A ? "heads of one channel: their norm leaves nothing" : NULL;
}

static void list_parameters(int64_t H, struct tensor out[TENSOR_MAX])
{
    const int64_t R = rwkv7_rank(H);
    const float unit = 3.0f / sqrtf((float)H), r = 1.0f / sqrtf((float)R);
    const float keeps = sqrtf(3.0f / (float)H), of_gate = sqrtf(1.5f / (float)R);
    static const char *const mu[] = {"mu_r", "mu_k", "mu_v", "mu_w", "mu_a", "mu_g"};
    for (int n = 0; n < 6; n++)
        out[RWKV7_MU_R + n] = (struct tensor){mu[n], PARAMETER, {H}, 0.5f, 0.5f};
    out[RWKV7_WR] = (struct tensor){"Wr", PARAMETER, {H, H}, 0.0f, unit};
    out[RWKV7_WK] = (struct tensor){"Wk", PARAMETER, {H, H}, 0.0f, unit};
    out[RWKV7_WV] = (struct tensor){"Wv", PARAMETER, {H, H}, 0.0f, unit};
    out[RWKV7_DECAY_1] = (struct tensor){"W1", PARAMETER, {R, H}, 0.0f, unit};
    out[RWKV7_DECAY_2] = (struct tensor){"W2", PARAMETER, {H, R}, 0.0f, r};
    out[RWKV7_DECAY_0] = (struct tensor){"w0", PARAMETER, {H}, -2.0f, 2.0f};
    out[RWKV7_RATE_1] = (struct tensor){"A1", PARAMETER, {R, H}, 0.0f, unit};
    out[RWKV7_RATE_2] = (struct tensor){"A2", PARAMETER, {H, R}, 0.0f, r};
    out[RWKV7_RATE_0] = (struct tensor){"a0", PARAMETER, {H}, 0.0f, 1.0f};
    out[RWKV7_GATE_1] = (struct tensor){"G1", PARAMETER, {2 * R, H}, 0.0f, unit};
    out[RWKV7_GATE_2] = (struct tensor){"G2", PARAMETER, {H, 2 * R}, 0.0f, of_gate};
    out[RWKV7_K_K] = (struct tensor){"k_k", PARAMETER, {H}, 1.0f, 0.2f};
    out[RWKV7_K_A] = (struct tensor){"k_a", PARAMETER, {H}, 1.0f, 0.2f};
    out[RWKV7_R_K] = (struct tensor){"r_k", PARAMETER, {H}, 0.0f, 0.1f};
    out[RWKV7_LN_G] = (struct tensor){"ln_g", PARAMETER, {H}, 1.0f, 0.2f};
    out[RWKV7_LN_B] = (struct tensor){"ln_b", PARAMETER, {H}, 0.0f, 0.1f};
    out[RWKV7_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, keeps};
}

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t D = d.H / d.A;
    out[RWKV7_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[RWKV7_X_BEFORE] = (struct tensor){"x_before", INITIAL, {d.H}, 0.0f, 1.0f};
    out[RWKV7_S0] = (struct tensor){"S0", INITIAL, {d.A, D, D}, 0.0f, 0.1f};
    list_parameters(d.H, out);
    out[RWKV7_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    out[RWKV7_X_LAST] = (struct tensor){"x_last", FINAL, {d.H}, 0.0f, 0.0f};
    out[RWKV7_S_LAST] = (struct tensor){"S_last", FINAL, {d.A, D, D}, 0.0f, 0.0f};
    return RWKV7_S_LAST + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H, D = d.H / d.A, R = rwkv7_rank(d.H);
    return (struct cost){
        .multiply_adds = SH * (4 * d.H + 8 * R + 4 * D + 4),
        .elementwise = SH * (D + 40),
        .exps = SH,
        .sigmoids = SH + SH + 2 * d.S * R,
        .tanhs = d.S * R,
        .rsqrts = 2 * d.S * d.A,
        .sequential = SH * (9 * D + 8),
    };
}

static int64_t state(struct dims d)
{
    return d.H * (d.H / d.A) + d.H;
}

/* y[to] = W x_n, x_n = x + (before - x) mu */
static void mixed_linear(int64_t H, int64_t to, const double *x, const double *before,
                         const double *mu, const double *W, double *room, double *y)
{
    for (int64_t i = 0; i < H; i++)
        room[i] = x[i] + (before[i] - x[i]) * mu[i];
    reference_linear(1, H, to, room, W, NULL, y);
}

/* o[D] of one head; S[D,D], key by value, moves on. */
static void recur(int64_t D, const double *r, const double *w, const double *k, const double *v,
                  const double *a, const double *q, double *S, double *o)
{
    for (int64_t c = 0; c < D; c++) {
        double seen = 0.0;
        for (int64_t row = 0; row < D; row++)
            seen += S[row * D + c] * q[row];
        o[c] = 0.0;
        for (int64_t row = 0; row < D; row++) {
            double *at = S + row * D + c;
            *at = w[row] * *at - q[row] * a[row] * seen + k[row] * v[c];
            o[c] += *at * r[row];
        }
    }
}

/* o[D] of one head becomes its norm and the bonus. */
static void finish_head(int64_t D, const double *r, const double *k, const double *v,
                        const double *r_k, const double *gain, const double *bias, double *o)
{
    double mean = 0.0, variance = 0.0, bonus = 0.0;
    for (int64_t c = 0; c < D; c++) {
        mean += o[c] / (double)D;
        bonus += r[c] * k[c] * r_k[c];
    }
    for (int64_t c = 0; c < D; c++)
        variance += (o[c] - mean) * (o[c] - mean) / (double)D;
    for (int64_t c = 0; c < D; c++)
        o[c] = (o[c] - mean) / sqrt(variance + 64e-5) * gain[c] + bias[c] + bonus * v[c];
}

static void reference_token(struct dims d, double *const t[], const double *x, const double *before,
                            double *room, double *y)
{
    const int64_t H = d.H, D = H / d.A, R = rwkv7_rank(H);
    double *r = room, *k = r + H, *v = k + H, *w = v + H, *a = w + H, *gate = a + H, *q = gate + H;
    double *o = q + H, *mixed = o + H, *low = mixed + H;
    mixed_linear(H, H, x, before, t[RWKV7_MU_R], t[RWKV7_WR], mixed, r);
    mixed_linear(H, H, x, before, t[RWKV7_MU_K], t[RWKV7_WK], mixed, k);
    mixed_linear(H, H, x, before, t[RWKV7_MU_V], t[RWKV7_WV], mixed, v);
    mixed_linear(H, R, x, before, t[RWKV7_MU_W], t[RWKV7_DECAY_1], mixed, low);
    for (int64_t i = 0; i < R; i++)
        low[i] = tanh(low[i]);
    reference_linear(1, R, H, low, t[RWKV7_DECAY_2], t[RWKV7_DECAY_0], w);
    mixed_linear(H, R, x, before, t[RWKV7_MU_A], t[RWKV7_RATE_1], mixed, low);
    reference_linear(1, R, H, low, t[RWKV7_RATE_2], t[RWKV7_RATE_0], a);
    mixed_linear(H, 2 * R, x, before, t[RWKV7_MU_G], t[RWKV7_GATE_1], mixed, low);
    for (int64_t i = 0; i < 2 * R; i++)
        low[i] = reference_sigmoid(low[i]);
    reference_linear(1, 2 * R, H, low, t[RWKV7_GATE_2], NULL, gate);
    for (int64_t first = 0; first < H; first += D) {
        double squares = 0.0;
        for (int64_t c = first; c < first + D; c++) {
            w[c] = exp(-exp(-0.5) * reference_sigmoid(w[c]));
            a[c] = reference_sigmoid(a[c]);
            q[c] = k[c] * t[RWKV7_K_K][c];
            k[c] *= 1.0 + (a[c] - 1.0) * t[RWKV7_K_A][c];
            squares += q[c] * q[c];
        }
        for (int64_t c = first; c < first + D; c++)
            q[c] /= fmax(sqrt(squares), 1e-12);
        recur(D, r + first, w + first, k + first, v + first, a + first, q + first,
              t[RWKV7_S_LAST] + first * D, o + first);
        finish_head(D, r + first, k + first, v + first, t[RWKV7_R_K] + first, t[RWKV7_LN_G] + first,
                    t[RWKV7_LN_B] + first, o + first);
        for (int64_t c = first; c < first + D; c++)
            o[c] *= gate[c];
    }
    reference_linear(1, H, H, o, t[RWKV7_WO], NULL, y);
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H, D = H / d.A;
    double *room = reference_room(9 * H + 2 * rwkv7_rank(H));
    const double *before = t[RWKV7_X_BEFORE];
    memcpy(t[RWKV7_S_LAST], t[RWKV7_S0], (size_t)(H * D) * sizeof(double));
    for (int64_t s = 0; s < d.S; s++) {
        const double *x = t[RWKV7_X] + s * H;
        reference_token(d, t, x, before, room, t[RWKV7_Y] + s * H);
        before = x;
    }
    memcpy(t[RWKV7_X_LAST], before, (size_t)H * sizeof(double));
    free(room);
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_exchange(in, RWKV7_X_BEFORE, RWKV7_X_LAST);
    carry_exchange(in, RWKV7_S0, RWKV7_S_LAST);
}

const struct layer rwkv7_layer = {
    .name = "rwkv7",
    .job = JOB_MIXER,
    .job_source = "Peng et al. 2025, arXiv:2503.14456: in the place of attention",
    .equation = "r, k, v = W (x + (x' - x) mu); S = w S - (q a) (S^T q)^T + k v^T; "
                "y = Wo ((LN(S^T r) + (r k r_k) v) gate)",
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
