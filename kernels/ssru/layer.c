/*
 * SSRU (simpler simple recurrent unit): a forget gate, no weights on the state.
 * Equation    f = sigmoid(Wf x + bf); c = f c + (1 - f) W x; y = max(c, 0)
 * Shapes      x[S,H] c0[H] W[H,H] Wf[H,H] bf[H] -> y[S,H] c_last[H]
 * Parameters  2 H^2 + H
 * Job         recurrent layer
 * Flops       4 S H^2 in matrix products; 4 S H elementwise; S H sigmoid
 * Bytes       weights, input and output once
 * State       c[H]
 * Inputs      x in [-1,1]; c0 in [-0.5,0.5]; W, Wf, bf in [-1/sqrt H, 1/sqrt H] as torch.nn.Linear
 *             draws them: c is a mean of candidates of order 1
 * Timed       everything from x to y. Not timed: drawing the inputs
 * Sequential  the elementwise update; no product
 * Source      Kim et al. 2019, "From Research to Production and Back": Marian's decoder
 */
#include <math.h>

#include "common/carry.h"
#include "common/reference.h"
#include "ssru.h"

const struct map ssru_maps[SSRU_MAPS] = {
    [SSRU_OF_CANDIDATE] = {.matrix = SSRU_W},
    [SSRU_OF_GATE] = {.matrix = SSRU_WF, .bias = SSRU_BF},
};

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float w = 1.0f / sqrtf((float)d.H);
    out[SSRU_X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[SSRU_C0] = (struct tensor){"c0", INITIAL, {d.H}, 0.0f, 0.5f};
    out[SSRU_W] = (struct tensor){"W", PARAMETER, {d.H, d.H}, 0.0f, w};
    out[SSRU_WF] = (struct tensor){"Wf", PARAMETER, {d.H, d.H}, 0.0f, w};
    out[SSRU_BF] = (struct tensor){"bf", PARAMETER, {d.H}, 0.0f, w};
    out[SSRU_Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    out[SSRU_C_LAST] = (struct tensor){"c_last", FINAL, {d.H}, 0.0f, 0.0f};
    return SSRU_C_LAST + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H;
    return (struct cost){
        .multiply_adds = 2 * SH * d.H,
        .elementwise = 4 * SH,
        .sigmoids = SH,
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
    for (int64_t k = 0; k < H; k++) {
        double c = t[SSRU_C0][k];
        for (int64_t s = 0; s < d.S; s++) {
            const double *x = t[SSRU_X] + s * H;
            const double f =
                reference_sigmoid(t[SSRU_BF][k] + reference_dot(H, t[SSRU_WF] + k * H, x));
            c = f * c + (1.0 - f) * reference_dot(H, t[SSRU_W] + k * H, x);
            t[SSRU_Y][s * H + k] = fmax(c, 0.0);
        }
        t[SSRU_C_LAST][k] = c;
    }
}

static void carry(struct instance *in, int64_t run_number)
{
    (void)run_number;
    carry_exchange(in, SSRU_C0, SSRU_C_LAST);
}

const struct layer ssru_layer = {
    .name = "ssru",
    .job = JOB_RECURRENT,
    .job_source = "Kim et al. 2019, aclanthology.org/D19-5632: in the place of an LSTM or GRU",
    .equation = "f = sigmoid(Wf x + b); c = f c + (1 - f) W x; y = max(c, 0)",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .state = state,
    .carry = carry,
    .reference = reference,
    .tolerance = 5e-6,
};
