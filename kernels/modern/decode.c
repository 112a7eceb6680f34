/*
 * Modern decode: one new token of the modern block against the keys and values of the tokens before
 * it.
 * Equation    as the modern layer for the token at position S - 1; the keys of the cache are rotated
 * Shapes      x[H] k_cache[G,S,H/A] v_cache[G,S,H/A], parameters of the modern layer
 *             -> y[H] k_new[K] v_new[K], K = G H/A. SeqLen S is the number of keys, the new one
 *             included; the last place of each cache is the new token's: it is neither read nor
 *             written, so that a run can be repeated
 * Parameters  2 H^2 + 2 K H + 3 F H + 2 H
 * Job         block
 * Flops       with W = S unless it is given: 4 H^2 + 4 K H + 6 F H + 4 W H in matrix-vector
 *             products; 11 H + 3 K + 2 F + 2 + A (4W - 2) elementwise; A W exp, F sigmoid, 2 rsqrt
 * Bytes       weights and the window of both caches once (8 W K bytes): no byte is used twice
 * State       the window of the caches: 2 W K floats; in a stream every token is at position S - 1,
 *             which takes as long as any other
 * Inputs      x and caches in [-1,1]; parameters as the modern layer's
 * Timed       one token, from x to y, k_new and v_new. Not timed: cos and sin of the position,
 *             copying the new key and value into the caches (2 K floats)
 * Sequential  all of it: the next token needs y
 * Source      LLaMA (Touvron et al. 2023), generation with a cache
 */
#include <string.h>

#include "common/attend_one.h"
#include "common/reference.h"
#include "modern.h"

static int tensors(struct dims given, struct tensor out[TENSOR_MAX])
{
    const struct dims d = modern_dims(given);
    const int64_t size = d.H / d.A, K = kv_channels(d);
    out[MODERN_DECODE_X] = (struct tensor){"x", INPUT, {d.H}, 0.0f, 1.0f};
    out[MODERN_DECODE_K_CACHE] = (struct tensor){"k_cache", INPUT, {d.G, d.S, size}, 0.0f, 1.0f};
    out[MODERN_DECODE_V_CACHE] = (struct tensor){"v_cache", INPUT, {d.G, d.S, size}, 0.0f, 1.0f};
    modern_parameters(d, out + MODERN_DECODE_PARAMETERS);
    out[MODERN_DECODE_Y] = (struct tensor){"y", OUTPUT, {d.H}, 0.0f, 0.0f};
    out[MODERN_DECODE_K_NEW] = (struct tensor){"k_new", OUTPUT, {K}, 0.0f, 0.0f};
    out[MODERN_DECODE_V_NEW] = (struct tensor){"v_new", OUTPUT, {K}, 0.0f, 0.0f};
    return MODERN_DECODE_V_NEW + 1;
}

static struct cost cost(struct dims given)
{
    const struct dims d = modern_dims(given);
    const int64_t H = d.H, F = modern_ffn(d), seen = seen_keys(d);
    struct cost cost = modern_token_cost(d);
    cost.streamed_weights = cost.multiply_adds;
    cost.multiply_adds += 2 * seen * H;
    cost.elementwise += d.A * (4 * seen - 2);
    cost.exps = d.A * seen;
    cost.streamed_floats = qkv_channels(d) + 4 * H + 2 * F + 2 * attend_one_cached(d);
    cost.sequential = 2 * cost.multiply_adds + cost.elementwise;
    return cost;
}

static int64_t state(struct dims d)
{
    return 2 * seen_keys(d) * kv_channels(modern_dims(d));
}

static void reference(struct dims given, double *const t[])
{
    const struct dims d = modern_dims(given);
    const int64_t S = d.S, H = d.H, K = kv_channels(d), size = H / d.A;
    double *const *p = t + MODERN_DECODE_PARAMETERS;
    double *qkv = reference_room(H + 2 * K + S + H + modern_reference_room(d));
    double *weight = qkv + H + 2 * K, *context = weight + S, *room = context + H;
    modern_reference_row(d, p, S - 1, t[MODERN_DECODE_X], room, qkv);
    memcpy(t[MODERN_DECODE_K_NEW], qkv + H, (size_t)K * sizeof(double));
    memcpy(t[MODERN_DECODE_V_NEW], qkv + H + K, (size_t)K * sizeof(double));
    for (int64_t head = 0; head < d.A; head++) {
        const int64_t k = head / (d.A / d.G) * size;
        reference_attend_one(d.W > 0 && d.W < S ? S - d.W : 0, S, size, qkv + head * size,
                             t[MODERN_DECODE_K_CACHE] + k * S, t[MODERN_DECODE_V_CACHE] + k * S,
                             t[MODERN_DECODE_K_NEW] + k, t[MODERN_DECODE_V_NEW] + k, weight,
                             context + head * size);
    }
    modern_reference_finish(d, p, t[MODERN_DECODE_X], context, room, t[MODERN_DECODE_Y]);
    free(qkv);
}

/* The new key and value take the place of the oldest ones: the caches hold a window less one. */
static void carry(struct instance *in, int64_t run_number)
{
    attend_one_carry(modern_dims(in->dims), run_number, in->t[MODERN_DECODE_K_NEW],
                     in->t[MODERN_DECODE_V_NEW], in->t[MODERN_DECODE_K_CACHE],
                     in->t[MODERN_DECODE_V_CACHE]);
}

const struct layer modern_decode_layer = {
    .name = "modern_decode",
    .job = JOB_BLOCK,
    .job_source = "Touvron et al. 2023, arXiv:2302.13971",
    .equation = "one token: x1 = x + Wo softmax(R(q) R(K)^T / sqrt(H/A)) V over S keys; "
                "y = x1 + Wdown (silu(Wgate RMS(x1)) Wup RMS(x1))",
    .cells = CELLS_GRID,
    .uses = USES(A) | USES(G) | USES(W) | USES(F),
    .one_token = true,
    .refuses = modern_refuses,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};

static const struct map maps[MODERN_MAPS] = MODERN_MAP_TABLE(MODERN_DECODE_PARAMETERS, true);

enum { NORMED, QKV, PROBS, CONTEXT, HIDDEN };

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    return modern_angles(d, 1, out);
}

static void prepare(struct instance *in)
{
    modern_fill_angles(in, in->dims.S - 1, 1);
}

static int scratch(struct dims given, struct tensor out[SCRATCH_MAX])
{
    const struct dims d = modern_dims(given);
    out[NORMED] = (struct tensor){.name = "normed", .shape = {d.B, d.H}};
    out[QKV] = (struct tensor){.name = "qkv", .shape = {d.B, qkv_channels(d)}};
    out[PROBS] = (struct tensor){.name = "probs", .shape = {attend_one_scratch(d)}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.B, d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {d.B, 2 * modern_ffn(d)}};
    return HIDDEN + 1;
}

static void run(const struct instance *in)
{
    const struct dims d = modern_dims(in->dims);
    const int64_t K = kv_channels(d), cache = d.S * K;
    float *const *s = in->scratch;
    modern_begin(in, MODERN_DECODE_PARAMETERS, d.B, 1, in->t[MODERN_DECODE_X], s[NORMED], s[QKV]);
    for (int64_t b = 0; b < d.B; b++) {
        float *qkv = s[QKV] + b * qkv_channels(d);
        memcpy(in->t[MODERN_DECODE_K_NEW] + b * K, qkv + d.H, (size_t)K * sizeof(float));
        memcpy(in->t[MODERN_DECODE_V_NEW] + b * K, qkv + d.H + K, (size_t)K * sizeof(float));
        attend_one(d, qkv, in->t[MODERN_DECODE_K_CACHE] + b * cache,
                   in->t[MODERN_DECODE_V_CACHE] + b * cache, s[PROBS], s[CONTEXT] + b * d.H);
    }
    modern_finish(in, MODERN_DECODE_PARAMETERS, d.B, in->t[MODERN_DECODE_X], s[CONTEXT], s[NORMED],
                  s[HIDDEN], in->t[MODERN_DECODE_Y]);
}

const struct algorithm modern_decode_cached = {
    .name = "modern_decode/cached",
    .method = "one token: keys, then values of the heads that share them streamed once",
    .layer = &modern_decode_layer,
    .batch_rows = BATCH_TOGETHER,
    .products = PRODUCTS_STEP,
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
