/*
 * lstm.step: one token, from x, h, c to h', c'.
 * Equation    i, f, o = sigmoid(W x + U h + b), C_hat = tanh(W x + U h + b), c' = f c + i C_hat,
 *             h' = o tanh(c')
 * Shapes      x[H] h[H] c[H] W[4H,H] U[4H,H] b[4H] -> h_next[H] c_next[H]; order i, f, C_hat, o
 * Flops       16 H^2 in matrix products; 4 H elementwise; 3 H sigmoid, 2 H tanh
 * Bytes       weights, input, state and output once
 * State       c[H], h[H]: carried in h and c, out h_next and c_next
 * Inputs      as the lstm layer; h in [-0.5,0.5], c in [-1,1]
 * Timed       the step, with weights as warm as the previous step left them
 * Sequential  U h and the cell update: the next x is there, h is not
 * Source      torch.nn.LSTMCell (its two biases added up)
 */
#include <math.h>

#include "lstm.h"

enum { X, H_IN, C_IN, W, U, B, H_NEXT, C_NEXT };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[X] = (struct tensor){"x", INPUT, {d.H}, 0.0f, 1.0f};
    out[H_IN] = (struct tensor){"h", INPUT, {d.H}, 0.0f, 0.5f};
    out[C_IN] = (struct tensor){"c", INPUT, {d.H}, 0.0f, 1.0f};
    out[W] = (struct tensor){"W", PARAMETER, {4 * d.H, d.H}, 0.0f, w};
    out[U] = (struct tensor){"U", PARAMETER, {4 * d.H, d.H}, 0.0f, w};
    out[B] = (struct tensor){"b", PARAMETER, {4 * d.H}, 0.0f, w};
    out[H_NEXT] = (struct tensor){"h_next", OUTPUT, {d.H}, 0.0f, 0.0f};
    out[C_NEXT] = (struct tensor){"c_next", OUTPUT, {d.H}, 0.0f, 0.0f};
    return C_NEXT + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){
        .multiply_adds = 8 * d.H * d.H,
        .elementwise = 4 * d.H,
        .sigmoids = 3 * d.H,
        .tanhs = 2 * d.H,
        .sequential = 8 * d.H * d.H + 4 * d.H,
        .streamed_bytes = 4 * d.H * d.H * 4,
    };
}

static int64_t state(struct dims d)
{
    return 2 * d.H;
}

/* W x + U h + b, one row */
static double sum_of_row(struct dims d, double *const t[], int64_t row)
{
    double sum = t[B][row];
    for (int64_t j = 0; j < d.H; j++)
        sum += t[W][row * d.H + j] * t[X][j] + t[U][row * d.H + j] * t[H_IN][j];
    return sum;
}

static double logistic(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static void reference(struct dims d, double *const t[])
{
    for (int64_t k = 0; k < d.H; k++) {
        const double i = logistic(sum_of_row(d, t, k));
        const double f = logistic(sum_of_row(d, t, d.H + k));
        const double c_hat = tanh(sum_of_row(d, t, 2 * d.H + k));
        const double o = logistic(sum_of_row(d, t, 3 * d.H + k));
        t[C_NEXT][k] = f * t[C_IN][k] + i * c_hat;
        t[H_NEXT][k] = o * tanh(t[C_NEXT][k]);
    }
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {4 * d.H}};
    return 1;
}

static void run(const struct instance *in)
{
    lstm_fused_step(in->dims.H, in->t[X], in->t[H_IN], in->t[C_IN], in->t[W], in->t[U], in->t[B],
                    in->scratch[0], in->t[C_NEXT], in->t[H_NEXT]);
}

static const struct layer layer = {
    .name = "lstm.step",
    .equation = "i,f,o = sigmoid(W x + U h + b); C^ = tanh(W x + U h + b); c = f c + i C^; "
                "h = o tanh(c), one step",
    .cells = CELLS_PER_STEP,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .reference = reference,
    .tolerance = 2e-6,
};

const struct kernel lstm_step = {
    .name = "lstm.step",
    .method = "the step of lstm/fused",
    .layer = &layer,
    .scratch = scratch,
    .run = run,
};
