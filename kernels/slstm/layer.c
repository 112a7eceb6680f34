/*
 * sLSTM: exponential gates with a running maximum, recurrent weights head by head, A heads.
 * Equation    i, f, z, o = W x + R y + b, R block-diagonal; l = log sigmoid(f) + m;
 *             m' = max(i, l); c = e^(l-m') c + e^(i-m') tanh(z); n = e^(l-m') n + e^(i-m');
 *             y = sigmoid(o) c / n
 * Shapes      x[S,H] y0[H] c0[H] n0[H] m0[H] W[4H,H] R[4A,H/A,H/A] b[4H]
 *             -> y[S,H] c_last[H] n_last[H] m_last[H]; gate order i, f, z, o; R[gate A + head] is
 *             [out][in]; m0 of -infinity says that no token was before
 * Parameters  4 H^2 + 4 H H/A + 4 H
 * Job         recurrent layer
 * Flops       8 S H (H + H/A) in matrix products, those with R sequential; 11 S H elementwise;
 *             2 S H exp, S H log (softplus is one of each), S H sigmoid, S H tanh
 * Bytes       weights, input and output once; R (16 H H/A bytes) is walked through at each step
 * State       y[H], c[H], n[H], m[H]
 * Inputs      x in [-1,1]; y0, c0 in [-0.5,0.5]; n0 in [0.5,1.5], as a sum of positive terms is;
 *             m0 in [-1,1]; W, b in [-1/sqrt H, 1/sqrt H], R in [-1/sqrt(H/A), 1/sqrt(H/A)]: c / n
 *             is a mean of tanh
 * Timed       everything from x to y. Not timed: drawing the inputs, the order of R's rows
 * Sequential  R y, S dependent products, and the cell update
 * Source      Beck et al. 2024, arXiv:2405.04517; NX-AI/xlstm, slstm/src/vanilla/slstm.py, without
 *             its convolution, norm and FFN
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "slstm.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t H = d.H, size = d.H / d.A;
    const float w = 1.0f / sqrtf((float)H), r = 1.0f / sqrtf((float)size);
    out[SLSTM_X] = (struct tensor){"x", INPUT, {d.S, H}, 0.0f, 1.0f};
    out[SLSTM_Y0] = (struct tensor){"y0", INITIAL, {H}, 0.0f, 0.5f};
    out[SLSTM_C0] = (struct tensor){"c0", INITIAL, {H}, 0.0f, 0.5f};
    out[SLSTM_N0] = (struct tensor){"n0", INITIAL, {H}, 1.0f, 0.5f};
    out[SLSTM_M0] = (struct tensor){"m0", INITIAL_NONE, {H}, 0.0f, 1.0f};
    out[SLSTM_W] = (struct tensor){"W", PARAMETER, {SLSTM_GATES * H, H}, 0.0f, w};
    out[SLSTM_R] = (struct tensor){"R", PARAMETER, {SLSTM_GATES * d.A, size, size}, 0.0f, r};
    out[SLSTM_B] = (struct tensor){"b", PARAMETER, {SLSTM_GATES * H}, 0.0f, w};
    out[SLSTM_Y] = (struct tensor){"y", OUTPUT, {d.S, H}, 0.0f, 0.0f};
    out[SLSTM_C_LAST] = (struct tensor){"c_last", FINAL, {H}, 0.0f, 0.0f};
    out[SLSTM_N_LAST] = (struct tensor){"n_last", FINAL, {H}, 0.0f, 0.0f};
    out[SLSTM_M_LAST] = (struct tensor){"m_last", FINAL, {H}, 0.0f, 0.0f};
    return SLSTM_M_LAST + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H, size = d.H / d.A;
    return (struct cost){
        .multiply_adds = 4 * SH * (d.H + size),
        .elementwise = 11 * SH,
        .exps = 2 * SH,
        .logs = SH,
        .sigmoids = SH,
        .tanhs = SH,
        .sequential = 8 * SH * size + 11 * SH,
        .streamed_weights = 4 * SH * size,
    };
}

static int64_t state(struct dims d)
{
    return 4 * d.H;
}

/* The sum of a gate of channel k. */
static double gate_sum(struct dims d, double *const t[], int64_t gate, int64_t k, const double *x,
                       const double *y)
{
    const int64_t H = d.H, size = H / d.A, head = k / size;
    const double *R = t[SLSTM_R] + ((gate * d.A + head) * size + k % size) * size;
    return t[SLSTM_B][gate * H + k] + reference_dot(H, t[SLSTM_W] + (gate * H + k) * H, x) +
           reference_dot(size, R, y + head * size);
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H;
    double *c = t[SLSTM_C_LAST], *n = t[SLSTM_N_LAST], *m = t[SLSTM_M_LAST];
    const double *before = t[SLSTM_Y0];
    memcpy(c, t[SLSTM_C0], (size_t)H * sizeof(double));
    memcpy(n, t[SLSTM_N0], (size_t)H * sizeof(double));
    memcpy(m, t[SLSTM_M0], (size_t)H * sizeof(double));
    for (int64_t s = 0; s < d.S; s++) {
        double *y = t[SLSTM_Y] + s * H;
        for (int64_t k = 0; k < H; k++) {
            double sum[SLSTM_GATES];
            for (int64_t gate = 0; gate < SLSTM_GATES; gate++)
                sum[gate] = gate_sum(d, t, gate, k, t[SLSTM_X] + s * H, before);
            const double kept = log(reference_sigmoid(sum[1])) + m[k];
            m[k] = fmax(sum[0], kept);
            c[k] = exp(kept - m[k]) * c[k] + exp(sum[0] - m[k]) * tanh(sum[2]);
            n[k] = exp(kept - m[k]) * n[k] + exp(sum[0] - m[k]);
            y[k] = reference_sigmoid(sum[3]) * c[k] / n[k];
        }
        before = y;
    }
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_last_row(in, SLSTM_Y, SLSTM_Y0);
    carry_exchange(in, SLSTM_C0, SLSTM_C_LAST);
    carry_exchange(in, SLSTM_N0, SLSTM_N_LAST);
    carry_exchange(in, SLSTM_M0, SLSTM_M_LAST);
}

const struct layer slstm_layer = {
    .name = "slstm",
    .job = JOB_RECURRENT,
    .job_source = "Beck et al. 2024, arXiv:2405.04517: an LSTM with exponential gates",
    .equation = "i,f,z,o = W x + R y + b; l = log sigmoid(f) + m; m' = max(i, l); "
                "c = e^(l-m') c + e^(i-m') tanh(z); n = e^(l-m') n + e^(i-m'); y = sigmoid(o) c/n",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 1e-5,
};
