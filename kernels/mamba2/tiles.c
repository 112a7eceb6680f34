/*
 * tiles.c - what is before and behind the recurrence of Mamba-2, tile after tile of tokens.
 */
#include <math.h>
#include <string.h>

#include "mamba2.h"

const struct map mamba2_maps[MAMBA2_MAPS] = {
    [MAMBA2_OF_INPUT] = {.matrix = MAMBA2_WIN},
    [MAMBA2_OF_OUTPUT] = {.matrix = MAMBA2_WOUT},
};

static const float norm_epsilon = 1e-5f;

int mamba2_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    out[MAMBA2_TAPS] = (struct tensor){.name = "taps", .shape = {CONV_TAPS, s.convolved}};
    out[MAMBA2_RATES] = (struct tensor){.name = "rates", .shape = {s.heads}};
    return MAMBA2_RATES + 1;
}

void mamba2_prepare(struct instance *in)
{
    const struct mamba2_sizes s = mamba2_sizes(in->dims);
    conv_pack_taps(CONV_TAPS, s.convolved, in->t[MAMBA2_CONV_W], s.convolved,
                   in->prepared[MAMBA2_TAPS]);
    for (int64_t head = 0; head < s.heads; head++)
        in->prepared[MAMBA2_RATES][head] = (float)-exp((double)in->t[MAMBA2_A_LOG][head]);
}

int mamba2_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    const int64_t T = MAMBA2_TILE;
    out[MAMBA2_ZXBCDT] = (struct tensor){.name = "zxbcdt", .shape = {d.S, s.projected}};
    out[MAMBA2_XBC] = (struct tensor){.name = "xbc", .shape = {T, s.convolved}};
    out[MAMBA2_DT] = (struct tensor){.name = "dt", .shape = {T, s.heads}};
    out[MAMBA2_LOG_DECAY] = (struct tensor){.name = "log_decay", .shape = {T, s.heads}};
    out[MAMBA2_CORE] = (struct tensor){.name = "core", .shape = {T, s.D}};
    out[MAMBA2_ZEROS] = (struct tensor){.name = "zeros", .shape = {s.convolved}};
    return MAMBA2_OWN_SCRATCH;
}

/* dt = softplus(raw + bias) and dt rate, one token's heads */
static void step_sizes(int64_t heads, const float *raw, const float *bias, const float *rates,
                       float *dt, float *log_decay)
{
    for (int64_t head = 0; head < heads; head++)
        dt[head] = raw[head] + bias[head];
    vmath_softplus(heads, dt, dt);
    for (int64_t head = 0; head < heads; head++)
        log_decay[head] = dt[head] * rates[head];
}

/* A vector of (y + skip x) silu(z) into z; returns its squares. */
static inline __attribute__((always_inline)) vfloat gate_vector(const float *y, const float *x,
                                                                float skip, float *z)
{
    const vfloat gated = (v_load(y) + v_load(x) * skip) * v_silu(v_load(z));
    v_store(z, gated);
    return gated * gated;
}

/* One token: z[D] becomes RMSNorm((y + Dskip x) silu(z)). Heads are whole vectors. */
static void gate_and_norm(const struct instance *in, const float *y, const float *x, float *z)
{
    const struct mamba2_sizes s = mamba2_sizes(in->dims);
    const float *gain = in->t[MAMBA2_NORM];
    vfloat squares = {0};
    for (int64_t head = 0; head < s.heads; head++)
        for (int64_t p = 0; p < MAMBA2_HEAD_SIZE; p += VMATH_LANES) {
            const int64_t c = head * MAMBA2_HEAD_SIZE + p;
            squares += gate_vector(y + c, x + c, in->t[MAMBA2_DSKIP][head], z + c);
        }
    const float scale = 1.0f / sqrtf(vmath_sum_lanes(squares) / (float)s.D + norm_epsilon);
    for (int64_t c = 0; c < s.D; c++)
        z[c] *= scale * gain[c];
}

void mamba2_run(const struct instance *in,
                void (*core)(const struct instance *in, const struct mamba2_tile *tile))
{
    const struct mamba2_sizes s = mamba2_sizes(in->dims);
    const int64_t S = in->dims.S, H = in->dims.H, row = s.projected;
    float *zxbcdt = in->scratch[MAMBA2_ZXBCDT], *xbc = in->scratch[MAMBA2_XBC];
    float *dt = in->scratch[MAMBA2_DT], *log_decay = in->scratch[MAMBA2_LOG_DECAY];
    float *y = in->scratch[MAMBA2_CORE], *zeros = in->scratch[MAMBA2_ZEROS];

    memset(zeros, 0, (size_t)s.convolved * sizeof(float));
    product_rows(in, MAMBA2_OF_INPUT, S, in->t[MAMBA2_X], zxbcdt);
    for (int64_t first = 0; first < S; first += MAMBA2_TILE) {
        const int64_t tokens = at_most(S - first, MAMBA2_TILE);
        float *z = zxbcdt + first * row;
        for (int64_t t = 0; t < tokens; t++) {
            const float *rows[CONV_TAPS];
            conv_window(CONV_TAPS, zxbcdt + s.D, row, first + t, zeros, 0, rows);
            conv_silu(s.convolved, rows, in->prepared[MAMBA2_TAPS], in->t[MAMBA2_CONV_B],
                      xbc + t * s.convolved);
            step_sizes(s.heads, z + t * row + s.D + s.convolved, in->t[MAMBA2_DT_BIAS],
                       in->prepared[MAMBA2_RATES], dt + t * s.heads, log_decay + t * s.heads);
        }
        core(in, &(struct mamba2_tile){tokens, xbc, dt, log_decay, y});
        for (int64_t t = 0; t < tokens; t++)
            gate_and_norm(in, y + t * s.D, xbc + t * s.convolved, z + t * row);
    }
    product(in, MAMBA2_OF_OUTPUT, S, zxbcdt, row, NULL, in->t[MAMBA2_Y], H);
}
