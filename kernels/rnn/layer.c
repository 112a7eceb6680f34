/*
 * Elman RNN.
 * Equation    h_t = tanh(W x_t + U h_(t-1) + b)
 * Shapes      x[S,In] h0[H] W[H,In] U[H,H] b[H] -> y[S,H], y_t = h_t; In = H unless it is given
 * Parameters  In H + H^2 + H
 * Job         recurrent layer
 * Flops       2 S H (In + H) in matrix products, those with U sequential; S H tanh
 * Bytes       weights, input and output once; U (4 H^2 bytes) is walked through at each step
 * State       h[H]
 * Inputs      x in [-1,1]; h0 in [-0.5,0.5]; W, U, b in [-1/sqrt H, 1/sqrt H] as torch.nn.RNN
 *             draws them: the spectral radius of U stays near 0.6, so the state neither saturates
 *             nor amplifies rounding
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  U h_(t-1), S dependent products
 * Source      torch.nn.RNN (its two biases added up)
 */
#include <math.h>

#include "common/carry.h"
#include "rnn.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[RNN_X] = (struct tensor){"x", INPUT, {d.S, input_size(d)}, 0.0f, 1.0f};
    out[RNN_H0] = (struct tensor){"h0", INITIAL, {d.H}, 0.0f, 0.5f};
    out[RNN_W] = (struct tensor){"W", PARAMETER, {d.H, input_size(d)}, 0.0f, w};
    out[RNN_U] = (struct tensor){"U", PARAMETER, {d.H, d.H}, 0.0f, w};
    out[RNN_B] = (struct tensor){"b", PARAMETER, {d.H}, 0.0f, w};
    out[RNN_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return RNN_Y + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){
        .multiply_adds = d.S * d.H * (input_size(d) + d.H),
        .tanhs = d.S * d.H,
        .sequential = 2 * d.S * d.H * d.H,
        .streamed_weights = d.S * d.H * d.H,
    };
}

static int64_t state(struct dims d)
{
    return d.H;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t In = input_size(d);
    const double *x = t[RNN_X], *W = t[RNN_W], *U = t[RNN_U], *b = t[RNN_B], *h = t[RNN_H0];
    for (int64_t s = 0; s < d.S; s++) {
        double *y = t[RNN_Y] + s * d.H;
        for (int64_t i = 0; i < d.H; i++) {
            double sum = b[i];
            for (int64_t j = 0; j < In; j++)
                sum += W[i * In + j] * x[s * In + j];
            for (int64_t j = 0; j < d.H; j++)
                sum += U[i * d.H + j] * h[j];
            y[i] = tanh(sum);
        }
        h = y;
    }
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_last_row(in, RNN_Y, RNN_H0);
}

const struct layer rnn_layer = {
    .name = "rnn",
    .job = JOB_RECURRENT,
    .job_source = "Elman 1990",
    .equation = "h = tanh(W x + U h + b)",
    .cells = CELLS_GRID,
    .uses = USES(In),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
