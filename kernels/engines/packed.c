/*
 * engine packed: weights in panels (common/panels.h), packed before the clock starts. A map that
 * always multiplies one row has wider panels, for as many sums under way as hide the latency.
 */
#include "common/panels.h"

enum { PANELS, BIAS };

static struct panels panels_of(const struct weights *w)
{
    const struct map *map = w->map;
    const int64_t gates = map->gates > 1 ? map->gates : 1;
    const int64_t block = map->gates ? map_gate_vectors(map, w->out) : 1;
    const int64_t walked = gates > 1 ? gates * block : WALK_VECTORS;
    return (struct panels){.gates = gates,
                           .hid = w->out / gates,
                           .block = block * VMATH_LANES,
                           .in = w->in,
                           .held = w->in,
                           .vectors = w->one_row ? walked : PRODUCT_VECTORS,
                           .data = w->made[PANELS]};
}

static int arrays(const struct weights *w, struct tensor out[ENGINE_ARRAYS])
{
    const struct panels p = panels_of(w);
    out[PANELS] = panels_tensor("packed weights", &p);
    out[BIAS] = panels_vector("packed bias", &p);
    return w->map->bias ? BIAS + 1 : BIAS;
}

static void prepare(const struct weights *w)
{
    const struct panels p = panels_of(w);
    panels_fill(&p, w->matrix, w->in, 1.0f, w->made[PANELS]);
    if (w->bias)
        panels_fill_vector(&p, w->bias, 1.0f, w->made[BIAS]);
}

static void product_with(const struct weights *w, int64_t rows, const float *X, int64_t ldx,
                         const float *addend, float *Y, int64_t ldy)
{
    const struct panels p = panels_of(w);
    const float *bias = w->bias ? w->made[BIAS] : NULL;
    if (!w->one_row)
        panels_product(rows, w->rows, &p, X, ldx, bias, addend, w->map->relu, Y, ldy);
    for (int64_t r = 0; w->one_row && r < rows; r++)
        panels_row_product(w->rows, &p, X + r * ldx, bias, addend ? addend + r * ldy : NULL,
                           w->map->relu, Y + r * ldy);
}

static void walk(const struct weights *w, int64_t first, int64_t vectors, bool backward,
                 const float *x, vfloat acc[WALK_VECTORS])
{
    panels_walk(vectors, backward, w->in, w->made[PANELS] + first * w->in, x, acc);
}

const struct engine packed = {
    .name = "packed",
    .method = "float32; weights in panels of vectors, packed before the clock starts",
    .bytes_per_weight = 4.0,
    .packs_before = true,
    .arrays = arrays,
    .prepare = prepare,
    .product = product_with,
    .walk = walk,
};
