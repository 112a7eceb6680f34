/*
 * minGRU: no weights on the state, so all matrix products are known before the recurrence.
 * Equation    z = sigmoid(W_z x_t + b_z), h~ = W_h x_t + b_h, h = (1 - z) h + z h~
 * Shapes      x[S,H] h0[H] W[2H,H] b[2H] -> y[S,H], y_t = h; rows z, h~.
 *             z takes the candidate (in a GRU it keeps the state)
 * Parameters  2 H^2 + 2 H
 * Job         mixer
 * Flops       4 S H^2 in matrix products; 3 S H elementwise; S H sigmoid
 * Bytes       weights, input and output once
 * State       h[H]
 * Inputs      x in [-1,1]; h0 in [-0.5,0.5]; W, b in [-1/sqrt H, 1/sqrt H] as torch.nn.Linear draws
 *             them: h is a mean of candidates of order 1
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  the elementwise update; no product
 * Source      Feng et al. 2024, arXiv:2410.01201, the form without log space: the candidate is
 *             plain and may be negative
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "mingru.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[MINGRU_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[MINGRU_H0] = (struct tensor){"h0", INITIAL, {d.H}, 0.0f, 0.5f};
    out[MINGRU_W] = (struct tensor){"W", PARAMETER, {2 * d.H, d.H}, 0.0f, w};
    out[MINGRU_B] = (struct tensor){"b", PARAMETER, {2 * d.H}, 0.0f, w};
    out[MINGRU_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return MINGRU_Y + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){
        .multiply_adds = 2 * SH * d.H,
        .elementwise = 3 * SH,
        .sigmoids = SH,
        .sequential = 3 * SH,
    };
}

static int64_t state(struct dims d)
{
    return d.H;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H;
    const double *x = t[MINGRU_X], *W = t[MINGRU_W], *b = t[MINGRU_B];
    for (int64_t k = 0; k < H; k++) {
        double h = t[MINGRU_H0][k];
        for (int64_t s = 0; s < d.S; s++) {
            const double gate = b[k] + reference_dot(H, W + k * H, x + s * H);
            const double candidate = b[H + k] + reference_dot(H, W + (H + k) * H, x + s * H);
            const double z = reference_sigmoid(gate);
            h = (1.0 - z) * h + z * candidate;
            t[MINGRU_Y][s * H + k] = h;
        }
    }
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_last_row(in, MINGRU_Y, MINGRU_H0);
}

const struct layer mingru_layer = {
    .name = "mingru",
    .job = JOB_MIXER,
    .job_source = "Feng et al. 2024, arXiv:2410.01201: in the place of attention",
    .equation = "z = sigmoid(W x + b); h~ = W x + b; h = (1 - z) h + z h~",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
