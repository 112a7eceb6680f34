/*
 * Attention alone: the mixer of a Transformer block, A heads, bidirectional or causal.
 * Equation    q, k, v = Wqkv x + bqkv; per head P = softmax(Q K^T / sqrt(H/A)), context = P V;
 *             y = Wo context + bo. Causal: token s sees tokens 0 .. s
 * Shapes      x[S,H] Wqkv[3H,H] bqkv[3H] Wo[H,H] bo[H] -> y[S,H]
 * Parameters  4 H^2 + 4 H
 * Job         mixer
 * Flops       8 S H^2 + 4 S^2 H in matrix products (causal, tiled: less, see there);
 *             S H + A S (4S - 2) elementwise, A S^2 exp; causal S H + 2 A S^2, A S (S + 1) / 2
 * Bytes       weights (16 H^2 bytes and little more), input and output once
 * State       bidirectional none; causal keys and values of all tokens: 2 S H floats
 * Inputs      x in [-1,1]; matrices and biases in [-1/sqrt H, 1/sqrt H] as torch.nn.Linear draws
 *             them
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  nothing
 * Source      torch.nn.MultiheadAttention; Vaswani et al. 2017, arXiv:1706.03762
 */
#include "attention_layer.h"
#include "common/reference.h"

const struct map attention_maps[ATTENTION_MAPS] = {
    [ATTENTION_OF_QKV] = {ATTENTION_WQKV, .bias = ATTENTION_BQKV},
    [ATTENTION_OF_OUTPUT] = {ATTENTION_WO, .bias = ATTENTION_BO},
};

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H;
    const float w = 1.0f / sqrtf((float)H);
    out[ATTENTION_X] = (struct tensor){"x", INPUT, {S, H}, 0.0f, 1.0f};
    out[ATTENTION_WQKV] = (struct tensor){"Wqkv", PARAMETER, {3 * H, H}, 0.0f, w};
    out[ATTENTION_BQKV] = (struct tensor){"bqkv", PARAMETER, {3 * H}, 0.0f, w};
    out[ATTENTION_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, w};
    out[ATTENTION_BO] = (struct tensor){"bo", PARAMETER, {H}, 0.0f, w};
    out[ATTENTION_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    return ATTENTION_Y + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t S = d.S, H = d.H;
    return (struct cost){
        .multiply_adds = 4 * S * H * H + 2 * S * S * H,
        .elementwise = S * H + d.A * S * (4 * S - 2),
        .exps = d.A * S * S,
    };
}

struct cost causal_attention_cost(struct dims d, int64_t pairs)
{
    const int64_t S = d.S, H = d.H;
    return (struct cost){
        .multiply_adds = 4 * S * H * H + 2 * pairs * H,
        .elementwise = S * H + 2 * d.A * S * S,
        .exps = d.A * S * (S + 1) / 2,
    };
}

static struct cost causal_cost(struct dims d)
{
    return causal_attention_cost(d, d.S * d.S);
}

static int64_t causal_state(struct dims d)
{
    return 2 * d.S * d.H;
}

static void compute(struct dims d, double *const t[], bool causal)
{
    const int64_t S = d.S, H = d.H;
    double *qkv = reference_room(3 * S * H + S + H);
    double *weight = qkv + 3 * S * H, *context = weight + S;
    reference_linear(S, H, 3 * H, t[ATTENTION_X], t[ATTENTION_WQKV], t[ATTENTION_BQKV], qkv);
    for (int64_t s = 0; s < S; s++) {
        reference_attend(d.A, d.A, H / d.A, qkv, s, 0, causal ? s + 1 : S, weight, context);
        reference_linear(1, H, H, context, t[ATTENTION_WO], t[ATTENTION_BO],
                         t[ATTENTION_Y] + s * H);
    }
    free(qkv);
}

static void reference(struct dims d, double *const t[])
{
    compute(d, t, false);
}

static void causal_reference(struct dims d, double *const t[])
{
    compute(d, t, true);
}

const struct layer attention_layer = {
    .name = "attention",
    .job = JOB_MIXER,
    .job_source = "Vaswani et al. 2017, arXiv:1706.03762",
    .equation = "y = Wo softmax(Q K^T / sqrt(H/A)) V; Q, K, V = Wqkv x",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 4e-6,
};

const struct layer causal_attention_layer = {
    .name = "causal_attention",
    .job = JOB_MIXER,
    .job_source = "Vaswani et al. 2017, arXiv:1706.03762",
    .equation = "y = Wo causal softmax(Q K^T / sqrt(H/A)) V; Q, K, V = Wqkv x",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = tensors,
    .cost = causal_cost,
    .state = causal_state,
    .reference = causal_reference,
    .tolerance = 4e-6,
};
