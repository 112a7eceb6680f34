/*
 * mamba.step: one step of mamba/scan, timed alone.
 * Equation    as the mamba layer, for one token
 * Shapes      x[H] window[K-1,D] h[N,D] and the parameters of the layer
 *             -> y[H] window_next[K-1,D] h_next[N,D]; window from old to new
 * Flops       as one token of the layer
 * Bytes       weights, input, state and output once
 * State       carried in window and h, out window_next and h_next
 * Inputs      as the mamba layer; window in [-1,1], h in [-0.5,0.5]
 * Timed       the step, with weights as warm as the previous step left them
 * Sequential  the update of h and its product with C
 * Source      Mamba.step of mamba_ssm, which keeps one row more of the window
 */
#include <string.h>

#include "blas.h"
#include "mamba.h"

enum { WINDOW = MAMBA_Y + 1, STATE, WINDOW_NEXT, STATE_NEXT };
enum { UZ, U, DT, SELECTORS };
enum { PAST = CONV_TAPS - 1 };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t D = MAMBA_EXPAND * d.H;
    out[MAMBA_X] = (struct tensor){"x", INPUT, {d.H}, 0.0f, 1.0f};
    mamba_list_parameters(d.H, out);
    out[MAMBA_Y] = (struct tensor){"y", OUTPUT, {d.H}, 0.0f, 0.0f};
    out[WINDOW] = (struct tensor){"window", INPUT, {PAST, D}, 0.0f, 1.0f};
    out[STATE] = (struct tensor){"h", INPUT, {MAMBA_STATES, D}, 0.0f, 0.5f};
    out[WINDOW_NEXT] = (struct tensor){"window_next", OUTPUT, {PAST, D}, 0.0f, 0.0f};
    out[STATE_NEXT] = (struct tensor){"h_next", OUTPUT, {MAMBA_STATES, D}, 0.0f, 0.0f};
    return STATE_NEXT + 1;
}

static void reference(struct dims d, double *const t[])
{
    const int64_t D = MAMBA_EXPAND * d.H;
    memcpy(t[WINDOW_NEXT], t[WINDOW], (size_t)(PAST * D) * sizeof(double));
    memcpy(t[STATE_NEXT], t[STATE], (size_t)(MAMBA_STATES * D) * sizeof(double));
    mamba_reference_token(d.H, t, t[MAMBA_X], t[WINDOW_NEXT], t[STATE_NEXT], t[MAMBA_Y]);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t D = MAMBA_EXPAND * d.H;
    out[UZ] = (struct tensor){.name = "uz", .shape = {2 * D}};
    out[U] = (struct tensor){.name = "u", .shape = {D}};
    out[DT] = (struct tensor){.name = "dt", .shape = {D}};
    out[SELECTORS] = (struct tensor){.name = "selectors", .shape = {mamba_selectors(d.H)}};
    return SELECTORS + 1;
}

static void run(const struct instance *in)
{
    const int64_t H = in->dims.H, D = MAMBA_EXPAND * H;
    float *const *t = in->t;
    float *uz = in->scratch[UZ], *u = in->scratch[U];
    const float *window = t[WINDOW];
    const float *const rows[CONV_TAPS] = {window, window + D, window + 2 * D, uz};
    const size_t row = (size_t)D * sizeof(float);

    blas_sgemv(2 * D, H, t[MAMBA_WIN], H, t[MAMBA_X], 0.0f, uz);
    conv_silu(D, rows, in->prepared[MAMBA_TAPS], t[MAMBA_CONV_B], u);
    memcpy(t[WINDOW_NEXT], window + D, (PAST - 1) * row);
    memcpy(t[WINDOW_NEXT] + (PAST - 1) * D, uz, row);
    mamba_select(in, 1, t[STATE], t[STATE_NEXT], in->scratch[DT], in->scratch[SELECTORS], u);
    mamba_gate(D, u, uz + D);
    blas_sgemv(H, D, t[MAMBA_WOUT], D, uz + D, 0.0f, t[MAMBA_Y]);
}

static const struct layer layer = {
    .name = "mamba.step",
    .equation = "the mamba layer, one step",
    .cells = CELLS_PER_STEP,
    .tensors = tensors,
    .cost = mamba_cost,
    .reference = reference,
    .tolerance = 1e-5,
};

const struct kernel mamba_step = {
    .name = "mamba.step",
    .method = "the step of mamba/scan: the same pieces for one token, state carried in and out",
    .layer = &layer,
    .prepared = mamba_prepared,
    .prepare = mamba_prepare,
    .scratch = scratch,
    .run = run,
};
