/*
 * mingru/scan: the recurrence in log space, as the paper trains it.
 *
 * With a = log(1 - z) and v = log z + log h~ the pairs (a, v) compose associatively:
 * (a1, v1) then (a2, v2) is (a1 + a2, logaddexp(a2 + v1, v2)), and h = e^v. One thread folds them
 * in order, l = logaddexp(a + l, v): the running form. Its error does not grow with S; the form
 * with one cumulative sum of a over the sequence subtracts sums of order S and loses digits.
 * A logarithm needs h~ > 0, and a plain candidate may be negative. The recurrence is linear in h~,
 * so h = P - N, where P is driven by max(h~, 0) and N by max(-h~, 0). One of the two is 0 at each
 * token and its logaddexp is the bare sum a + l: one logaddexp serves both.
 */
#include <math.h>

#include "mingru.h"

static const struct map maps[] = {{.matrix = MINGRU_W, .bias = MINGRU_B}};

/* e^nothing is 0, and nothing + a is nothing: the logarithm of a state that is still 0. */
static const float nothing = -1e30f;

/* Channels k .. k + n of a token, n <= VMATH_LANES; positive, negative: log P, log N. */
static inline __attribute__((always_inline)) void fold(int64_t H, int64_t k, int64_t n,
                                                       const float *gates, float *positive,
                                                       float *negative, float *h)
{
    const vfloat gate = v_load_head(gates + k, n, 0.0f);
    const vfloat candidate = v_load_head(gates + H + k, n, 0.0f);
    const vfloat shared = v_log1p(v_exp(-v_abs(gate))); /* softplus(+-gate) = max(+-gate, 0) + it */
    const vfloat log_keep = -(v_max(gate, (vfloat){0}) + shared);
    const vfloat log_take = -(v_max(-gate, (vfloat){0}) + shared);
    const vfloat driven = log_take + v_log(v_abs(candidate));

    const vfloat p = v_load_head(positive + k, n, nothing) + log_keep;
    const vfloat m = v_load_head(negative + k, n, nothing) + log_keep;
    const vint is_positive = candidate > 0.0f;
    const vfloat kept = v_select(is_positive, p, m);
    const vfloat sum = v_max(kept, driven) + v_log1p(v_exp(-v_abs(kept - driven)));
    const vfloat p_next = v_select(is_positive, sum, p), m_next = v_select(is_positive, m, sum);
    v_store_head(positive + k, p_next, n);
    v_store_head(negative + k, m_next, n);
    v_store_head(h + k, v_exp(p_next) - v_exp(m_next), n);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {d.S, 2 * d.H}};
    out[1] = (struct tensor){.name = "positive", .shape = {d.H}};
    out[2] = (struct tensor){.name = "negative", .shape = {d.H}};
    return 3;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h0 = in->t[MINGRU_H0];
    float *gates = in->scratch[0], *positive = in->scratch[1], *negative = in->scratch[2];

    for (int64_t k = 0; k < H; k++) {
        positive[k] = h0[k] > 0.0f ? logf(h0[k]) : nothing;
        negative[k] = h0[k] < 0.0f ? logf(-h0[k]) : nothing;
    }
    product_rows(in, 0, S, in->t[MINGRU_X], gates);
    for (int64_t s = 0; s < S; s++, gates += 2 * H) {
        float *y = in->t[MINGRU_Y] + s * H;
        V_EACH(k, lanes, H, fold(H, k, lanes, gates, positive, negative, y));
    }
}

/* Of the 12 elementwise operations 6 wait for the last token: two sums, logaddexp, P - N. */
static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){
        .multiply_adds = 2 * SH * d.H,
        .elementwise = 12 * SH,
        .exps = 4 * SH,
        .logs = 3 * SH,
        .sequential = 6 * SH,
    };
}

const struct algorithm mingru_scan = {
    .name = "mingru/scan",
    .method =
        "one product, then a running logaddexp of the positive and of the negative part, h = P "
        "- N",
    .layer = &mingru_layer,
    MAPS(maps),
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
