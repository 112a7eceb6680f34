/*
 * GPT block: causal, pre-norm, GELU in its tanh form, FfnSize F = 4H, A heads.
 * Equation    q, k, v = Wqkv LN1(x) + bqkv; token s of a head: p = softmax over j <= s of
 *             q_s k_j / sqrt(H/A), context_s = sum_j p_j v_j; x1 = x + Wo context + bo;
 *             y = x1 + W2 gelu(W1 LN2(x1) + b1) + b2; epsilon 1e-5
 *             gelu(a) = a/2 (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3)))
 * Shapes      x[S,H] Wqkv[3H,H] Wo[H,H] W1[F,H] W2[H,F], biases and norms -> y[S,H]
 * Parameters  12 H^2 + 13 H
 * Job         block
 * Flops       24 S H^2 + 4 S^2 H in matrix products (tiled: less, see there);
 *             S (17H + 2) + 2 A S^2 + 8 S F elementwise; A S (S + 1) / 2 exp, S F tanh, 2 S rsqrt
 * Bytes       weights (48 H^2 bytes and little more), input and output once
 * State       keys and values of all tokens: 2 S H floats
 * Inputs      x in [-1,1]; parameters as block.h draws them
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  nothing
 * Source      GPT-2 (Radford et al. 2019): the block without the final norm; W[out][in] here
 */
#include "common/reference.h"
#include "gpt.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[GPT_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    block_parameters(d.H, out + GPT_PARAMETERS);
    out[GPT_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return GPT_Y + 1;
}

struct cost gpt_cost(struct dims d, int64_t pairs)
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * d.H;
    return (struct cost){
        .multiply_adds = 4 * S * H * H + 2 * S * H * F + 2 * pairs * H,
        .elementwise = S * (17 * H + 2) + 2 * d.A * S * S + 8 * S * F,
        .exps = d.A * S * (S + 1) / 2,
        .tanhs = S * F,
        .rsqrts = 2 * S,
    };
}

static struct cost cost(struct dims d)
{
    return gpt_cost(d, d.S * d.S);
}

static int64_t state(struct dims d)
{
    return 2 * d.S * d.H;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * d.H;
    double *const *p = t + GPT_PARAMETERS;
    double *qkv = reference_room(3 * S * H + S + 3 * H + F);
    double *weight = qkv + 3 * S * H, *normed = weight + S, *context = normed + H;
    double *branch = context + H, *hidden = branch + H;

    for (int64_t s = 0; s < S; s++) {
        const double *x = t[GPT_X] + s * H;
        double *y = t[GPT_Y] + s * H;
        reference_layer_norm(H, x, p[BLOCK_LN1_G], p[BLOCK_LN1_B], normed);
        reference_linear(1, H, 3 * H, normed, p[BLOCK_WQKV], p[BLOCK_BQKV], qkv + s * 3 * H);
        reference_attend(H, H / d.A, qkv, s, s + 1, weight, context);
        reference_linear(1, H, H, context, p[BLOCK_WO], p[BLOCK_BO], branch);
        for (int64_t i = 0; i < H; i++)
            y[i] = x[i] + branch[i];
        reference_layer_norm(H, y, p[BLOCK_LN2_G], p[BLOCK_LN2_B], normed);
        reference_linear(1, H, F, normed, p[BLOCK_W1], p[BLOCK_B1], hidden);
        for (int64_t i = 0; i < F; i++)
            hidden[i] = reference_gelu_tanh(hidden[i]);
        reference_linear(1, F, H, hidden, p[BLOCK_W2], p[BLOCK_B2], branch);
        for (int64_t i = 0; i < H; i++)
            y[i] += branch[i];
    }
    free(qkv);
}

const struct layer gpt_layer = {
    .name = "gpt",
    .job = JOB_BLOCK,
    .job_source = "Radford et al. 2019",
    .equation = "x1 = x + Wo causal softmax(Q K^T / sqrt(H/A)) V; y = x1 + W2 gelu(W1 LN(x1))",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 1e-5,
};
