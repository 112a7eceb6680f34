/*
 * gru.step: one token, from x, h to h'.
 * Equation    r, z = sigmoid(W_. x + U_. h + b_.), n = tanh(W_n x + b_n + r (U_n h + bn)),
 *             h' = (1 - z) n + z h
 * Shapes      x[H] h[H] W[3H,H] U[3H,H] b[3H] bn[H] -> y[H]; order r, z, n
 * Flops       12 H^2 in matrix products; 5 H elementwise; 2 H sigmoid, H tanh
 * Bytes       weights, input, state and output once
 * State       h[H]: carried in h, out y
 * Inputs      as the gru layer; h in [-0.5,0.5]
 * Timed       the step, with weights as warm as the previous step left them
 * Sequential  U h and the update: the next x is there, h is not
 * Source      torch.nn.GRUCell (its two biases of r and of z added up)
 */
#include <math.h>

#include "blas.h"
#include "gru.h"

enum { X, STATE, W, U, B, BN, Y };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[X] = (struct tensor){"x", INPUT, {d.H}, 0.0f, 1.0f};
    out[STATE] = (struct tensor){"h", INPUT, {d.H}, 0.0f, 0.5f};
    out[W] = (struct tensor){"W", PARAMETER, {3 * d.H, d.H}, 0.0f, w};
    out[U] = (struct tensor){"U", PARAMETER, {3 * d.H, d.H}, 0.0f, w};
    out[B] = (struct tensor){"b", PARAMETER, {3 * d.H}, 0.0f, w};
    out[BN] = (struct tensor){"bn", PARAMETER, {d.H}, 0.0f, w};
    out[Y] = (struct tensor){"y", OUTPUT, {d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){
        .multiply_adds = 6 * d.H * d.H,
        .elementwise = 5 * d.H,
        .sigmoids = 2 * d.H,
        .tanhs = d.H,
        .sequential = 6 * d.H * d.H + 5 * d.H,
        .streamed_bytes = 3 * d.H * d.H * 4,
    };
}

static int64_t state(struct dims d)
{
    return d.H;
}

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H;
    for (int64_t k = 0; k < H; k++) {
        double wx[3], uh[3];
        for (int64_t gate = 0; gate < 3; gate++) {
            const int64_t row = gate * H + k;
            wx[gate] = dot(H, t[W] + row * H, t[X]) + t[B][row];
            uh[gate] = dot(H, t[U] + row * H, t[STATE]);
        }
        const double r = 1.0 / (1.0 + exp(-wx[0] - uh[0]));
        const double z = 1.0 / (1.0 + exp(-wx[1] - uh[1]));
        const double n = tanh(wx[2] + r * (uh[2] + t[BN][k]));
        t[Y][k] = (1.0 - z) * n + z * t[STATE][k];
    }
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "wx", .shape = {3 * d.H}};
    out[1] = (struct tensor){.name = "uh", .shape = {3 * d.H}};
    return 2;
}

static void run(const struct instance *in)
{
    const int64_t H = in->dims.H;
    blas_linear(1, H, 3 * H, in->t[X], in->t[W], in->t[B], in->scratch[0]);
    gru_finish_step(H, in->scratch[0], in->t[STATE], in->t[U], in->t[BN], in->scratch[1], in->t[Y]);
}

static const struct layer layer = {
    .name = "gru.step",
    .equation = "r,z = sigmoid(W x + U h + b); n = tanh(W x + b + r (U h + bn)); "
                "h = (1 - z) n + z h, one step",
    .cells = CELLS_PER_STEP,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 2e-6,
};

const struct kernel gru_step = {
    .name = "gru.step",
    .method = "the step of gru/hoisted, its W x by one 3H x H sgemv",
    .layer = &layer,
    .scratch = scratch,
    .run = run,
};
