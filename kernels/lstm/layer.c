/*
 * LSTM without peepholes.
 * Equation    i, f, o = sigmoid(W_. x_t + U_. h + b_.), C_hat = tanh(W_g x_t + U_g h + b_g)
 *             c = f c + i C_hat, h = o tanh(c)
 * Shapes      x[S,In] h0[H] c0[H] W[4H,In] U[4H,H] b[4H] -> y[S,H], c_last[H];
 *             gate order i, f, C_hat, o; In = H unless it is given
 * Parameters  4 H (In + H) + 4 H
 * Job         recurrent layer
 * Flops       8 S H (In + H) in matrix products, those with U sequential; 4 S H elementwise;
 *             3 S H sigmoid, 2 S H tanh
 * Bytes       weights, input and output once; U (16 H^2 bytes) is walked through at each step
 * State       c[H], h[H]
 * Inputs      x in [-1,1]; h0 in [-0.5,0.5], c0 in [-1,1]; W, U, b in [-1/sqrt H, 1/sqrt H] as
 *             torch.nn.LSTM draws them: gates stay near 1/2, so c stays of order 1
 * Timed       everything from x to y and c_last. Not timed: drawing the inputs
 * Sequential  U h, S dependent products, and the cell update
 * Source      torch.nn.LSTM (its two biases added up, its gate order)
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "lstm.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[LSTM_X] = (struct tensor){"x", INPUT, {d.S, input_size(d)}, 0.0f, 1.0f};
    out[LSTM_H0] = (struct tensor){"h0", INITIAL, {d.H}, 0.0f, 0.5f};
    out[LSTM_C0] = (struct tensor){"c0", INITIAL, {d.H}, 0.0f, 1.0f};
    out[LSTM_W] = (struct tensor){"W", PARAMETER, {4 * d.H, input_size(d)}, 0.0f, w};
    out[LSTM_U] = (struct tensor){"U", PARAMETER, {4 * d.H, d.H}, 0.0f, w};
    out[LSTM_B] = (struct tensor){"b", PARAMETER, {4 * d.H}, 0.0f, w};
    out[LSTM_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    out[LSTM_C_LAST] = (struct tensor){"c_last", FINAL, {d.H}, 0.0f, 0.0f};
    return LSTM_C_LAST + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){
        .multiply_adds = 4 * SH * (input_size(d) + d.H),
        .elementwise = 4 * SH,
        .sigmoids = 3 * SH,
        .tanhs = 2 * SH,
        .sequential = 8 * SH * d.H + 4 * SH,
        .streamed_weights = 4 * SH * d.H,
    };
}

static int64_t state(struct dims d)
{
    return 2 * d.H;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H, In = input_size(d);
    const double *W = t[LSTM_W], *U = t[LSTM_U], *h = t[LSTM_H0];
    double *c = t[LSTM_C_LAST];
    for (int64_t k = 0; k < H; k++)
        c[k] = t[LSTM_C0][k];
    for (int64_t s = 0; s < d.S; s++) {
        const double *x = t[LSTM_X] + s * In;
        double *y = t[LSTM_Y] + s * H;
        for (int64_t k = 0; k < H; k++) {
            double z[LSTM_GATES]; /* i, f, C_hat, o of channel k */
            for (int64_t gate = 0; gate < LSTM_GATES; gate++) {
                const int64_t row = gate * H + k;
                z[gate] = t[LSTM_B][row] + reference_dot(In, W + row * In, x) +
                          reference_dot(H, U + row * H, h);
            }
            c[k] = reference_sigmoid(z[1]) * c[k] + reference_sigmoid(z[0]) * tanh(z[2]);
            y[k] = reference_sigmoid(z[3]) * tanh(c[k]);
        }
        h = y;
    }
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_last_row(in, LSTM_Y, LSTM_H0);
    vmath_copy(in->dims.H, in->t[LSTM_C_LAST], in->t[LSTM_C0]);
}

const struct layer lstm_layer = {
    .name = "lstm",
    .job = JOB_RECURRENT,
    .job_source = "Hochreiter and Schmidhuber 1997",
    .equation = "i,f,o = sigmoid(W x + U h + b); C^ = tanh(W x + U h + b); c = f c + i C^; "
                "h = o tanh(c)",
    .cells = CELLS_GRID,
    .uses = USES(In),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
