/*
 * mLSTM: a matrix per head as the state, exponential gates with a running maximum, A heads of
 * V = H/A values and K = V/2 keys.
 * Equation    q, k = Wq x, Wk x / sqrt K; v = Wv x; i = Wi x + bi; l = log sigmoid(Wf x + bf);
 *             per head m' = max(l + m, i); C = e^(l+m-m') C + e^(i-m') k v^T, n likewise with k;
 *             h = C^T q / (max(|n q|, e^-m') + 1e-6); y = Wo (sigmoid(Wog x) RMSNorm(h))
 * Shapes      x[S,H] C0[A,K,V] n0[A,K] m0[A] Wq[H/2,H] Wk[H/2,H] Wv[H,H] Wi[A,H] bi[A] Wf[A,H]
 *             bf[A] norm_w[H] Wog[H,H] Wo[H,H] -> y[S,H] C_last[A,K,V] n_last[A,K] m_last[A]; the
 *             norm is per head, epsilon 1e-6; m0 of -infinity says that no token was before
 * Parameters  4 H^2 + 2 A H + H + 2 A
 * Job         mixer
 * Flops       S (8 H^2 + 4 A H) + S A (4 K V + 2 K) in products; S (A K V + 6 H + H/2 + 2 A K + 9 A)
 *             elementwise; S A (1 + 3) exp, S A log (softplus is one of each), S H sigmoid,
 *             S A roots
 * Bytes       weights (16 H^2 bytes and little more), input and output once
 * State       C[A,K,V], n[A,K], m[A]
 * Inputs      x in [-1,1]; C0, n0 in [-0.5,0.5]; m0 in [-1,1]; Wq, Wk, Wv, Wog in +-3/sqrt H, so
 *             that what they make has variance 1; Wi, Wf in +-1/sqrt H; bi in [-1,1]; bf in [2,4]:
 *             the state remembers tens of tokens; norm_w in [0.9,1.1]; Wo in +-sqrt(3 / H)
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  the updates of C and n and the products with them
 * Source      Beck et al. 2024, arXiv:2405.04517; NX-AI/xlstm, blocks/mlstm/backends.py; sizes of
 *             keys and values as in xLSTM-7B (arXiv:2503.13427), without its cap of the gates
 */
#include <math.h>
#include <string.h>

#include "common/carry.h"
#include "common/reference.h"
#include "mlstm.h"

static const char *refuses(struct dims d)
{
    return mlstm_values(d) % 2 ? "keys are half as long as values: HidSize / heads must be even"
                               : NULL;
}

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H, A = d.A, K = mlstm_keys(d), V = mlstm_values(d);
    const float w = 1.0f / sqrtf((float)H), unit = 3.0f * w;
    out[MLSTM_X] = (struct tensor){"x", INPUT, {S, H}, 0.0f, 1.0f};
    out[MLSTM_C0] = (struct tensor){"C0", INITIAL, {A, K, V}, 0.0f, 0.5f};
    out[MLSTM_N0] = (struct tensor){"n0", INITIAL, {A, K}, 0.0f, 0.5f};
    out[MLSTM_M0] = (struct tensor){"m0", INITIAL_NONE, {A}, 0.0f, 1.0f};
    out[MLSTM_WQ] = (struct tensor){"Wq", PARAMETER, {H / 2, H}, 0.0f, unit};
    out[MLSTM_WK] = (struct tensor){"Wk", PARAMETER, {H / 2, H}, 0.0f, unit};
    out[MLSTM_WV] = (struct tensor){"Wv", PARAMETER, {H, H}, 0.0f, unit};
    out[MLSTM_WI] = (struct tensor){"Wi", PARAMETER, {A, H}, 0.0f, w};
    out[MLSTM_BI] = (struct tensor){"bi", PARAMETER, {A}, 0.0f, 1.0f};
    out[MLSTM_WF] = (struct tensor){"Wf", PARAMETER, {A, H}, 0.0f, w};
    out[MLSTM_BF] = (struct tensor){"bf", PARAMETER, {A}, 3.0f, 1.0f};
    out[MLSTM_NORM_W] = (struct tensor){"norm_w", PARAMETER, {H}, 1.0f, 0.1f};
    out[MLSTM_WOG] = (struct tensor){"Wog", PARAMETER, {H, H}, 0.0f, unit};
    out[MLSTM_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, sqrtf(3.0f) * w};
    out[MLSTM_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    out[MLSTM_C_LAST] = (struct tensor){"C_last", FINAL, {A, K, V}, 0.0f, 0.0f};
    out[MLSTM_N_LAST] = (struct tensor){"n_last", FINAL, {A, K}, 0.0f, 0.0f};
    out[MLSTM_M_LAST] = (struct tensor){"m_last", FINAL, {A}, 0.0f, 0.0f};
    return MLSTM_M_LAST + 1;
}

struct cost mlstm_common_cost(struct dims d)
{
    const int64_t S = d.S, H = d.H, A = d.A;
    return (struct cost){
        .multiply_adds = S * (4 * H * H + 2 * A * H),
        .elementwise = S * (5 * H + H / 2 + 4 * A),
        .exps = S * A,
        .logs = S * A,
        .sigmoids = S * H,
        .rsqrts = S * A,
    };
}

static struct cost cost(struct dims d)
{
    const int64_t SA = d.S * d.A, K = mlstm_keys(d), V = mlstm_values(d);
    struct cost cost = mlstm_common_cost(d);
    cost.multiply_adds += SA * (2 * K * V + K);
    cost.elementwise += SA * (K * V + 2 * K + V + 5);
    cost.exps += 3 * SA;
    cost.sequential = SA * (5 * K * V + 4 * K);
    return cost;
}

static int64_t state(struct dims d)
{
    return d.A * (mlstm_keys(d) * mlstm_values(d) + mlstm_keys(d) + 1);
}

/* h[V] of one head and token; C, n, m move on. q[K], k[K] already divided by sqrt K */
static void recur(int64_t K, int64_t V, double i, double f, const double *q, const double *k,
                  const double *v, double *C, double *n, double *m, double *h)
{
    const double kept = log(reference_sigmoid(f)) + *m, top = fmax(kept, i);
    const double keep = exp(kept - top), take = exp(i - top);
    double along = 0.0;
    for (int64_t r = 0; r < K; r++) {
        n[r] = keep * n[r] + take * k[r];
        along += n[r] * q[r];
        for (int64_t c = 0; c < V; c++)
            C[r * V + c] = keep * C[r * V + c] + take * k[r] * v[c];
    }
    for (int64_t c = 0; c < V; c++) {
        h[c] = 0.0;
        for (int64_t r = 0; r < K; r++)
            h[c] += C[r * V + c] * q[r] / (fmax(fabs(along), exp(-top)) + 1e-6);
    }
    *m = top;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H, A = d.A, K = mlstm_keys(d), V = mlstm_values(d);
    double *q = reference_room(4 * H + 2 * A), *k = q + H / 2, *v = k + H / 2, *gate = v + H;
    double *h = gate + H, *i = h + H, *f = i + A;
    memcpy(t[MLSTM_C_LAST], t[MLSTM_C0], (size_t)(A * K * V) * sizeof(double));
    memcpy(t[MLSTM_N_LAST], t[MLSTM_N0], (size_t)(A * K) * sizeof(double));
    memcpy(t[MLSTM_M_LAST], t[MLSTM_M0], (size_t)A * sizeof(double));
    for (int64_t s = 0; s < d.S; s++) {
        const double *x = t[MLSTM_X] + s * H;
        reference_linear(1, H, H / 2, x, t[MLSTM_WQ], NULL, q);
        reference_linear(1, H, H / 2, x, t[MLSTM_WK], NULL, k);
        reference_linear(1, H, H, x, t[MLSTM_WV], NULL, v);
        reference_linear(1, H, H, x, t[MLSTM_WOG], NULL, gate);
        reference_linear(1, H, A, x, t[MLSTM_WI], t[MLSTM_BI], i);
        reference_linear(1, H, A, x, t[MLSTM_WF], t[MLSTM_BF], f);
        for (int64_t c = 0; c < H / 2; c++)
            k[c] /= sqrt((double)K);
        for (int64_t a = 0; a < A; a++) {
            double squares = 0.0;
            recur(K, V, i[a], f[a], q + a * K, k + a * K, v + a * V, t[MLSTM_C_LAST] + a * K * V,
                  t[MLSTM_N_LAST] + a * K, t[MLSTM_M_LAST] + a, h + a * V);
            for (int64_t c = a * V; c < (a + 1) * V; c++)
                squares += h[c] * h[c] / (double)V;
            for (int64_t c = a * V; c < (a + 1) * V; c++)
                h[c] *= t[MLSTM_NORM_W][c] * reference_sigmoid(gate[c]) / sqrt(squares + 1e-6);
        }
        reference_linear(1, H, H, h, t[MLSTM_WO], NULL, t[MLSTM_Y] + s * H);
    }
    free(q);
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_exchange(in, MLSTM_C0, MLSTM_C_LAST);
    carry_exchange(in, MLSTM_N0, MLSTM_N_LAST);
    carry_exchange(in, MLSTM_M0, MLSTM_M_LAST);
}

const struct layer mlstm_layer = {
    .name = "mlstm",
    .job = JOB_MIXER,
    .job_source = "Beck et al. 2024, arXiv:2405.04517: in the place of attention",
    .equation = "m' = max(l + m, i); C = e^(l+m-m') C + e^(i-m') k v^T; n likewise with k; "
                "h = C^T q / max(|n q|, e^-m'); y = Wo (sigmoid(Wog x) RMSNorm(h))",
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
