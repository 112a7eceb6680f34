/*
 * Linear attention, causal, A heads.
 * Equation    q, k, v = Wqkv x_t + bqkv; f(a) = elu(a) + 1; per head M += f(k) v^T, z += f(k),
 *             context_t = M^T f(q) / (f(q) z + 1e-6); y_t = Wo context_t + bo; M, z start at 0
 * Shapes      x[S,H] Wqkv[3H,H] bqkv[3H] Wo[H,H] bo[H] -> y[S,H]
 * Flops       8 S H^2 + 4 S H H/A + 2 S H in matrix products (chunked: more, see there);
 *             4 S H + A S elementwise; 2 S H exp
 * Bytes       weights (16 H^2 bytes and little more), input and output once
 * State       M[A,H/A,H/A], z[H]
 * Inputs      x in [-1,1]; W, b in [-1/sqrt H, 1/sqrt H], so that f is near 1. M and z grow with t,
 *             their quotient does not
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  the updates of M and z and the products with them; not the projections
 * Source      Katharopoulos et al. 2020; the causal layer of fast-transformers, its four maps with
 *             biases
 */
#include <math.h>

#include "common/reference.h"
#include "linear_attention.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H;
    const float w = 1.0f / sqrtf((float)H);
    out[LINEAR_ATTENTION_X] = (struct tensor){"x", INPUT, {S, H}, 0.0f, 1.0f};
    out[LINEAR_ATTENTION_WQKV] = (struct tensor){"Wqkv", PARAMETER, {3 * H, H}, 0.0f, w};
    out[LINEAR_ATTENTION_BQKV] = (struct tensor){"bqkv", PARAMETER, {3 * H}, 0.0f, w};
    out[LINEAR_ATTENTION_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, w};
    out[LINEAR_ATTENTION_BO] = (struct tensor){"bo", PARAMETER, {H}, 0.0f, w};
    out[LINEAR_ATTENTION_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    return LINEAR_ATTENTION_Y + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H, core = 2 * SH * (d.H / d.A) + SH;
    return (struct cost){
        .multiply_adds = 4 * SH * d.H + core,
        .elementwise = 4 * SH + d.A * d.S,
        .exps = 2 * SH,
        .sequential = 2 * core + SH,
    };
}

static int64_t state(struct dims d)
{
    return d.H * (d.H / d.A) + d.H;
}

static double feature(double x)
{
    return x > 0.0 ? x + 1.0 : exp(x);
}

/* All pairs of tokens j <= s instead of a state. */
static void attend(struct dims d, const double *qkv, int64_t s, double *context)
{
    const int64_t H = d.H, size = H / d.A;
    for (int64_t first = 0; first < H; first += size) {
        double denominator = 1e-6;
        for (int64_t c = first; c < first + size; c++)
            context[c] = 0.0;
        for (int64_t j = 0; j <= s; j++) {
            double weight = 0.0;
            for (int64_t c = first; c < first + size; c++)
                weight += feature(qkv[s * 3 * H + c]) * feature(qkv[j * 3 * H + H + c]);
            denominator += weight;
            for (int64_t c = first; c < first + size; c++)
                context[c] += weight * qkv[j * 3 * H + 2 * H + c];
        }
        for (int64_t c = first; c < first + size; c++)
            context[c] /= denominator;
    }
}

static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H;
    double *qkv = reference_room(4 * S * H), *context = qkv + 3 * S * H;
    reference_linear(S, H, 3 * H, t[LINEAR_ATTENTION_X], t[LINEAR_ATTENTION_WQKV],
                     t[LINEAR_ATTENTION_BQKV], qkv);
    for (int64_t s = 0; s < S; s++)
        attend(d, qkv, s, context + s * H);
    reference_linear(S, H, H, context, t[LINEAR_ATTENTION_WO], t[LINEAR_ATTENTION_BO],
                     t[LINEAR_ATTENTION_Y]);
    free(qkv);
}

const struct layer linear_attention_layer = {
    .name = "linear_attention",
    .equation = "f = elu + 1; M = M + f(k) v^T; z = z + f(k); y = Wo (M^T f(q) / (f(q) z))",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 5e-6,
};
