/*
 * roof/fma: peak rate of independent multiply-adds.
 * Equation    acc = a acc + b, S times, in 12 independent vector registers
 * Shapes      a[1] b[1] start[lanes] -> acc[lanes], lanes = 12 vectors of the widest kind
 * Flops       2 S lanes
 * Bytes       everything stays in registers
 * State       acc
 * Inputs      a in [0.4,0.6], b in [0.9,1.1]: acc settles near 2, so it stays normal
 * Timed       the loop. Sequential: nothing across registers
 * Source      this suite
 */
#include "products.h"

enum { A, B, START, ACC };
enum { REGISTERS = 12, LANES = REGISTERS * VMATH_LANES };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    (void)d;
    out[A] = (struct tensor){"a", PARAMETER, {1}, 0.5f, 0.1f};
    out[B] = (struct tensor){"b", PARAMETER, {1}, 1.0f, 0.1f};
    out[START] = (struct tensor){"start", INPUT, {LANES}, 0.0f, 1.0f};
    out[ACC] = (struct tensor){"acc", OUTPUT, {LANES}, 0.0f, 0.0f};
    return ACC + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){.multiply_adds = d.S * LANES};
}

static void reference(struct dims d, double *const t[])
{
    for (int64_t i = 0; i < LANES; i++) {
        t[ACC][i] = t[START][i];
        for (int64_t s = 0; s < d.S; s++)
            t[ACC][i] = t[A][0] * t[ACC][i] + t[B][0];
    }
}

static void run(const struct instance *in)
{
    const vfloat a = in->t[A][0] - (vfloat){0}, b = in->t[B][0] - (vfloat){0};
    vfloat acc[REGISTERS];
    for (int r = 0; r < REGISTERS; r++)
        acc[r] = v_load(in->t[START] + r * VMATH_LANES);
    for (int64_t s = 0; s < in->dims.S; s++)
        for (int r = 0; r < REGISTERS; r++)
            acc[r] = acc[r] * a + b;
    multiply_adds_done += in->dims.S * LANES;
    for (int r = 0; r < REGISTERS; r++)
        v_store(in->t[ACC] + r * VMATH_LANES, acc[r]);
}

static int own_cells(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX])
{
    (void)last_level_bytes;
    out[0] = (struct dims){.S = 4096, .H = 1};
    return 1;
}

static const struct layer layer = {
    .name = "roof/fma",
    .equation = "acc = a acc + b, S times",
    .cells = CELLS_OWN,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 1e-6,
    .own_cells = own_cells,
};

const struct algorithm roof_fma = {
    .name = "roof/fma",
    .method = "12 independent vector accumulators: peak multiply-adds",
    .layer = &layer,
    .products = PRODUCTS_NONE,
    .run = run,
};
