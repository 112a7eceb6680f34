/*
 * minLSTM: no weights on the state, so all matrix products are known before the recurrence.
 * Equation    f, i = sigmoid(W_. x_t + b_.), h~ = W_h x_t + b_h,
 *             h = f/(f+i) h + i/(f+i) h~
 * Shapes      x[S,H] h0[H] W[3H,H] b[3H] -> y[S,H], y_t = h; rows f, i, h~
 * Parameters  3 H^2 + 3 H
 * Job         mixer
 * Flops       6 S H^2 in matrix products; 5 S H elementwise; 2 S H sigmoid
 * Bytes       weights, input and output once
 * State       h[H]
 * Inputs      x in [-1,1]; h0 in [-0.5,0.5]; W, b in [-1/sqrt H, 1/sqrt H] as torch.nn.Linear draws
 *             them: gates stay near 1/2, h is a mean of candidates of order 1
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  the last three elementwise operations, h = h~ + f' (h - h~); no product
 * Source      Feng et al. 2024, arXiv:2410.01201, the form without log space: the candidate is
 *             plain and may be negative
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "minlstm.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[MINLSTM_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[MINLSTM_H0] = (struct tensor){"h0", INITIAL, {d.H}, 0.0f, 0.5f};
    out[MINLSTM_W] = (struct tensor){"W", PARAMETER, {3 * d.H, d.H}, 0.0f, w};
    out[MINLSTM_B] = (struct tensor){"b", PARAMETER, {3 * d.H}, 0.0f, w};
    out[MINLSTM_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return MINLSTM_Y + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){
        .multiply_adds = 3 * SH * d.H,
        .elementwise = 5 * SH,
        .sigmoids = 2 * SH,
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
    const double *x = t[MINLSTM_X], *W = t[MINLSTM_W], *b = t[MINLSTM_B];
    for (int64_t k = 0; k < H; k++) {
        double h = t[MINLSTM_H0][k];
        for (int64_t s = 0; s < d.S; s++) {
            double sum[3]; /* f, i, h~ of channel k */
            for (int64_t gate = 0; gate < 3; gate++) {
                const int64_t row = gate * H + k;
                sum[gate] = b[row] + reference_dot(H, W + row * H, x + s * H);
            }
            const double f = reference_sigmoid(sum[0]), i = reference_sigmoid(sum[1]);
            h = f / (f + i) * h + i / (f + i) * sum[2];
            t[MINLSTM_Y][s * H + k] = h;
        }
    }
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_last_row(in, MINLSTM_Y, MINLSTM_H0);
}

const struct layer minlstm_layer = {
    .name = "minlstm",
    .job = JOB_MIXER,
    .job_source = "Feng et al. 2024, arXiv:2410.01201: in the place of attention",
    .equation = "f,i = sigmoid(W x + b); h~ = W x + b; h = f/(f+i) h + i/(f+i) h~",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
