/*
 * lstm.gates: the eight products and four activations of one step of lstm/literal, timed alone.
 * Equation    i, f, o = sigmoid(W x + U h + b), C_hat = tanh(W x + U h + b)
 * Shapes      x[H] h[H] W[4H,H] U[4H,H] b[4H] -> gates[4H], order i, f, C_hat, o
 * Flops       16 H^2 in matrix products; 3 H sigmoid, H tanh
 * Bytes       weights, input and output once
 * State       h, not changed
 * Inputs      as the lstm layer; h in [-0.5,0.5]
 * Timed       the gates, with weights as warm as the previous step left them
 * Sequential  all of it
 * Source      the article's "LSTM gates"
 */
#include <math.h>

#include "common/reference.h"
#include "lstm.h"

enum { X, STATE, W, U, B, GATES };

static const struct map maps[] = LSTM_GATE_MAPS(W, U);

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[X] = (struct tensor){"x", INPUT, {d.H}, 0.0f, 1.0f};
    out[STATE] = (struct tensor){"h", INPUT, {d.H}, 0.0f, 0.5f};
    out[W] = (struct tensor){"W", PARAMETER, {4 * d.H, d.H}, 0.0f, w};
    out[U] = (struct tensor){"U", PARAMETER, {4 * d.H, d.H}, 0.0f, w};
    out[B] = (struct tensor){"b", PARAMETER, {4 * d.H}, 0.0f, w};
    out[GATES] = (struct tensor){"gates", OUTPUT, {4 * d.H}, 0.0f, 0.0f};
    return GATES + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){.multiply_adds = 8 * d.H * d.H,
                         .sigmoids = 3 * d.H,
                         .tanhs = d.H,
                         .sequential = 8 * d.H * d.H,
                         .streamed_weights = 4 * d.H * d.H};
}

static void reference(struct dims d, double *const t[])
{
    for (int64_t row = 0; row < 4 * d.H; row++) {
        const double sum = t[B][row] + reference_dot(d.H, t[W] + row * d.H, t[X]) +
                           reference_dot(d.H, t[U] + row * d.H, t[STATE]);
        t[GATES][row] = row / d.H == 2 ? tanh(sum) : reference_sigmoid(sum);
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
    lstm_literal_gates(in, in->t[X], in->t[STATE], in->t[B], in->scratch[0], in->scratch[1],
                       in->t[GATES]);
}

static const struct layer layer = {
    .name = "lstm.gates",
    .equation = "i,f,o = sigmoid(W x + U h + b); C^ = tanh(W x + U h + b), one step",
    .cells = CELLS_PER_STEP,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 2e-6,
};

const struct algorithm lstm_gates = {
    .name = "lstm.gates",
    .method = "the gates of lstm/literal",
    .layer = &layer,
    PIECE_OF("lstm/literal"),
    .products = PRODUCTS_STEP,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
