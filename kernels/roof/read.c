/*
 * roof/read: bandwidth of reading a working set again and again.
 * Equation    mean = sum of x / (S H)
 * Shapes      x[S,H] -> mean[1]
 * Flops       S H additions
 * Bytes       4 S H, the working set: 16 KiB to four times the last-level cache, at most 1 GiB
 * State       none
 * Inputs      x in [-1,1]
 * Timed       one pass over x with eight vector accumulators. Sequential: nothing
 * Source      this suite
 */
#include "products.h"

enum { X, MEAN };
enum { STREAMS = 8, BLOCK = STREAMS * VMATH_LANES };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[MEAN] = (struct tensor){"mean", OUTPUT, {1}, 0.0f, 0.0f};
    return MEAN + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){.elementwise = d.S * d.H};
}

static void reference(struct dims d, double *const t[])
{
    t[MEAN][0] = 0.0;
    for (int64_t i = 0; i < d.S * d.H; i++)
        t[MEAN][0] += t[X][i] / (double)(d.S * d.H);
}

static void run(const struct instance *in)
{
    const int64_t n = in->dims.S * in->dims.H;
    const float *x = in->t[X];
    vfloat sum[STREAMS] = {(vfloat){0}};
    int64_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        for (int k = 0; k < STREAMS; k++)
            sum[k] += v_load(x + i + k * VMATH_LANES);
    float total = vmath_sum(n - i, x + i);
    for (int k = 0; k < STREAMS; k++)
        total += vmath_sum_lanes(sum[k]);
    in->t[MEAN][0] = total / (float)n;
}

static int own_cells(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX])
{
    const int64_t H = 1024, first = 16 << 10, limit = 1 << 30;
    const int64_t assumed = 32 << 20; /* where the machine does not tell */
    int64_t last = 4 * (last_level_bytes > 0 ? last_level_bytes : assumed);
    last = last < first ? first : last > limit ? limit : last;
    int count = 0;
    for (int64_t bytes = first; bytes < last; bytes *= 2)
        out[count++] = (struct dims){.S = bytes / 4 / H, .H = H};
    out[count++] = (struct dims){.S = last / 4 / H, .H = H};
    return count;
}

static const struct layer layer = {
    .name = "roof/read",
    .equation = "mean = sum of x / (S H)",
    .cells = CELLS_OWN,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 2e-7,
    .own_cells = own_cells,
};

const struct algorithm roof_read = {
    .name = "roof/read",
    .method = "reads S x H floats: bandwidth over the working set",
    .layer = &layer,
    .products = PRODUCTS_NONE,
    .run = run,
};
