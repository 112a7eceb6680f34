/*
 * Decode: one new token of the GPT block against the keys and values of the tokens before it.
 * Equation    q, k, v = Wqkv LN1(x) + bqkv; per head p = softmax of q k_j / sqrt(H/A) over the
 *             last W - 1 of the S - 1 cached keys and k; context = sum_j p_j v_j;
 *             x1 = x + Wo context + bo; y = x1 + W2 gelu(W1 LN2(x1) + b1) + b2, gelu and epsilon as
 *             in the gpt layer, and as there G heads of keys and values, a window of W keys
 * Shapes      x[H] k_cache[G,S,H/A] v_cache[G,S,H/A], parameters of the gpt layer
 *             -> y[H] k_new[K] v_new[K], K = G H/A. SeqLen S is the number of keys, the new one
 *             included. A head's keys are one contiguous block, its values another; the last place
 *             of each is the new token's: it is neither read nor written, so that a run can be
 *             repeated
 * Parameters  10 H^2 + 2 K H + 11 H + 2 K; without G 12 H^2 + 13 H
 * Job         block
 * Flops       with W = S unless it is given: 20 H^2 + 4 K H + 4 W H in matrix-vector products;
 *             17H + 2 + A (4W - 2) + 8F elementwise; A W exp, F tanh, 2 rsqrt
 * Bytes       weights and the window of both caches once (8 W K bytes): no byte is used twice
 * State       the window of the caches: 2 W K floats
 * Inputs      x and caches in [-1,1], as large as the keys and values that LN1(x) gives; parameters
 *             as block.h draws them
 * Timed       one token, from x to y, k_new and v_new. Not timed: copying the new key and value
 *             into the caches (2 K floats)
 * Sequential  all of it: the next token needs y
 * Source      GPT-2 (Radford et al. 2019), generation with a cache
 */
#include "common/reference.h"
#include "decode.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H, size = d.H / d.A;
    out[DECODE_X] = (struct tensor){"x", INPUT, {H}, 0.0f, 1.0f};
    out[DECODE_K_CACHE] = (struct tensor){"k_cache", INPUT, {kv_heads(d), S, size}, 0.0f, 1.0f};
    out[DECODE_V_CACHE] = (struct tensor){"v_cache", INPUT, {kv_heads(d), S, size}, 0.0f, 1.0f};
    block_parameters(d, out + DECODE_PARAMETERS);
    out[DECODE_Y] = (struct tensor){"y", OUTPUT, {H}, 0.0f, 0.0f};
    out[DECODE_K_NEW] = (struct tensor){"k_new", OUTPUT, {kv_channels(d)}, 0.0f, 0.0f};
    out[DECODE_V_NEW] = (struct tensor){"v_new", OUTPUT, {kv_channels(d)}, 0.0f, 0.0f};
    return DECODE_V_NEW + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t H = d.H, F = BLOCK_FFN_FACTOR * d.H, seen = seen_keys(d), row = qkv_channels(d);
    struct cost cost = {
        .multiply_adds = (row + H) * H + 2 * H * F + 2 * seen * H,
        .elementwise = 17 * H + 2 + d.A * (4 * seen - 2) + 8 * F,
        .exps = d.A * seen,
        .tanhs = F,
        .rsqrts = 2,
        .streamed_weights = (row + H) * H + 2 * H * F,
        .streamed_floats = row + 6 * H + F + 2 * attend_one_cached(d),
    };
    cost.sequential = 2 * cost.multiply_adds + cost.elementwise;
    return cost;
}

static int64_t state(struct dims d)
{
    return 2 * seen_keys(d) * kv_channels(d);
}

static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H, F = BLOCK_FFN_FACTOR * d.H, size = d.H / d.A;
    double *const *p = t + DECODE_PARAMETERS, *y = t[DECODE_Y];
    const int64_t kv = kv_channels(d), shared = d.A / kv_heads(d);
    double *qkv = reference_room(3 * H + 2 * kv + H + S + F);
    double *normed = qkv + H + 2 * kv, *context = normed + H, *branch = context + H;
    double *weight = branch + H, *hidden = weight + S;

    reference_layer_norm(H, t[DECODE_X], p[BLOCK_LN1_G], p[BLOCK_LN1_B], normed);
    reference_linear(1, H, H + 2 * kv, normed, p[BLOCK_WQKV], p[BLOCK_BQKV], qkv);
    for (int64_t c = 0; c < kv; c++) {
        t[DECODE_K_NEW][c] = qkv[H + c];
        t[DECODE_V_NEW][c] = qkv[H + kv + c];
    }
    for (int64_t head = 0; head < d.A; head++) {
        const int64_t k = head / shared * size;
        reference_attend_one(d.W > 0 && d.W < S ? S - d.W : 0, S, size, qkv + head * size,
                             t[DECODE_K_CACHE] + k * S, t[DECODE_V_CACHE] + k * S,
                             t[DECODE_K_NEW] + k, t[DECODE_V_NEW] + k, weight,
                             context + head * size);
    }
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

/* The new key and value take the place of the oldest ones: the caches hold a window less one. */
static void carry(struct instance *in, int64_t run_number)
{
    attend_one_carry(in->dims, run_number, in->t[DECODE_K_NEW], in->t[DECODE_V_NEW],
                     in->t[DECODE_K_CACHE], in->t[DECODE_V_CACHE]);
}

const struct layer decode_layer = {
    .name = "decode",
    .job = JOB_BLOCK,
    .job_source = "Radford et al. 2019",
    .equation = "one token: x1 = x + Wo softmax(q K^T / sqrt(H/A)) V over S keys; "
                "y = x1 + W2 gelu(W1 LN(x1))",
    .cells = CELLS_GRID,
    .uses = USES(A) | USES(G) | USES(W),
    .one_token = true,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
