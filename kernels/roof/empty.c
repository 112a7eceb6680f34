/*
 * roof/empty: what a call costs when nothing is in it.
 * Equation    none. Shapes: none. Flops, bytes, state: none
 * Timed       the indirect call, as it is made for every kernel
 * Source      this suite
 */
#include "seqbench.h"

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    (void)d;
    (void)out;
    return 0;
}

static struct cost cost(struct dims d)
{
    (void)d;
    return (struct cost){.multiply_adds = 0};
}

static void reference(struct dims d, double *const t[])
{
    (void)d;
    (void)t;
}

static void run(const struct instance *in)
{
    (void)in;
}

static int own_cells(int64_t last_level_bytes, struct dims out[OWN_CELLS_MAX])
{
    (void)last_level_bytes;
    out[0] = (struct dims){.S = 1, .H = 1};
    return 1;
}

static const struct layer layer = {
    .name = "roof/empty",
    .equation = "nothing",
    .cells = CELLS_OWN,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .own_cells = own_cells,
};

const struct algorithm roof_empty = {
    .name = "roof/empty",
    .method = "an empty function: the overhead of a call",
    .layer = &layer,
    .products = PRODUCTS_NONE,
    .run = run,
};
