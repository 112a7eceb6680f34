/*
 * Transformer encoder block, bidirectional, post-norm, ReLU, FfnSize F = 4H, A heads.
 * Equation    q, k, v = Wqkv x + bqkv; per head P = softmax(Q K^T / sqrt(H/A)), context = P V
 *             x1 = LN1(x + Wo context + bo); y = LN2(x1 + W2 relu(W1 x1 + b1) + b2); epsilon 1e-5
 * Shapes      x[S,H] Wqkv[3H,H] Wo[H,H] W1[F,H] W2[H,F], biases and norms -> y[S,H]
 * Parameters  12 H^2 + 13 H
 * Job         block
 * Flops       24 S H^2 + 4 S^2 H in matrix products; S (17H + 2) + A S (4S - 2) + S F elementwise;
 *             A S^2 exp, 2 S rsqrt
 * Bytes       weights (48 H^2 bytes and little more), input and output once
 * State       none
 * Inputs      x in [-1,1]; matrices in +-1/sqrt(inputs of the map), as torch.nn.Linear draws them;
 *             gains in [0.9,1.1], biases of the norms in [-0.1,0.1]
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  nothing
 * Source      torch.nn.TransformerEncoderLayer with its defaults, dropout 0; Vaswani et al. 2017
 */
#include "common/reference.h"
#include "transformer.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H;
    out[TRANSFORMER_X] = (struct tensor){"x", INPUT, {S, H}, 0.0f, 1.0f};
    block_parameters(d, out + TRANSFORMER_PARAMETERS);
    out[TRANSFORMER_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    return TRANSFORMER_Y + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t S = d.S, H = d.H, A = d.A, F = BLOCK_FFN_FACTOR * d.H;
    return (struct cost){
        .multiply_adds = 4 * S * H * H + 2 * S * H * F + 2 * S * S * H,
        .elementwise = S * (17 * H + 2) + A * S * (4 * S - 2) + S * F,
        .exps = A * S * S,
        .rsqrts = 2 * S,
    };
}

static void add_and_norm(int64_t n, const double *a, const double *b, const double *gain,
                         const double *bias, double *out)
{
    double mean = 0.0, variance = 0.0;
    for (int64_t i = 0; i < n; i++)
        mean += (a[i] + b[i]) / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += pow(a[i] + b[i] - mean, 2) / (double)n;
    for (int64_t i = 0; i < n; i++)
        out[i] = (a[i] + b[i] - mean) / sqrt(variance + 1e-5) * gain[i] + bias[i];
}

static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * d.H;
    double *const *p = t + TRANSFORMER_PARAMETERS;
    double *qkv = reference_room(3 * S * H + S + 3 * H + F);
    double *weight = qkv + 3 * S * H, *context = weight + S, *branch = context + H;
    double *x1 = branch + H, *hidden = x1 + H;

    reference_linear(S, H, 3 * H, t[TRANSFORMER_X], p[BLOCK_WQKV], p[BLOCK_BQKV], qkv);
    for (int64_t s = 0; s < S; s++) {
        reference_attend(d.A, d.A, H / d.A, qkv, s, 0, S, weight, context);
        reference_linear(1, H, H, context, p[BLOCK_WO], p[BLOCK_BO], branch);
        add_and_norm(H, t[TRANSFORMER_X] + s * H, branch, p[BLOCK_LN1_G], p[BLOCK_LN1_B], x1);
        reference_linear(1, H, F, x1, p[BLOCK_W1], p[BLOCK_B1], hidden);
        for (int64_t i = 0; i < F; i++)
            hidden[i] = fmax(hidden[i], 0.0);
        reference_linear(1, F, H, hidden, p[BLOCK_W2], p[BLOCK_B2], branch);
        add_and_norm(H, x1, branch, p[BLOCK_LN2_G], p[BLOCK_LN2_B], t[TRANSFORMER_Y] + s * H);
    }
    free(qkv);
}

const struct layer transformer_layer = {
    .name = "transformer",
    .job = JOB_BLOCK,
    .job_source = "Vaswani et al. 2017, arXiv:1706.03762",
    .equation = "x1 = LN(x + Wo softmax(Q K^T / sqrt(H/A)) V); y = LN(x1 + W2 relu(W1 x1))",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 8e-6,
};
