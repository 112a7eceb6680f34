/*
 * SUPRA: linear attention with a decay per head and a norm in place of the denominator, A heads.
 * Equation    q, k, v = Wqkv x_t; q = rope(relu(We q + be)), k = rope(relu(We k + be)) / sqrt(H/A);
 *             per head M = g M + k v^T, context = M^T q, g = exp(-2^(-8 (head + 1) / A));
 *             y = Wo norm(context), a norm of each head without gain and bias, epsilon 1e-5;
 *             rope turns channels (c, c + H/A/2) of a head by t 10000^(-2c / (H/A)); M starts at 0
 * Shapes      x[S,H] Wqkv[3H,H] We[H,H] be[H] Wo[H,H] -> y[S,H]; H/A even, A a power of two
 * Flops       12 S H^2 + 4 S H H/A in matrix products (chunked: more, see there);
 *             S (14 H + A) + S H H/A elementwise; A S rsqrt. Angles and decays are prepared
 * Bytes       weights (20 H^2 bytes and little more), input and output once
 * State       M[A,H/A,H/A]
 * Inputs      x in [-1,1]; matrices and be in [-1/sqrt H, 1/sqrt H]. M is bounded, as
 *             g < 1, and the norm takes its size out of y
 * Timed       everything from x to y. Not timed: drawing the inputs, the tables of cos, sin and
 *             powers of g
 * Sequential  the update of M and the product with it; not the maps
 * Source      Mercat et al. 2024 and its code (linear_open_lm): the attention without its block,
 *             with the default decay and no norm of q and k
 */
#include <math.h>

#include "common/reference.h"
#include "supra.h"

static const char *refuses(struct dims d)
{
    if ((d.A & (d.A - 1)) != 0)
        return "the decays are defined for a power of two of heads";
    return d.H / d.A % 2 == 0 ? NULL : "HidSize / heads is odd: RoPE turns pairs of channels";
}

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t S = d.S, H = d.H;
    const float w = 1.0f / sqrtf((float)H);
    out[SUPRA_X] = (struct tensor){"x", INPUT, {S, H}, 0.0f, 1.0f};
    out[SUPRA_WQKV] = (struct tensor){"Wqkv", PARAMETER, {3 * H, H}, 0.0f, w};
    out[SUPRA_WE] = (struct tensor){"We", PARAMETER, {H, H}, 0.0f, w};
    out[SUPRA_BE] = (struct tensor){"be", PARAMETER, {H}, 0.0f, w};
    out[SUPRA_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, w};
    out[SUPRA_Y] = (struct tensor){"y", OUTPUT, {S, H}, 0.0f, 0.0f};
    return SUPRA_Y + 1;
}

struct cost supra_maps_cost(struct dims d)
{
    return (struct cost){
        .multiply_adds = 6 * d.S * d.H * d.H,
        .elementwise = d.S * (14 * d.H + d.A),
        .rsqrts = d.S * d.A,
    };
}

static struct cost cost(struct dims d)
{
    const int64_t cells = d.S * d.H * (d.H / d.A); /* of M, over all tokens */
    struct cost cost = supra_maps_cost(d);
    cost.multiply_adds += 2 * cells;
    cost.elementwise += cells;
    cost.sequential = 5 * cells;
    return cost;
}

static int64_t state(struct dims d)
{
    return d.H * (d.H / d.A);
}

/* x[S,H] is replaced by its features. */
static void features(struct dims d, const double *We, const double *be, double scale, double *x,
                     double *room)
{
    const int64_t H = d.H, size = H / d.A, half = size / 2;
    for (int64_t t = 0; t < d.S; t++) {
        reference_linear(1, H, H, x + t * H, We, be, room);
        for (int64_t c = 0; c < H; c++) {
            const double angle = (double)t * pow(10000.0, -2.0 * (double)(c % half) / (double)size);
            const double own = fmax(room[c], 0.0);
            x[t * H + c] = c % size < half
                               ? own * cos(angle) - fmax(room[c + half], 0.0) * sin(angle)
                               : own * cos(angle) + fmax(room[c - half], 0.0) * sin(angle);
            x[t * H + c] *= scale;
        }
    }
}

/* All pairs of tokens j <= s instead of a state, then the norm. */
static void attend(struct dims d, const double *q, const double *k, const double *v, int64_t s,
                   double *context)
{
    const int64_t H = d.H, size = H / d.A;
    for (int64_t head = 0; head < d.A; head++) {
        const double slope = pow(2.0, -8.0 * (double)(head + 1) / (double)d.A);
        const int64_t first = head * size;
        for (int64_t c = first; c < first + size; c++)
            context[c] = 0.0;
        for (int64_t j = 0; j <= s; j++) {
            double weight = 0.0;
            for (int64_t c = first; c < first + size; c++)
                weight += q[s * H + c] * k[j * H + c];
            weight *= exp(-slope * (double)(s - j));
            for (int64_t c = first; c < first + size; c++)
                context[c] += weight * v[j * H + c];
        }
        reference_norm(size, context + first, context + first);
    }
}

static void reference(struct dims d, double *const t[])
{
    const int64_t S = d.S, H = d.H;
    double *q = reference_room(4 * S * H + H), *k = q + S * H, *v = k + S * H;
    double *context = v + S * H, *room = context + S * H;
    reference_linear(S, H, H, t[SUPRA_X], t[SUPRA_WQKV], NULL, q);
    reference_linear(S, H, H, t[SUPRA_X], t[SUPRA_WQKV] + H * H, NULL, k);
    reference_linear(S, H, H, t[SUPRA_X], t[SUPRA_WQKV] + 2 * H * H, NULL, v);
    features(d, t[SUPRA_WE], t[SUPRA_BE], 1.0, q, room);
    features(d, t[SUPRA_WE], t[SUPRA_BE], 1.0 / sqrt((double)(H / d.A)), k, room);
    for (int64_t s = 0; s < S; s++)
        attend(d, q, k, v, s, context + s * H);
    reference_linear(S, H, H, context, t[SUPRA_WO], NULL, t[SUPRA_Y]);
    free(q);
}

const struct layer supra_layer = {
    .name = "supra",
    .equation = "q,k = rope(relu(We Wqk x + be)); M = g M + k v^T; y = Wo norm(M^T q)",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .refuses = refuses,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 1e-5,
};
