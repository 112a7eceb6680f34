/* stages.c - the projections, gates and norm of the mLSTM. */
#include <math.h>
#include <string.h>

#include "mlstm.h"

const struct map mlstm_maps[MLSTM_MAPS] = {
    [MLSTM_OF_Q] = {.matrix = MLSTM_WQ},         [MLSTM_OF_K] = {.matrix = MLSTM_WK},
    [MLSTM_OF_V] = {.matrix = MLSTM_WV},         [MLSTM_OF_I] = {MLSTM_WI, .bias = MLSTM_BI},
    [MLSTM_OF_F] = {MLSTM_WF, .bias = MLSTM_BF}, [MLSTM_OF_GATE] = {.matrix = MLSTM_WOG},
    [MLSTM_OF_OUTPUT] = {.matrix = MLSTM_WO},
};

int mlstm_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[MLSTM_ROWS] = (struct tensor){.name = "q k v gate", .shape = {d.S, 3 * d.H}};
    out[MLSTM_INPUT] = (struct tensor){.name = "i", .shape = {d.A, d.S}};
    out[MLSTM_FORGET] = (struct tensor){.name = "log f", .shape = {d.A, d.S}};
    out[MLSTM_GATE_ROWS] = (struct tensor){.name = "gate rows", .shape = {d.S, d.A}};
    return MLSTM_OWN_SCRATCH;
}

/* One gate of all tokens, head by head: gate[A,S]. */
static void project_gate(const struct instance *in, int map, float *gate)
{
    const int64_t S = in->dims.S, A = in->dims.A;
    float *rows = in->scratch[MLSTM_GATE_ROWS];
    product_rows(in, map, S, in->t[MLSTM_X], rows);
    for (int64_t s = 0; s < S; s++)
        for (int64_t head = 0; head < A; head++)
            gate[head * S + s] = rows[s * A + head];
}

static vfloat log_sigmoid(vfloat x)
{
    return -v_softplus(-x);
}

static void project(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H, row = 3 * H;
    const float *x = in->t[MLSTM_X];
    float *rows = in->scratch[MLSTM_ROWS], *forget = in->scratch[MLSTM_FORGET];
    product(in, MLSTM_OF_Q, S, x, H, NULL, rows, row);
    product(in, MLSTM_OF_K, S, x, H, NULL, rows + H / 2, row);
    product(in, MLSTM_OF_V, S, x, H, NULL, rows + H, row);
    product(in, MLSTM_OF_GATE, S, x, H, NULL, rows + 2 * H, row);
    project_gate(in, MLSTM_OF_I, in->scratch[MLSTM_INPUT]);
    project_gate(in, MLSTM_OF_F, forget);
    vmath_map(S * in->dims.A, forget, forget, log_sigmoid);
    const float scale = 1.0f / sqrtf((float)mlstm_keys(in->dims));
    for (int64_t s = 0; s < S; s++)
        for (int64_t c = H / 2; c < H; c++)
            rows[s * row + c] *= scale;
}

/* A vector of channels of a head: h becomes scale gain h sigmoid(gate). */
static inline __attribute__((always_inline)) void
gate_vector(int64_t lanes, float scale, const float *gain, const float *gate, float *h)
{
    const struct v_fraction open = v_sigmoid_fraction(v_load_head(gate, lanes, 0.0f));
    const vfloat normed = v_load_head(h, lanes, 0.0f) * scale * v_load_head(gain, lanes, 0.0f);
    v_store_head(h, normed * open.over / open.under, lanes);
}

static void gate_and_norm(const struct instance *in, float *h, const float *gate)
{
    const int64_t V = mlstm_values(in->dims);
    for (int64_t first = 0; first < in->dims.H; first += V) {
        const float scale = vmath_inverse_rms(V, h + first, mlstm_epsilon);
        V_EACH(c, lanes, V,
               gate_vector(lanes, scale, in->t[MLSTM_NORM_W] + first + c, gate + first + c,
                           h + first + c));
    }
}

void mlstm_run(const struct instance *in,
               void (*core)(const struct instance *in, const struct mlstm_head *head))
{
    const struct dims d = in->dims;
    const int64_t S = d.S, H = d.H, K = mlstm_keys(d), V = mlstm_values(d), row = 3 * H;
    float *rows = in->scratch[MLSTM_ROWS];
    vmath_copy(d.A * K * V, in->t[MLSTM_C0], in->t[MLSTM_C_LAST]);
    vmath_copy(d.A * K, in->t[MLSTM_N0], in->t[MLSTM_N_LAST]);
    vmath_copy(d.A, in->t[MLSTM_M0], in->t[MLSTM_M_LAST]);
    project(in);
    for (int64_t head = 0; head < d.A; head++)
        core(in, &(struct mlstm_head){.S = S,
                                      .keys = K,
                                      .values = V,
                                      .row = row,
                                      .i = in->scratch[MLSTM_INPUT] + head * S,
                                      .log_f = in->scratch[MLSTM_FORGET] + head * S,
                                      .q = rows + head * K,
                                      .k = rows + H / 2 + head * K,
                                      .v = rows + H + head * V,
                                      .C = in->t[MLSTM_C_LAST] + head * K * V,
                                      .n = in->t[MLSTM_N_LAST] + head * K,
                                      .m = in->t[MLSTM_M_LAST] + head});
    for (int64_t s = 0; s < S; s++)
        gate_and_norm(in, rows + s * row + H, rows + s * row + 2 * H);
    product(in, MLSTM_OF_OUTPUT, S, rows + H, row, NULL, in->t[MLSTM_Y], H);
}
