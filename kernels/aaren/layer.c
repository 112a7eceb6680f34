/*
 * Aaren: attention of one learned query over every prefix, A heads.
 * Equation    k_t, v_t = Wkv x_t; per head s_t = q k_t / sqrt(H/A); elements (m, u, w) =
 *             (s_t, 1, v_t) are joined by m = max(ma, mb), u = ua e^(ma-m) + ub e^(mb-m), w alike;
 *             o_t = w / u of all elements up to t; y_t = Wo o_t
 * Shapes      x[S,H] Wkv[2H,H] (rows k, v) q[H] Wo[H,H] -> y[S,H]; q is the projected query
 * Flops       6 S H^2 + 2 S H in matrix products; scan: S (7A + 4H) elementwise, 2 A S exp
 *             (tree: more, see there)
 * Bytes       weights (12 H^2 bytes and little more), input and output once
 * State       m[A], u[A], w[H]
 * Inputs      x in [0,1], as around 0 the averages o_t would go to 0; Wkv, Wo in
 *             [-1/sqrt H, 1/sqrt H]; q in [-1,1]. u is at most t, w / u a mean of values
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  scan: the joins; tree: nothing
 * Source      Feng et al. 2024 (Attention as an RNN), without biases, q already projected
 */
#include <math.h>

#include "aaren.h"
#include "common/reference.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H;
    const float w = 1.0f / sqrtf((float)H);
    out[AAREN_X] = (struct tensor){"x", INPUT, {S, H}, 0.5f, 0.5f};
    out[AAREN_WKV] = (struct tensor){"Wkv", PARAMETER, {2 * H, H}, 0.0f, w};
    out[AAREN_Q] = (struct tensor){"q", PARAMETER, {H}, 0.0f, 1.0f};
    out[AAREN_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, w};
    out[AAREN_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    return AAREN_Y + 1;
}

struct cost aaren_maps_cost(struct dims d)
{
    return (struct cost){.multiply_adds = 3 * d.S * d.H * d.H + d.S * d.H,
                         .elementwise = d.S * d.A};
}

static struct cost cost(struct dims d)
{
    struct cost cost = aaren_maps_cost(d);
    cost.sequential = d.S * (6 * d.A + 4 * d.H);
    cost.elementwise += cost.sequential;
    cost.exps = 2 * d.A * d.S;
    return cost;
}

static int64_t state(struct dims d)
{
    return d.H + 2 * d.A;
}

/* The softmax of each prefix as it is written. */
static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H, size = H / d.A;
    double *kv = reference_room(2 * S * H + H), *o = kv + 2 * S * H;
    reference_linear(S, H, 2 * H, t[AAREN_X], t[AAREN_WKV], NULL, kv);
    for (int64_t s = 0; s < S; s++) {
        for (int64_t first = 0; first < H; first += size) {
            double sum = 0.0;
            for (int64_t c = first; c < first + size; c++)
                o[c] = 0.0;
            for (int64_t j = 0; j <= s; j++) {
                double score = 0.0;
                for (int64_t c = first; c < first + size; c++)
                    score += t[AAREN_Q][c] * kv[j * 2 * H + c];
                const double weight = exp(score / sqrt((double)size)); /* far below e^700 */
                sum += weight;
                for (int64_t c = first; c < first + size; c++)
                    o[c] += weight * kv[j * 2 * H + H + c];
            }
            for (int64_t c = first; c < first + size; c++)
                o[c] /= sum;
        }
        reference_linear(1, H, H, o, t[AAREN_WO], NULL, t[AAREN_Y] + s * H);
    }
    free(kv);
}

const struct layer aaren_layer = {
    .name = "aaren",
    .equation = "o_t = softmax(q K^T / sqrt(H/A)) V over tokens 0..t, q learned; y = Wo o",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 5e-6,
};
