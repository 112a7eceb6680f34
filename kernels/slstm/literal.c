/* slstm/literal: per step and gate a product with W and, head by head, one with R. */
#include "slstm.h"

#define GATE_MAP(gate)                                                                             \
    {                                                                                              \
        .matrix = SLSTM_W, .part = (gate), .parts = SLSTM_GATES, .one_row = true                   \
    }
static const struct map maps[] = {GATE_MAP(0), GATE_MAP(1), GATE_MAP(2), GATE_MAP(3)};

enum { SUMS };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[SUMS] = (struct tensor){.name = "gates", .shape = {SLSTM_GATES * d.H}};
    return SUMS + 1;
}

/* sums[H] = W x + R y + b of one gate. */
static void gate_sums(const struct instance *in, int gate, const float *x, const float *y,
                      float *sums)
{
    const int64_t H = in->dims.H, A = in->dims.A, size = H / A;
    product_row(in, gate, x, in->t[SLSTM_B] + gate * H, sums);
    for (int64_t head = 0; head < A; head++)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)size, (int)size, 1.0f,
                    in->t[SLSTM_R] + (gate * A + head) * size * size, (int)size, y + head * size, 1,
                    1.0f, sums + head * size, 1);
    multiply_adds_done += H * size;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *before = in->t[SLSTM_Y0], *c = in->t[SLSTM_C0], *n = in->t[SLSTM_N0];
    const float *m = in->t[SLSTM_M0];
    float *c_next = in->t[SLSTM_C_LAST], *n_next = in->t[SLSTM_N_LAST];
    float *m_next = in->t[SLSTM_M_LAST], *sums = in->scratch[SUMS];
    for (int64_t s = 0; s < S; s++) {
        float *y = in->t[SLSTM_Y] + s * H;
        for (int gate = 0; gate < SLSTM_GATES; gate++)
            gate_sums(in, gate, in->t[SLSTM_X] + s * H, before, sums + gate * H);
        for (int64_t k = 0; k < H; k += VMATH_LANES) {
            const int64_t left = H - k;
            struct slstm_state state = slstm_load(c + k, n + k, m + k, left);
            const vfloat shown = slstm_cell(
                v_load_some(sums + k, left), v_load_some(sums + H + k, left),
                v_load_some(sums + 2 * H + k, left), v_load_some(sums + 3 * H + k, left), &state);
            slstm_store(state, c_next + k, n_next + k, m_next + k, left);
            v_store_some(y + k, shown, left);
        }
        before = y;
        c = c_next;
        n = n_next;
        m = m_next;
    }
}

const struct algorithm slstm_literal = {
    .name = "slstm/literal",
    .method = "per step a product with W for each gate, and with R for each gate and head",
    .layer = &slstm_layer,
    .products = PRODUCTS_STEP,
    .is_whole = true,
    TEXTBOOK,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
