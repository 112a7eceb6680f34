/*
 * GRU, reset after the product.
 * Equation    r, z = sigmoid(W_. x_t + U_. h + b_.), n = tanh(W_n x_t + b_n + r (U_n h + bn)),
 *             h = (1 - z) n + z h; h starts at 0
 * Shapes      x[S,H] W[3H,H] U[3H,H] b[3H] bn[H] -> y[S,H], y_t = h; gate order r, z, n
 * Flops       12 S H^2 in matrix products, half of them sequential; 5 S H elementwise;
 *             2 S H sigmoid, S H tanh
 * Bytes       weights, input and output once; U (12 H^2 bytes) is walked through at each step
 * State       h[H]
 * Inputs      x in [-1,1]; W, U, b, bn in [-1/sqrt H, 1/sqrt H] as torch.nn.GRU draws them; h is a
 *             mean of values in [-1,1] and stays there
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  U h, S dependent products, and the update
 * Source      torch.nn.GRU (its two biases of r and of z added up, its gate order)
 */
#include <math.h>

#include "gru.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[GRU_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[GRU_W] = (struct tensor){"W", PARAMETER, {3 * d.H, d.H}, 0.0f, w};
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
        .multiply_adds = 6 * SH * d.H,
        .elementwise = 5 * SH,
        .sigmoids = 2 * SH,
        .tanhs = SH,
        .sequential = 6 * SH * d.H + 5 * SH,
        .streamed_bytes = 3 * SH * d.H * 4,
    };
}

static int64_t state(struct dims d)
{
    return d.H;
}

static double logistic(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H;
    const double *x = t[GRU_X], *W = t[GRU_W], *U = t[GRU_U], *b = t[GRU_B], *bn = t[GRU_BN];
    double *y = t[GRU_Y];
    for (int64_t s = 0; s < d.S; s++)
        for (int64_t k = 0; k < H; k++) {
            double wx[3], uh[3]; /* r, z, n of channel k */
            const double h = s > 0 ? y[(s - 1) * H + k] : 0.0;
            for (int64_t gate = 0; gate < 3; gate++) {
                const int64_t row = gate * H + k;
                wx[gate] = b[row];
                uh[gate] = gate == 2 ? bn[k] : 0.0;
                for (int64_t j = 0; j < H; j++) {
                    wx[gate] += W[row * H + j] * x[s * H + j];
                    if (s > 0)
                        uh[gate] += U[row * H + j] * y[(s - 1) * H + j];
                }
            }
            const double r = logistic(wx[0] + uh[0]), z = logistic(wx[1] + uh[1]);
            y[s * H + k] = (1.0 - z) * tanh(wx[2] + r * uh[2]) + z * h;
        }
}

const struct layer gru_layer = {
    .name = "gru",
    .equation = "r,z = sigmoid(W x + U h + b); n = tanh(W x + b + r (U h + bn)); "
                "h = (1 - z) n + z h",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 5e-6,
};
