/*
 * roof/fma_bf16, roof/dot_int8: peak rates of dot products of narrow numbers, where the CPU has
 * such instructions.
 * Equation    acc = acc + a . x, S times, in 12 independent vector registers; a and x are 2 numbers
 *             of bfloat16 or 4 of 8 bits
 * Shapes      a[n] x[n] start[lanes] -> acc[lanes], lanes = 12 vectors of the widest kind
 * Flops       2 n S lanes
 * Bytes       everything stays in registers
 * State       acc
 * Inputs      a, x in [0,1], cut off to 8 binary digits, or to 127ths; start in [0,1]
 * Timed       the loop. Sequential: nothing across registers
 * Source      this suite
 */
#include <math.h>

#include "common/dot.h"
#include "products.h"

enum { A, X, START, ACC };
enum { REGISTERS = 12, LANES = REGISTERS * VMATH_LANES };

static inline int tensors(int64_t numbers, struct tensor out[TENSOR_MAX])
{
    out[A] = (struct tensor){"a", PARAMETER, {numbers}, 0.5f, 0.4f};
    out[X] = (struct tensor){"x", INPUT, {numbers}, 0.5f, 0.4f};
    out[START] = (struct tensor){"start", INPUT, {LANES}, 0.5f, 0.4f};
    out[ACC] = (struct tensor){"acc", OUTPUT, {LANES}, 0.0f, 0.0f};
    return ACC + 1;
}

static inline int own_cells(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX])
{
    (void)last_level_bytes;
    out[0] = (struct dims){.S = 4096, .H = 1};
    return 1;
}

#if DOTS_BF16
static int bf16_tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    (void)d;
    return tensors(2, out);
}

static struct cost bf16_cost(struct dims d)
{
    return (struct cost){.multiply_adds = 2 * d.S * LANES};
}

static double cut_off(double x)
{
    int exponent;
    const double digits = frexp(x, &exponent);
    return ldexp(floor(ldexp(digits, 8)), exponent - 8);
}

static void bf16_reference(struct dims d, double *const t[])
{
    const double each = cut_off(t[A][0]) * cut_off(t[X][0]) + cut_off(t[A][1]) * cut_off(t[X][1]);
    for (int64_t i = 0; i < LANES; i++)
        t[ACC][i] = t[START][i] + (double)d.S * each;
}

/* The upper halves of two positive floats as a word in every lane. */
static vint bf16_pair(const float *x)
{
    return (v_word(x) >> 16) | (v_word(x + 1) & INT32_C(-65536));
}

static void bf16_run(const struct instance *in)
{
    const vint a = bf16_pair(in->t[A]), x = bf16_pair(in->t[X]);
    vfloat acc[REGISTERS];
    for (int r = 0; r < REGISTERS; r++)
        acc[r] = v_load(in->t[START] + r * VMATH_LANES);
    for (int64_t s = 0; s < in->dims.S; s++)
        for (int r = 0; r < REGISTERS; r++)
            acc[r] = v_dot_bf16(acc[r], a, x);
    multiply_adds_done += 2 * in->dims.S * LANES;
    for (int r = 0; r < REGISTERS; r++)
        v_store(in->t[ACC] + r * VMATH_LANES, acc[r]);
}

static const struct layer bf16_layer = {
    .name = "roof/fma_bf16",
    .equation = "acc = acc + a[2] . x[2] in bfloat16, S times",
    .cells = CELLS_OWN,
    .tensors = bf16_tensors,
    .cost = bf16_cost,
    .reference = bf16_reference,
    .tolerance = 2e-6,
    .own_cells = own_cells,
};

const struct algorithm roof_fma_bf16 = {
    .name = "roof/fma_bf16",
    .method = "12 independent vector accumulators: peak of dot products of bfloat16",
    .layer = &bf16_layer,
    .products = PRODUCTS_NONE,
    .run = bf16_run,
};
#endif

#if DOTS_INT8
static int int8_tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    (void)d;
    return tensors(4, out);
}

static struct cost int8_cost(struct dims d)
{
    return (struct cost){.multiply_adds = 4 * d.S * LANES};
}

static void int8_reference(struct dims d, double *const t[])
{
    double each = 0.0;
    for (int k = 0; k < 4; k++)
        each += floor(127.0 * t[A][k]) * floor(127.0 * t[X][k]);
    for (int64_t i = 0; i < LANES; i++)
        t[ACC][i] = floor(127.0 * t[START][i]) + (double)d.S * each;
}

static vint int8_word(const float *x)
{
    int32_t word = 0;
    for (int k = 0; k < 4; k++)
        word |= (int32_t)((double)x[k] * 127.0) << 8 * k;
    return word - (vint){0};
}

static void int8_run(const struct instance *in)
{
    const vint a = int8_word(in->t[A]), x = int8_word(in->t[X]);
    vint acc[REGISTERS];
    for (int r = 0; r < REGISTERS; r++)
        acc[r] = __builtin_convertvector(v_load(in->t[START] + r * VMATH_LANES) * 127.0f, vint);
    for (int64_t s = 0; s < in->dims.S; s++)
        for (int r = 0; r < REGISTERS; r++)
            acc[r] = v_dot_int8(acc[r], a, x);
    multiply_adds_done += 4 * in->dims.S * LANES;
    for (int r = 0; r < REGISTERS; r++)
        v_store(in->t[ACC] + r * VMATH_LANES, v_of_int(acc[r]));
}

static const struct layer int8_layer = {
    .name = "roof/dot_int8",
    .equation = "acc = acc + a[4] . x[4] in 8 bits, S times",
    .cells = CELLS_OWN,
    .tensors = int8_tensors,
    .cost = int8_cost,
    .reference = int8_reference,
    .tolerance = 0.0, /* the sums of a check are whole numbers below 2^24 */
    .own_cells = own_cells,
};

const struct algorithm roof_dot_int8 = {
    .name = "roof/dot_int8",
    .method = "12 independent vector accumulators: peak of dot products of 8 bits",
    .layer = &int8_layer,
    .products = PRODUCTS_NONE,
    .run = int8_run,
};
#endif
