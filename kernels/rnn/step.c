/*
 * rnn.step: one token, from x, h to h': one step of rnn/literal.
 * Equation    h' = tanh(W x + U h + b)
 * Shapes      x[H] h[H] W[H,H] U[H,H] b[H] -> y[H]
 * Flops       4 H^2 in matrix products; H tanh
 * Bytes       weights, input and output once
 * State       carried in h, out y
 * Inputs      as the rnn layer; h in [-0.5,0.5]
 * Timed       the step, with weights as warm as the previous step left them
 * Sequential  all of it
 * Source      the article's "RNN step": two matrix-vector products
 */
#include <math.h>

#include "rnn.h"

enum { X, STATE, W, U, B, Y };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[X] = (struct tensor){"x", INPUT, {d.H}, 0.0f, 1.0f};
    out[STATE] = (struct tensor){"h", INPUT, {d.H}, 0.0f, 0.5f};
    out[W] = (struct tensor){"W", PARAMETER, {d.H, d.H}, 0.0f, w};
    out[U] = (struct tensor){"U", PARAMETER, {d.H, d.H}, 0.0f, w};
    out[B] = (struct tensor){"b", PARAMETER, {d.H}, 0.0f, w};
    out[Y] = (struct tensor){"y", OUTPUT, {d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){
        .multiply_adds = 2 * d.H * d.H,
        .tanhs = d.H,
        .sequential = 2 * d.H * d.H,
        .streamed_bytes = d.H * d.H * 4,
    };
}

static int64_t state(struct dims d)
{
    return d.H;
}

static void reference(struct dims d, double *const t[])
{
    for (int64_t i = 0; i < d.H; i++) {
        double sum = t[B][i];
        for (int64_t j = 0; j < d.H; j++)
            sum += t[W][i * d.H + j] * t[X][j] + t[U][i * d.H + j] * t[STATE][j];
        t[Y][i] = tanh(sum);
    }
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "wx", .shape = {d.H}};
    out[1] = (struct tensor){.name = "uh", .shape = {d.H}};
    return 2;
}

static void run(const struct instance *in)
{
    rnn_literal_step(in->dims.H, in->t[X], in->t[STATE], in->t[W], in->t[U], in->t[B],
                     in->scratch[0], in->scratch[1], in->t[Y]);
}

static const struct layer layer = {
    .name = "rnn.step",
    .equation = "h = tanh(W x + U h + b), one step",
    .cells = CELLS_PER_STEP,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 2e-6,
};

const struct kernel rnn_step = {
    .name = "rnn.step",
    .method = "the step of rnn/literal",
    .layer = &layer,
    .scratch = scratch,
    .run = run,
};
