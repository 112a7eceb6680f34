/*
 * TTT-Linear: the state of each head is a linear model W, b that learns k -> v - k by one step of
 * gradient descent per token, the gradients of a mini-batch of 16 taken at its first W, b.
 * Equation    q, k, v = W. x, q and k turned by RoPE (pairs 2d, 2d+1; position t mod 16)
 *             rate = sigmoid(Wlr x + blr) / HeadSize, share_i = 1 / (i + 1) of token i of the batch
 *             g_j = d/dz 1/2 |LN(z) - (v_j - k_j)|^2 at z = k_j W + b
 *             W_i = W - share_i sum over j <= i of rate_j k_j^T g_j, b_i alike
 *             y = Wo LN_post(q_i + LN(q_i W_i + b_i)); epsilon 1e-6
 * Shapes      x[S,H] Wq Wk Wv Wo[H,H] Wlr[A,H] blr[A] ln_g ln_b[A,HeadSize]
 *             W0[A,HeadSize,HeadSize] (from inputs to outputs) b0[A,HeadSize] post_g post_b[H]
 *             -> y[S,H]
 * Flops       S (8 H^2 + 2 H A + 8 H HeadSize) in products (primal; dual: dual.c); about 46 S H
 *             elementwise and, per mini-batch, 2 H HeadSize; S A sigmoid, S (2A + 1) rsqrt
 * Bytes       weights (16 H^2 bytes and little more), input and output once
 * State       W, b and the sums of the open mini-batch's gradients, 2 H (HeadSize + 1)
 * Inputs      x in [-1,1]; Wq, Wk, Wv in +-3/sqrt H, so that q, k, v have variance 1; Wlr in
 *             +-1/sqrt H, W0 in +-1/sqrt HeadSize; Wo in +-sqrt(3/H); gains in [0.9,1.1], biases
 *             in [-0.1,0.1]
 * Timed       everything from x to y. Not timed: drawing the inputs, RoPE's table
 * Sequential  what meets W, b: products, gradients, output norm
 * Source      Sun et al. 2024; ttt-lm-pytorch's TTTLinear with base rate 1 and no gate
 */
#include "common/reference.h"
#include "ttt.h"

static const double epsilon = 1e-6;

static const char *refuses(struct dims d)
{
    return d.H / d.A % 2 == 0 ? NULL : "HidSize / heads is odd: RoPE turns pairs";
}

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H, A = d.A, size = d.H / d.A;
    const float w = 1.0f / sqrtf((float)H), w0 = 1.0f / sqrtf((float)size);
    out[TTT_X] = (struct tensor){"x", INPUT, {S, H}, 0.0f, 1.0f};
    out[TTT_WQ] = (struct tensor){"Wq", PARAMETER, {H, H}, 0.0f, 3.0f * w};
    out[TTT_WK] = (struct tensor){"Wk", PARAMETER, {H, H}, 0.0f, 3.0f * w};
    out[TTT_WV] = (struct tensor){"Wv", PARAMETER, {H, H}, 0.0f, 3.0f * w};
    out[TTT_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, sqrtf(3.0f) * w};
    out[TTT_WLR] = (struct tensor){"Wlr", PARAMETER, {A, H}, 0.0f, w};
    out[TTT_BLR] = (struct tensor){"blr", PARAMETER, {A}, 0.0f, 0.1f};
    out[TTT_LN_G] = (struct tensor){"ln_g", PARAMETER, {A, size}, 1.0f, 0.1f};
    out[TTT_LN_B] = (struct tensor){"ln_b", PARAMETER, {A, size}, 0.0f, 0.1f};
    out[TTT_W0] = (struct tensor){"W0", PARAMETER, {A, size, size}, 0.0f, w0};
    out[TTT_B0] = (struct tensor){"b0", PARAMETER, {A, size}, 0.0f, 0.1f};
    out[TTT_POST_G] = (struct tensor){"post_g", PARAMETER, {H}, 1.0f, 0.1f};
    out[TTT_POST_B] = (struct tensor){"post_b", PARAMETER, {H}, 0.0f, 0.1f};
    out[TTT_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    return TTT_Y + 1;
}

/* RoPE 6H, gradient 18H + A, output norm with bias and residual 9H + A, post norm 7H + 1. */
struct cost ttt_common_cost(struct dims d)
{
    const int64_t S = d.S, H = d.H, A = d.A;
    return (struct cost){
        .multiply_adds = S * H * (4 * H + A),
        .elementwise = S * (40 * H + 3 * A + 1),
        .sigmoids = S * A,
        .rsqrts = S * (2 * A + 1),
        .sequential = S * (27 * H + 2 * A),
    };
}

/* Per token rate k, sums of gradients of b and z; per full mini-batch the update of W and b. */
static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H, size = d.H / d.A;
    struct cost cost = ttt_common_cost(d);
    const int64_t learning = 6 * SH + d.S / TTT_BATCH * 2 * d.H * (size + 1);
    cost.multiply_adds += 4 * SH * size;
    cost.elementwise += learning;
    cost.sequential += 8 * SH * size + learning;
    return cost;
}

static int64_t state(struct dims d)
{
    return 2 * d.H * (d.H / d.A + 1);
}

/* (z - mean) / deviation into hat; returns the deviation */
static double standardise(int64_t n, const double *z, double *hat)
{
    double mean = 0.0, variance = 0.0;
    for (int64_t i = 0; i < n; i++)
        mean += z[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += (z[i] - mean) * (z[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++)
        hat[i] = (z[i] - mean) / sqrt(variance + epsilon);
    return sqrt(variance + epsilon);
}

static void turn(int64_t size, int64_t position, double *x)
{
    for (int64_t d = 0; d < size; d += 2) {
        const double angle = (double)position * pow(10000.0, -(double)d / (double)size);
        const double even = x[d], odd = x[d + 1];
        x[d] = even * cos(angle) - odd * sin(angle);
        x[d + 1] = odd * cos(angle) + even * sin(angle);
    }
}

/* z = x W + b */
static void inner(int64_t n, const double *W, const double *b, const double *x, double *z)
{
    for (int64_t j = 0; j < n; j++) {
        z[j] = b[j];
        for (int64_t p = 0; p < n; p++)
            z[j] += x[p] * W[p * n + j];
    }
}

struct head {
    const double *gain, *bias; /* of the norm */
    double *W, *b;             /* at the start of the mini-batch */
    double *dW, *db;           /* sums of rate k^T g and rate g so far */
};

/* Token i of its mini-batch; q, k, v are one head's, turned. out = q + LN(q W_i + b_i). */
static void learn(int64_t n, const struct head *h, int64_t i, double rate, const double *q,
                  const double *k, const double *v, double *work, double *out)
{
    double *z = work, *hat = z + n, *e = hat + n;
    double sum = 0.0, along = 0.0;
    inner(n, h->W, h->b, k, z);
    const double deviation = standardise(n, z, hat);
    for (int64_t j = 0; j < n; j++) {
        e[j] = (h->gain[j] * hat[j] + h->bias[j] - (v[j] - k[j])) * h->gain[j];
        sum += e[j];
        along += e[j] * hat[j];
    }
    for (int64_t j = 0; j < n; j++) {
        const double g = ((double)n * e[j] - sum - hat[j] * along) / ((double)n * deviation);
        h->db[j] += rate * g;
        for (int64_t p = 0; p < n; p++)
            h->dW[p * n + j] += rate * k[p] * g;
    }
    const double share = 1.0 / (double)(i + 1);
    for (int64_t j = 0; j < n; j++) {
        z[j] = h->b[j] - share * h->db[j];
        for (int64_t p = 0; p < n; p++)
            z[j] += q[p] * (h->W[p * n + j] - share * h->dW[p * n + j]);
    }
    standardise(n, z, hat);
    for (int64_t j = 0; j < n; j++)
        out[j] = q[j] + h->gain[j] * hat[j] + h->bias[j];
}

static void close_batch(int64_t n, const struct head *h)
{
    for (int64_t j = 0; j < n * n; j++) {
        h->W[j] -= h->dW[j] / TTT_BATCH;
        h->dW[j] = 0.0;
    }
    for (int64_t j = 0; j < n; j++) {
        h->b[j] -= h->db[j] / TTT_BATCH;
        h->db[j] = 0.0;
    }
}

/* One token through all heads; qkv[3H] is projected, out[H]. */
static void mix(struct dims d, double *const t[], int64_t s, double *state_of_heads, double *qkv,
                double *work, double *out)
{
    const int64_t H = d.H, n = d.H / d.A;
    for (int64_t a = 0; a < d.A; a++) {
        double *W = state_of_heads + a * 2 * n * (n + 1), *b = W + n * n;
        const struct head head = {t[TTT_LN_G] + a * n, t[TTT_LN_B] + a * n, W, b, b + n,
                                  b + n + n * n};
        double *q = qkv + a * n, *k = q + H, *v = k + H, rate;
        rate = t[TTT_BLR][a] + reference_dot(H, t[TTT_WLR] + a * H, t[TTT_X] + s * H);
        rate = reference_sigmoid(rate) / (double)n;
        turn(n, s % TTT_BATCH, q);
        turn(n, s % TTT_BATCH, k);
        learn(n, &head, s % TTT_BATCH, rate, q, k, v, work, out + a * n);
        if (s % TTT_BATCH == TTT_BATCH - 1)
            close_batch(n, &head);
    }
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H, n = d.H / d.A, of_head = 2 * n * (n + 1);
    double *heads = calloc((size_t)(d.A * of_head + 8 * H), sizeof(double));
    if (!heads)
        abort();
    double *qkv = heads + d.A * of_head, *out = qkv + 3 * H, *work = out + H;
    for (int64_t a = 0; a < d.A; a++) {
        for (int64_t i = 0; i < n * n; i++)
            heads[a * of_head + i] = t[TTT_W0][a * n * n + i];
        for (int64_t i = 0; i < n; i++)
            heads[a * of_head + n * n + i] = t[TTT_B0][a * n + i];
    }
    for (int64_t s = 0; s < d.S; s++) {
        for (int part = 0; part < 3; part++)
            reference_linear(1, H, H, t[TTT_X] + s * H, t[TTT_WQ + part], NULL, qkv + part * H);
        mix(d, t, s, heads, qkv, work, out);
        standardise(H, out, work);
        for (int64_t i = 0; i < H; i++)
            out[i] = work[i] * t[TTT_POST_G][i] + t[TTT_POST_B][i];
        reference_linear(1, H, H, out, t[TTT_WO], NULL, t[TTT_Y] + s * H);
    }
    free(heads);
}

const struct layer ttt_layer = {
    .name = "ttt",
    .equation =
        "q, k, v = W. x; g = d/dz |LN(z) - (v - k)|^2 / 2 at z = k W + b; W = W - rate k g, "
        "b = b - rate g in mini-batches of 16; y = Wo LN(q + LN(q W + b))",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .refuses = refuses,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 2e-5,
};
