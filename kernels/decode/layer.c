/*
 * Decode: one new token of the GPT block against the keys and values of the tokens before it.
 * Equation    q, k, v = Wqkv LN1(x) + bqkv; per head p = softmax of q k_j / sqrt(H/A) over the
 *             S - 1 cached keys and k; context = sum_j p_j v_j; x1 = x + Wo context + bo;
 *             y = x1 + W2 gelu(W1 LN2(x1) + b1) + b2, gelu and epsilon as in the gpt layer
 * Shapes      x[H] k_cache[A,S,H/A] v_cache[A,S,H/A], parameters of the gpt layer
 *             -> y[H] k_new[H] v_new[H]. SeqLen S is the number of keys, the new one included. A
 *             head's keys are one contiguous block, its values another; the last place of each is
 *             the new token's: it is neither read nor written, so that a run can be repeated
 * Parameters  12 H^2 + 13 H
 * Job         block
 * Flops       24 H^2 + 4 S H in matrix-vector products; 17H + 2 + A (4S - 2) + 8F elementwise;
 *             A S exp, F tanh, 2 rsqrt
 * Bytes       weights and both caches once (8 S H bytes): no byte is used twice
 * State       the caches: 2 S H floats
 * Inputs      x and caches in [-1,1], as large as the keys and values that LN1(x) gives; parameters
 *             as block.h draws them
 * Timed       one token, from x to y, k_new and v_new. Not timed: copying the new key and value
 *             into the caches (2 H floats)
 * Sequential  all of it: the next token needs y
 * Source      GPT-2 (Radford et al. 2019), generation with a cache
 */
#include <string.h>

#include "common/reference.h"
#include "decode.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H, size = d.H / d.A;
    out[DECODE_X] = (struct tensor){"x", INPUT, {H}, 0.0f, 1.0f};
    out[DECODE_K_CACHE] = (struct tensor){"k_cache", INPUT, {d.A, S, size}, 0.0f, 1.0f};
    out[DECODE_V_CACHE] = (struct tensor){"v_cache", INPUT, {d.A, S, size}, 0.0f, 1.0f};
    block_parameters(H, out + DECODE_PARAMETERS);
    out[DECODE_Y] = (struct tensor){"y", OUTPUT, {H}, 0.0f, 0.0f};
    out[DECODE_K_NEW] = (struct tensor){"k_new", OUTPUT, {H}, 0.0f, 0.0f};
    out[DECODE_V_NEW] = (struct tensor){"v_new", OUTPUT, {H}, 0.0f, 0.0f};
    return DECODE_V_NEW + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * d.H;
    struct cost cost = {
        .multiply_adds = 4 * H * H + 2 * H * F + 2 * S * H,
        .elementwise = 17 * H + 2 + d.A * (4 * S - 2) + 8 * F,
        .exps = d.A * S,
        .tanhs = F,
        .rsqrts = 2,
        .streamed_weights = 4 * H * H + 2 * H * F,
        .streamed_floats = 9 * H + F + 2 * (S - 1) * H,
    };
    cost.sequential = 2 * cost.multiply_adds + cost.elementwise;
    return cost;
}

static int64_t state(struct dims d)
{
    return 2 * d.S * d.H;
}

/* Context of one head of size channels; weight[S] is scratch. */
static void attend(int64_t S, int64_t size, const double *q, const double *k_cache,
                   const double *v_cache, const double *k_new, const double *v_new, double *weight,
                   double *context)
{
    double sum = 0.0;
    for (int64_t j = 0; j < S; j++) {
        const double *k = j < S - 1 ? k_cache + j * size : k_new;
        double score = 0.0;
        for (int64_t c = 0; c < size; c++)
            score += q[c] * k[c] / sqrt((double)size);
        weight[j] = exp(score); /* scores of a check stay far below 700 */
        sum += weight[j];
    }
    for (int64_t c = 0; c < size; c++) {
        context[c] = 0.0;
        for (int64_t j = 0; j < S; j++)
            context[c] += weight[j] / sum * (j < S - 1 ? v_cache[j * size + c] : v_new[c]);
    }
}

static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * d.H, size = d.H / d.A;
    double *const *p = t + DECODE_PARAMETERS, *y = t[DECODE_Y];
    double *qkv = reference_room(6 * H + S + F);
    double *normed = qkv + 3 * H, *context = normed + H, *branch = context + H;
    double *weight = branch + H, *hidden = weight + S;

    reference_layer_norm(H, t[DECODE_X], p[BLOCK_LN1_G], p[BLOCK_LN1_B], normed);
    reference_linear(1, H, 3 * H, normed, p[BLOCK_WQKV], p[BLOCK_BQKV], qkv);
    for (int64_t c = 0; c < H; c++) {
        t[DECODE_K_NEW][c] = qkv[H + c];
        t[DECODE_V_NEW][c] = qkv[2 * H + c];
    }
    for (int64_t first = 0; first < H; first += size)
        attend(S, size, qkv + first, t[DECODE_K_CACHE] + first * S, t[DECODE_V_CACHE] + first * S,
               qkv + H + first, qkv + 2 * H + first, weight, context + first);
    reference_linear(1, H, H, context, p[BLOCK_WO], p[BLOCK_BO], branch);
    for (int64_t i = 0; i < H; i++)
        y[i] = t[DECODE_X][i] + branch[i];
    reference_layer_norm(H, y, p[BLOCK_LN2_G], p[BLOCK_LN2_B], normed);
    reference_linear(1, H, F, normed, p[BLOCK_W1], p[BLOCK_B1], hidden);
    for (int64_t i = 0; i < F; i++)
        hidden[i] = reference_gelu_tanh(hidden[i]);
    reference_linear(1, F, H, hidden, p[BLOCK_W2], p[BLOCK_B2], branch);
    for (int64_t i = 0; i < H; i++)
        y[i] += branch[i];
    free(qkv);
}

/* The new key and value take the place of the oldest ones: the caches hold a window of S - 1. */
static void carry(struct instance *in, int64_t run_number)
{
    const struct dims d = in->dims;
    const int64_t size = d.H / d.A;
    if (d.S == 1)
        return;
    for (int64_t head = 0; head < d.A; head++) {
        const int64_t at = (head * d.S + run_number % (d.S - 1)) * size;
        memcpy(in->t[DECODE_K_CACHE] + at, in->t[DECODE_K_NEW] + head * size,
               (size_t)size * sizeof(float));
        memcpy(in->t[DECODE_V_CACHE] + at, in->t[DECODE_V_NEW] + head * size,
               (size_t)size * sizeof(float));
    }
}

const struct layer decode_layer = {
    .name = "decode",
    .job = JOB_BLOCK,
    .job_source = "Radford et al. 2019",
    .equation = "one token: x1 = x + Wo softmax(q K^T / sqrt(H/A)) V over S keys; "
                "y = x1 + W2 gelu(W1 LN(x1))",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .one_token = true,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
