/*
 * GPT block: causal, pre-norm, GELU in its tanh form, FfnSize F = 4H, A heads; G heads of keys and
 * values (A unless given, then A / G heads share one), a window of W keys (S unless given).
 * Equation    q, k, v = Wqkv LN1(x) + bqkv; token s of a head: p = softmax over s - W < j <= s of
 *             q_s k_j / sqrt(H/A), context_s = sum_j p_j v_j; x1 = x + Wo context + bo;
 *             y = x1 + W2 gelu(W1 LN2(x1) + b1) + b2; epsilon 1e-5
 *             gelu(a) = a/2 (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3)))
 * Shapes      x[S,H] Wqkv[H+2K,H] Wo[H,H] W1[F,H] W2[H,F], biases and norms -> y[S,H];
 *             K = G H/A channels of keys, of values: H unless G is given
 * Parameters  10 H^2 + 2 K H + 11 H + 2 K; without G 12 H^2 + 13 H
 * Job         block
 * Flops       20 S H^2 + 4 S K H + 4 S^2 H in matrix products (tiled: less, see there);
 *             S (17H + 2) + A (4 P - 2 S) + 8 S F elementwise; A P exp, S F tanh, 2 S rsqrt;
 *             P pairs of a token and one that it sees: S (S + 1) / 2 without a window
 * Bytes       weights (48 H^2 bytes and little more), input and output once
 * State       keys and values of the tokens in the window: 2 W K floats
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
    block_parameters(d, out + GPT_PARAMETERS);
    out[GPT_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return GPT_Y + 1;
}

struct cost gpt_cost(struct dims d, int64_t pairs)
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * d.H;
    const int64_t seen = attention_causal_pairs(d, 1);
    return (struct cost){
        .multiply_adds = S * H * (qkv_channels(d) + H + 2 * F) + 2 * pairs * H,
        .elementwise = S * (17 * H + 2) + d.A * (4 * seen - 2 * S) + 8 * S * F,
        .exps = d.A * seen,
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
    return 2 * seen_keys(d) * kv_channels(d);
}

static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * d.H, row = qkv_channels(d);
    double *const *p = t + GPT_PARAMETERS;
    double *qkv = reference_room(S * row + S + 3 * H + F);
    double *weight = qkv + S * row, *normed = weight + S, *context = normed + H;
    double *branch = context + H, *hidden = branch + H;

    for (int64_t s = 0; s < S; s++) {
        const double *x = t[GPT_X] + s * H;
        double *y = t[GPT_Y] + s * H;
        reference_layer_norm(H, x, p[BLOCK_LN1_G], p[BLOCK_LN1_B], normed);
        reference_linear(1, H, row, normed, p[BLOCK_WQKV], p[BLOCK_BQKV], qkv + s * row);
        reference_attend(d.A, kv_heads(d), H / d.A, qkv, s,
                         d.W > 0 && s > d.W - 1 ? s - d.W + 1 : 0, s + 1, weight, context);
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
    .uses = USES(A) | USES(G) | USES(W),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 1e-5,
};
