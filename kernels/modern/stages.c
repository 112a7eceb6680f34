/* stages.c - what the modern block and its decode share around the attention. */
#include "modern.h"

#include <math.h>

#include "common/reference.h"

static const double rope_base = 10000.0, norm_epsilon = 1e-6;

const char *modern_refuses(struct dims d)
{
    return d.H / d.A % 2 ? "positions rotate pairs of channels: HidSize / heads must be even"
                         : NULL;
}

void modern_parameters(struct dims d, struct tensor out[MODERN_PARAMETER_COUNT])
{
    const int64_t H = d.H, F = modern_ffn(d), K = kv_channels(modern_dims(d));
    const float w = 1.0f / sqrtf((float)H), w_down = 1.0f / sqrtf((float)F);
    out[MODERN_N1] = (struct tensor){"n1", PARAMETER, {H}, 1.0f, 0.1f};
    out[MODERN_WQ] = (struct tensor){"Wq", PARAMETER, {H, H}, 0.0f, w};
    out[MODERN_WK] = (struct tensor){"Wk", PARAMETER, {K, H}, 0.0f, w};
    out[MODERN_WV] = (struct tensor){"Wv", PARAMETER, {K, H}, 0.0f, w};
    out[MODERN_WO] = (struct tensor){"Wo", PARAMETER, {H, H}, 0.0f, w};
    out[MODERN_N2] = (struct tensor){"n2", PARAMETER, {H}, 1.0f, 0.1f};
    out[MODERN_WGATE] = (struct tensor){"Wgate", PARAMETER, {F, H}, 0.0f, w};
    out[MODERN_WUP] = (struct tensor){"Wup", PARAMETER, {F, H}, 0.0f, w};
    out[MODERN_WDOWN] = (struct tensor){"Wdown", PARAMETER, {H, F}, 0.0f, w_down};
}

struct cost modern_token_cost(struct dims d)
{
    const int64_t H = d.H, F = modern_ffn(d), K = kv_channels(modern_dims(d));
    return (struct cost){
        .multiply_adds = 2 * H * H + 2 * K * H + 3 * H * F,
        .elementwise = 8 * H + 2 + 3 * (H + K) + 2 * F,
        .sigmoids = F,
        .rsqrts = 2,
    };
}

int modern_angles(struct dims d, int64_t count, struct tensor out[OWN_PREPARED_MAX])
{
    const int64_t half = d.H / d.A / 2;
    out[MODERN_COS] = (struct tensor){.name = "cos", .shape = {count, half}};
    out[MODERN_SIN] = (struct tensor){.name = "sin", .shape = {count, half}};
    return MODERN_PREPARED;
}

static double angle(int64_t size, int64_t position, int64_t pair)
{
    return (double)position * pow(rope_base, -2.0 * (double)pair / (double)size);
}

void modern_fill_angles(struct instance *in, int64_t first, int64_t count)
{
    const int64_t size = in->dims.H / in->dims.A, half = size / 2;
    for (int64_t t = 0; t < count; t++)
        for (int64_t i = 0; i < half; i++) {
            in->prepared[MODERN_COS][t * half + i] = (float)cos(angle(size, first + t, i));
            in->prepared[MODERN_SIN][t * half + i] = (float)sin(angle(size, first + t, i));
        }
}

/* y = x gain / sqrt(mean of x^2 + epsilon), row by row. */
static void rms_norm(int64_t rows, int64_t H, const float *x, const float *gain, float *y)
{
    for (int64_t r = 0; r < rows; r++, x += H, y += H) {
        const float scale = vmath_inverse_rms(H, x, (float)norm_epsilon);
        for (int64_t c = 0; c < H; c++)
            y[c] = x[c] * scale * gain[c];
    }
}

/* Pairs of channels i and i + half of a head. */
static inline __attribute__((always_inline)) void rotate_vector(int64_t half, int64_t i,
                                                                int64_t lanes, const float *cosine,
                                                                const float *sine, float *head)
{
    const vfloat first = v_load_head(head + i, lanes, 0.0f);
    const vfloat second = v_load_head(head + half + i, lanes, 0.0f);
    const vfloat c = v_load_head(cosine + i, lanes, 0.0f), s = v_load_head(sine + i, lanes, 0.0f);
    v_store_head(head + i, first * c - second * s, lanes);
    v_store_head(head + half + i, second * c + first * s, lanes);
}

/* Heads of q and of k, which stand together at the beginning of a row. */
static void rotate(struct dims d, const float *cosine, const float *sine, float *row)
{
    const int64_t half = d.H / d.A / 2;
    for (int64_t head = 0; head < d.A + d.G; head++, row += 2 * half)
        V_EACH(i, lanes, half, rotate_vector(half, i, lanes, cosine, sine, row));
}

void modern_begin(const struct instance *in, int p, int64_t rows, int64_t period, const float *x,
                  float *normed, float *qkv)
{
    const struct dims d = modern_dims(in->dims);
    const int64_t H = d.H, row = qkv_channels(d), half = H / d.A / 2;
    rms_norm(rows, H, x, in->t[p + MODERN_N1], normed);
    product(in, MODERN_OF_Q, rows, normed, H, NULL, qkv, row);
    product(in, MODERN_OF_K, rows, normed, H, NULL, qkv + H, row);
    product(in, MODERN_OF_V, rows, normed, H, NULL, qkv + H + kv_channels(d), row);
    for (int64_t r = 0; r < rows; r++)
        rotate(d, in->prepared[MODERN_COS] + r % period * half,
               in->prepared[MODERN_SIN] + r % period * half, qkv + r * row);
}

/* A vector of gate becomes silu(gate) up. */
static inline __attribute__((always_inline)) void gate_vector(int64_t lanes, const float *up,
                                                              float *gate)
{
    v_store_head(gate, v_silu(v_load_head(gate, lanes, 0.0f)) * v_load_head(up, lanes, 0.0f),
                 lanes);
}

void modern_finish(const struct instance *in, int p, int64_t rows, const float *x,
                   const float *context, float *normed, float *hidden, float *y)
{
    const int64_t H = in->dims.H, F = modern_ffn(in->dims);
    product(in, MODERN_OF_OUTPUT, rows, context, H, x, y, H);
    rms_norm(rows, H, y, in->t[p + MODERN_N2], normed);
    product(in, MODERN_OF_GATE, rows, normed, H, NULL, hidden, 2 * F);
    product(in, MODERN_OF_UP, rows, normed, H, NULL, hidden + F, 2 * F);
    for (int64_t r = 0; r < rows; r++) {
        float *gate = hidden + r * 2 * F;
        V_EACH(c, lanes, F, gate_vector(lanes, gate + F + c, gate + c));
    }
    product(in, MODERN_OF_DOWN, rows, hidden, 2 * F, y, y, H);
}

static void reference_rms(int64_t n, const double *x, const double *gain, double *y)
{
    const double scale = 1.0 / sqrt(reference_dot(n, x, x) / (double)n + norm_epsilon);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * scale * gain[i];
}

int64_t modern_reference_room(struct dims d)
{
    return d.H + 2 * modern_ffn(d);
}

void modern_reference_row(struct dims d, double *const p[], int64_t position, const double *x,
                          double *room, double *qkv)
{
    const int64_t H = d.H, size = H / d.A, K = kv_channels(modern_dims(d));
    reference_rms(H, x, p[MODERN_N1], room);
    reference_linear(1, H, H, room, p[MODERN_WQ], NULL, qkv);
    reference_linear(1, H, K, room, p[MODERN_WK], NULL, qkv + H);
    reference_linear(1, H, K, room, p[MODERN_WV], NULL, qkv + H + K);
    for (int64_t c = 0; c < H + K; c++)
        if (c % size < size / 2) {
            const double a = angle(size, position, c % size), first = qkv[c];
            const double second = qkv[c + size / 2];
            qkv[c] = first * cos(a) - second * sin(a);
            qkv[c + size / 2] = second * cos(a) + first * sin(a);
        }
}

void modern_reference_finish(struct dims d, double *const p[], const double *x,
                             const double *context, double *room, double *y)
{
    const int64_t H = d.H, F = modern_ffn(d);
    double *normed = room, *gate = normed + H, *up = gate + F;
    for (int64_t i = 0; i < H; i++)
        y[i] = x[i] + reference_dot(H, p[MODERN_WO] + i * H, context);
    reference_rms(H, y, p[MODERN_N2], normed);
    reference_linear(1, H, F, normed, p[MODERN_WGATE], NULL, gate);
    reference_linear(1, H, F, normed, p[MODERN_WUP], NULL, up);
    for (int64_t f = 0; f < F; f++)
        gate[f] *= reference_sigmoid(gate[f]) * up[f];
    for (int64_t i = 0; i < H; i++)
        y[i] += reference_dot(F, p[MODERN_WDOWN] + i * F, gate);
}
