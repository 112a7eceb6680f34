/*
 * roof/sgemm: the BLAS's rate for a large square matrix product, and for one of a few rows.
 * Equation    Y = X W^T
 * Shapes      x[S,H] W[H,H] -> y[S,H], S = H = 256 .. 2048; S = 16, H = 64 .. 4096: there the time
 *             goes into packing W at each call
 * Flops       2 S H^2
 * Bytes       input, weights and output once
 * State       none
 * Inputs      x in [-1,1]; W in [-1/sqrt H, 1/sqrt H]
 * Timed       one sgemm. Sequential: nothing
 * Source      this suite
 */
#include <math.h>

#include "common/reference.h"
#include "products.h"

enum { X, W, Y };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[W] = (struct tensor){"W", PARAMETER, {d.H, d.H}, 0.0f, 1.0f / sqrtf((float)d.H)};
    out[Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){.multiply_adds = d.S * d.H * d.H};
}

static void reference(struct dims d, double *const t[])
{
    reference_linear(d.S, d.H, d.H, t[X], t[W], NULL, t[Y]);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    sgemm_nt(d.S, d.H, d.H, 1.0f, in->t[X], d.H, in->t[W], d.H, 0.0f, in->t[Y], d.H);
}

static int own_cells(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX])
{
    (void)last_level_bytes;
    int count = 0;
    for (int64_t n = 256; n <= 2048; n *= 2)
        out[count++] = (struct dims){.S = n, .H = n};
    for (int64_t n = 64; n <= 4096; n *= 2)
        out[count++] = (struct dims){.S = 16, .H = n};
    return count;
}

static const struct layer layer = {
    .name = "roof/sgemm",
    .equation = "Y = X W^T",
    .cells = CELLS_OWN,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 2e-6,
    .own_cells = own_cells,
};

const struct algorithm roof_sgemm = {
    .name = "roof/sgemm",
    .method = "one sgemm, square or of 16 rows",
    .layer = &layer,
    .engine = "openblas",
    .run = run,
};
