/* stages.c - what is before and behind the recurrence of Gated DeltaNet. */
#include <math.h>
#include <string.h>

#include "gated_deltanet.h"

const struct map deltanet_maps[DELTANET_MAPS] = {
    [DELTANET_OF_Q] = {.matrix = DELTANET_WQ},
    [DELTANET_OF_K] = {.matrix = DELTANET_WK},
    [DELTANET_OF_V] = {.matrix = DELTANET_WV},
    [DELTANET_OF_DECAY] = {DELTANET_WA, .bias = DELTANET_DT_BIAS},
    [DELTANET_OF_RATE] = {.matrix = DELTANET_WB},
    [DELTANET_OF_GATE] = {.matrix = DELTANET_WG},
    [DELTANET_OF_OUTPUT] = {.matrix = DELTANET_WO},
};

static const float length_epsilon = 1e-6f, norm_epsilon = 1e-5f;

enum { TAPS, RATES };

int deltanet_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    out[TAPS] = (struct tensor){.name = "taps", .shape = {CONV_TAPS, 3 * d.H}};
    out[RATES] = (struct tensor){.name = "rates", .shape = {d.A}};
    return RATES + 1;
}

void deltanet_prepare(struct instance *in)
{
    const int64_t H = in->dims.H;
    for (int part = 0; part < 3; part++)
        conv_pack_taps(CONV_TAPS, H, in->t[DELTANET_CONV_Q + part], 3 * H,
                       in->prepared[TAPS] + part * H);
    for (int64_t head = 0; head < in->dims.A; head++)
        in->prepared[RATES][head] = (float)-exp((double)in->t[DELTANET_A_LOG][head]);
}

int deltanet_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t T = at_most(d.S, DELTANET_TILE);
    out[DELTANET_QKV] = (struct tensor){.name = "qkv", .shape = {d.S, 3 * d.H}};
    out[DELTANET_GATE] = (struct tensor){.name = "gate", .shape = {d.S, d.H}};
    out[DELTANET_DECAY] = (struct tensor){.name = "log decay", .shape = {d.S, d.A}};
    out[DELTANET_RATE] = (struct tensor){.name = "rate", .shape = {d.S, d.A}};
    out[DELTANET_ACTIVE] = (struct tensor){.name = "active", .shape = {T, 3 * d.H}};
    return DELTANET_OWN_SCRATCH;
}

static void project(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H, A = in->dims.A;
    const float *x = in->t[DELTANET_X];
    float *qkv = in->scratch[DELTANET_QKV], *decay = in->scratch[DELTANET_DECAY];
    product(in, DELTANET_OF_Q, S, x, H, NULL, qkv, 3 * H);
    product(in, DELTANET_OF_K, S, x, H, NULL, qkv + H, 3 * H);
    product(in, DELTANET_OF_V, S, x, H, NULL, qkv + 2 * H, 3 * H);
    product_rows(in, DELTANET_OF_GATE, S, x, in->scratch[DELTANET_GATE]);
    product_rows(in, DELTANET_OF_DECAY, S, x, decay);
    product_rows(in, DELTANET_OF_RATE, S, x, in->scratch[DELTANET_RATE]);
    vmath_softplus(S * A, decay, decay);
    for (int64_t s = 0; s < S; s++)
        for (int64_t head = 0; head < A; head++)
            decay[s * A + head] *= in->prepared[RATES][head];
    vmath_sigmoid(S * A, in->scratch[DELTANET_RATE], in->scratch[DELTANET_RATE]);
}

/* x[n] times factor / sqrt(its squares + epsilon) */
static void normalise(int64_t n, float factor, float *x)
{
    const float scale = factor / sqrtf(vmath_dot(n, x, x) + length_epsilon);
    for (int64_t i = 0; i < n; i++)
        x[i] *= scale;
}

/* Queries, keys and values of a tile into active[tokens,3H]. */
static void convolve(const struct instance *in, int64_t first, int64_t tokens)
{
    const int64_t H = in->dims.H, A = in->dims.A, size = H / A;
    const float of_query = 1.0f / sqrtf((float)size);
    for (int64_t t = 0; t < tokens; t++) {
        float *active = in->scratch[DELTANET_ACTIVE] + t * 3 * H;
        const float *rows[CONV_TAPS];
        conv_window(CONV_TAPS, in->scratch[DELTANET_QKV], 3 * H, first + t, in->t[DELTANET_WINDOW],
                    3 * H, rows);
        conv_silu(3 * H, rows, in->prepared[TAPS], NULL, active);
        for (int64_t head = 0; head < A; head++) {
            normalise(size, of_query, active + head * size);
            normalise(size, 1.0f, active + H + head * size);
        }
    }
}

/* A vector of channels of a head: gate becomes scale gain o silu(gate). */
static inline __attribute__((always_inline)) void
gate_vector(int64_t lanes, float scale, const float *gain, const float *o, float *gate)
{
    const vfloat normed = v_load_head(o, lanes, 0.0f) * scale * v_load_head(gain, lanes, 0.0f);
    v_store_head(gate, normed * v_silu(v_load_head(gate, lanes, 0.0f)), lanes);
}

static void gate_and_norm(const struct instance *in, const float *o, float *gate)
{
    const int64_t size = in->dims.H / in->dims.A;
    for (int64_t first = 0; first < in->dims.H; first += size) {
        const float scale = vmath_inverse_rms(size, o + first, norm_epsilon);
        V_EACH(
            c, lanes, size,
            gate_vector(lanes, scale, in->t[DELTANET_NORM_W] + c, o + first + c, gate + first + c));
    }
}

void deltanet_run(const struct instance *in,
                  void (*core)(const struct instance *in, const struct deltanet_tile *tile))
{
    const int64_t S = in->dims.S, H = in->dims.H, A = in->dims.A, size = H / A;
    float *active = in->scratch[DELTANET_ACTIVE], *gate = in->scratch[DELTANET_GATE];
    vmath_copy(H * size, in->t[DELTANET_S0], in->t[DELTANET_S_LAST]);
    project(in);
    for (int64_t first = 0; first < S; first += DELTANET_TILE) {
        const int64_t tokens = at_most(S - first, DELTANET_TILE);
        convolve(in, first, tokens);
        for (int64_t head = 0; head < A; head++)
            core(in, &(struct deltanet_tile){.tokens = tokens,
                                             .size = size,
                                             .row = 3 * H,
                                             .heads = A,
                                             .q = active + head * size,
                                             .k = active + H + head * size,
                                             .v = active + 2 * H + head * size,
                                             .log_decay =
                                                 in->scratch[DELTANET_DECAY] + first * A + head,
                                             .rate = in->scratch[DELTANET_RATE] + first * A + head,
                                             .S = in->t[DELTANET_S_LAST] + head * size * size});
        for (int64_t t = 0; t < tokens; t++)
            gate_and_norm(in, active + t * 3 * H + 2 * H, gate + (first + t) * H);
    }
    conv_keep_window(CONV_TAPS, 3 * H, in->scratch[DELTANET_QKV], 3 * H, S, in->t[DELTANET_WINDOW],
                     in->t[DELTANET_WINDOW_LAST]);
    product_rows(in, DELTANET_OF_OUTPUT, S, gate, in->t[DELTANET_Y]);
}
