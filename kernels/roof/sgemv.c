/*
 * roof/sgemv: the BLAS's rate for a matrix-vector product, by the size of the matrix.
 * Equation    y = W x
 * Shapes      x[H] W[H,H] -> y[H], H = 64 .. 4096 (16 KiB .. 64 MiB)
 * Flops       2 H^2
 * Bytes       weights, input and output once; W is read again at each call
 * State       none
 * Inputs      x in [-1,1]; W in [-1/sqrt H, 1/sqrt H]
 * Timed       one sgemv. Sequential: nothing
 * Source      this suite
 */
#include <math.h>

#include "common/reference.h"
#include "products.h"

enum { X, W, Y };

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[X] = (struct tensor){"x", INPUT, {d.H}, 0.0f, 1.0f};
    out[W] = (struct tensor){"W", PARAMETER, {d.H, d.H}, 0.0f, 1.0f / sqrtf((float)d.H)};
    out[Y] = (struct tensor){"y", OUTPUT, {d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static struct cost cost(struct dims d)
{
    return (struct cost){.multiply_adds = d.H * d.H};
}

static void reference(struct dims d, double *const t[])
{
    reference_linear(1, d.H, d.H, t[X], t[W], NULL, t[Y]);
}

static void run(const struct instance *in)
{
    const int64_t H = in->dims.H;
    sgemm_nt(1, H, H, 1.0f, in->t[X], H, in->t[W], H, 0.0f, in->t[Y], H);
}

static int own_cells(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX])
{
    (void)last_level_bytes;
    int count = 0;
    for (int64_t n = 64; n <= 4096; n *= 2)
        out[count++] = (struct dims){.S = 1, .H = n};
    return count;
}

static const struct layer layer = {
    .name = "roof/sgemv",
    .equation = "y = W x",
    .cells = CELLS_OWN,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 2e-6,
    .own_cells = own_cells,
};

const struct algorithm roof_sgemv = {
    .name = "roof/sgemv",
    .method = "one sgemv of an H x H matrix",
    .layer = &layer,
    .engine = "openblas",
    .run = run,
};
