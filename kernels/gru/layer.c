/*
 * GRU, reset after the product.
 * Equation    r, z = sigmoid(W_. x_t + U_. h + b_.), n = tanh(W_n x_t + b_n + r (U_n h + bn)),
 *             h = (1 - z) n + z h
 * Shapes      x[S,In] h0[H] W[3H,In] U[3H,H] b[3H] bn[H] -> y[S,H], y_t = h;
 *             gate order r, z, n; In = H unless it is given
 * Parameters  3 H (In + H) + 4 H
 * Job         recurrent layer
 * Flops       6 S H (In + H) in matrix products, those with U sequential; 5 S H elementwise;
 *             2 S H sigmoid, S H tanh
 * Bytes       weights, input and output once; U (12 H^2 bytes) is walked through at each step
 * State       h[H]
 * Inputs      x in [-1,1]; h0 in [-0.5,0.5]; W, U, b, bn in [-1/sqrt H, 1/sqrt H] as torch.nn.GRU
 *             draws them; h is a mean of values in [-1,1] and stays there
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  U h, S dependent products, and the update
 * Source      torch.nn.GRU (its two biases of r and of z added up, its gate order)
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "gru.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[GRU_X] = (struct tensor){"x", INPUT, {d.S, input_size(d)}, 0.0f, 1.0f};
    out[GRU_H0] = (struct tensor){"h0", INITIAL, {d.H}, 0.0f, 0.5f};
    out[GRU_W] = (struct tensor){"W", PARAMETER, {3 * d.H, input_size(d)}, 0.0f, w};
    out[GRU_U] = (struct tensor){"U", PARAMETER, {3 * d.H, d.H}, 0.0f, w};
    out[GRU_B] = (struct tensor){"b", PARAMETER, {3 * d.H}, 0.0f, w};
    out[GRU_BN] = (struct tensor){"bn", PARAMETER, {d.H}, 0.0f, w};
    out[GRU_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return GRU_Y + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){
        .multiply_adds = 3 * SH * (input_size(d) + d.H),
        .elementwise = 5 * SH,
        .sigmoids = 2 * SH,
        .tanhs = SH,
        .sequential = 6 * SH * d.H + 5 * SH,
        .streamed_weights = 3 * SH * d.H,
    };
}

static int64_t state(struct dims d)
{
    return d.H;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H, In = input_size(d);
    const double *h = t[GRU_H0];
    for (int64_t s = 0; s < d.S; s++) {
        const double *x = t[GRU_X] + s * In;
        double *y = t[GRU_Y] + s * H;
        for (int64_t k = 0; k < H; k++) {
            double wx[GRU_GATES], uh[GRU_GATES]; /* r, z, n of channel k */
            for (int64_t gate = 0; gate < GRU_GATES; gate++) {
                const int64_t row = gate * H + k;
                wx[gate] = t[GRU_B][row] + reference_dot(In, t[GRU_W] + row * In, x);
                uh[gate] = reference_dot(H, t[GRU_U] + row * H, h);
            }
            const double r = reference_sigmoid(wx[0] + uh[0]);
            const double z = reference_sigmoid(wx[1] + uh[1]);
            const double n = tanh(wx[2] + r * (uh[2] + t[GRU_BN][k]));
            y[k] = (1.0 - z) * n + z * h[k];
        }
        h = y;
    }
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_last_row(in, GRU_Y, GRU_H0);
}

const struct layer gru_layer = {
    .name = "gru",
    .job = JOB_RECURRENT,
    .job_source = "Cho et al. 2014, arXiv:1406.1078",
    .equation = "r,z = sigmoid(W x + U h + b); n = tanh(W x + b + r (U h + bn)); "
                "h = (1 - z) n + z h",
    .cells = CELLS_GRID,
    .uses = USES(In),
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
