/*
 * Modern block: causal, RMS norms before, rotated positions, G heads of keys and values that the A
 * heads of queries share, SwiGLU; no biases.
 * Equation    n = RMS(x) n1; q = Wq n, k = Wk n, v = Wv n, q and k rotated by their position; head a
 *             uses number floor(a G / A) of k and v; x1 = x + Wo causal softmax(q k^T / sqrt(H/A)) v;
 *             m = RMS(x1) n2; y = x1 + Wdown (silu(Wgate m) Wup m); epsilon 1e-6; token s sees the
 *             last W keys, all where W is not given. Rotated: channels i and i + H/2A of a head by
 *             the angle position 10000^(-2i A/H)
 * Shapes      x[S,H] n1[H] Wq[H,H] Wk[K,H] Wv[K,H] Wo[H,H] n2[H] Wgate[F,H] Wup[F,H] Wdown[H,F]
 *             -> y[S,H]; K = G H/A; unless they are given G = A/4 where 4 divides A, else 1, and
 *             F = 8H/3 rounded up to a multiple of 32
 * Parameters  2 H^2 + 2 K H + 3 F H + 2 H
 * Job         block
 * Flops       S (4 H^2 + 4 K H + 6 F H) + 4 H times pairs in matrix products, pairs as in the gpt
 *             layer; S (11 H + 3 K + 2 F + 2) + 2 A pairs elementwise; A exp per pair that is seen,
 *             S F sigmoid, 2 S rsqrt
 * Bytes       weights, input and output once
 * State       keys and values of all tokens, or of a window: 2 min(S, W) K floats
 * Inputs      x in [-1,1]; matrices in +-1/sqrt(inputs of the map), as torch.nn.Linear draws them;
 *             gains in [0.9,1.1]
 * Timed       everything from x to y. Not timed: drawing the inputs, cos and sin of the positions
 * Sequential  nothing
 * Source      Touvron et al. 2023, arXiv:2302.13971 (LLaMA), with the shared heads of Ainslie et al.
 *             2023, arXiv:2305.13245
 */
#include "common/reference.h"
#include "modern.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[MODERN_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    modern_parameters(d, out + MODERN_PARAMETERS);
    out[MODERN_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return MODERN_Y + 1;
}

struct cost modern_cost(struct dims d, int64_t pairs)
{
    struct cost cost = modern_token_cost(d);
    cost.multiply_adds = d.S * cost.multiply_adds + 2 * pairs * d.H;
    cost.elementwise = d.S * cost.elementwise + 2 * d.A * pairs;
    cost.exps = d.A * attention_causal_pairs(d, 1);
    cost.sigmoids *= d.S;
    cost.rsqrts *= d.S;
    return cost;
}

static struct cost cost(struct dims d)
{
    return modern_cost(d, d.S * d.S);
}

static int64_t state(struct dims d)
{
    return 2 * seen_keys(d) * kv_channels(modern_dims(d));
}

static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H, G = modern_dims(d).G, row = qkv_channels(modern_dims(d));
    double *const *p = t + MODERN_PARAMETERS;
    double *qkv = reference_room(S * row + S + H + modern_reference_room(d));
    double *weight = qkv + S * row, *context = weight + S, *room = context + H;
    for (int64_t s = 0; s < S; s++) {
        const double *x = t[MODERN_X] + s * H;
        modern_reference_row(d, p, s, x, room, qkv + s * row);
        reference_attend(d.A, G, H / d.A, qkv, s, d.W > 0 && d.W <= s ? s + 1 - d.W : 0, s + 1,
                         weight, context);
        modern_reference_finish(d, p, x, context, room, t[MODERN_Y] + s * H);
    }
    free(qkv);
}

const struct layer modern_layer = {
    .name = "modern",
    .job = JOB_BLOCK,
    .job_source = "Touvron et al. 2023, arXiv:2302.13971",
    .equation = "x1 = x + Wo causal softmax(R(Q) R(K)^T / sqrt(H/A)) V; "
                "y = x1 + Wdown (silu(Wgate RMS(x1)) Wup RMS(x1))",
    .cells = CELLS_GRID,
    .uses = USES(A) | USES(G) | USES(W) | USES(F),
    .refuses = modern_refuses,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 1e-5,
};
