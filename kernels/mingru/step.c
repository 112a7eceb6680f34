/*
 * mingru.step: one token, from x, h to h'.
 * Equation    z = sigmoid(W_z x + b_z), h~ = W_h x + b_h, h' = (1 - z) h + z h~
 * Shapes      x[H] h[H] W[2H,H] b[2H] -> y[H]; rows z, h~
 * Flops       4 H^2 in matrix products; 3 H elementwise; H sigmoid
 * Bytes       weights, input, state and output once
 * State       h[H]: carried in h, out y
 * Inputs      as the mingru layer; h in [-0.5,0.5]
 * Timed       the step, with weights as warm as the previous step left them
 * Sequential  the elementwise update; no product
 * Source      as the mingru layer
 */
#include <math.h>

#include "blas.h"
#include "mingru.h"

enum { X, STATE, W, B, Y };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[X] = (struct tensor){"x", INPUT, {d.H}, 0.0f, 1.0f};
    out[STATE] = (struct tensor){"h", INPUT, {d.H}, 0.0f, 0.5f};
    out[W] = (struct tensor){"W", PARAMETER, {2 * d.H, d.H}, 0.0f, w};
    out[B] = (struct tensor){"b", PARAMETER, {2 * d.H}, 0.0f, w};
    out[Y] = (struct tensor){"y", OUTPUT, {d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){
        .multiply_adds = 2 * d.H * d.H,
        .elementwise = 3 * d.H,
        .sigmoids = d.H,
        .sequential = 3 * d.H,
    };
}

static int64_t state(struct dims d)
{
    return d.H;
}

static void reference(struct dims d, double *const t[])
{
    for (int64_t k = 0; k < d.H; k++) {
        double gate = t[B][k], candidate = t[B][d.H + k];
        for (int64_t j = 0; j < d.H; j++) {
            gate += t[W][k * d.H + j] * t[X][j];
            candidate += t[W][(d.H + k) * d.H + j] * t[X][j];
        }
        const double z = 1.0 / (1.0 + exp(-gate));
        t[Y][k] = (1.0 - z) * t[STATE][k] + z * candidate;
    }
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {2 * d.H}};
    return 1;
}

static void run(const struct instance *in)
{
    const int64_t H = in->dims.H;
    blas_linear(1, H, 2 * H, in->t[X], in->t[W], in->t[B], in->scratch[0]);
    mingru_update(H, in->scratch[0], in->t[STATE], in->t[Y]);
}

static const struct layer layer = {
    .name = "mingru.step",
    .equation = "z = sigmoid(W x + b); h~ = W x + b; h = (1 - z) h + z h~, one step",
    .cells = CELLS_PER_STEP,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 2e-6,
};

const struct kernel mingru_step = {
    .name = "mingru.step",
    .method = "the step of mingru/hoisted, its W x by one 2H x H sgemv",
    .layer = &layer,
    .scratch = scratch,
    .run = run,
};
