/*
 * engines packed, packed-bf16, packed-int8: weights in panels (common/panels.h), packed before the
 * clock starts. A map that always multiplies one row has wider panels, for as many sums under way
 * as hide the latency.
 */
#include "common/panels.h"

enum { PANELS, BIAS, TAKEN, SCALE, OFFSET, X_SCALE };

/* The element is a constant in each of the functions that make up an engine. */
static inline __attribute__((always_inline)) struct panels panels_of(enum element element,
                                                                     const struct weights *w)
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
                           .data = w->made[PANELS],
                           .element = element,
                           .scale = w->made[SCALE],
                           .offset = w->made[OFFSET],
                           .taken = w->made[TAKEN],
                           .x_scale = w->made[X_SCALE]};
}

static int list_arrays(enum element element, const struct weights *w,
                       struct tensor out[ENGINE_ARRAYS])
{
    const struct panels p = panels_of(element, w);
    const int64_t rows = w->one_row ? 1 : CHUNK_ROWS;
    out[PANELS] = panels_tensor("packed weights", &p);
    out[BIAS] = panels_vector("packed bias", &p);
    if (element == FLOAT32)
        return w->map->bias ? BIAS + 1 : BIAS;
    out[TAKEN] = panels_taken_tensor("inputs as they are read", &p, rows);
    if (element == BF16)
        return TAKEN + 1;
    out[SCALE] = panels_vector("scales of weights", &p);
    out[OFFSET] = panels_vector("offsets of sums", &p);
    out[X_SCALE] = (struct tensor){.name = "scales of inputs", .shape = {rows}};
    return X_SCALE + 1;
}

static void fill(enum element element, const struct weights *w)
{
    const struct panels p = panels_of(element, w);
    if (element == FLOAT32)
        panels_fill(&p, w->matrix, w->in, 1.0f, w->made[PANELS]);
    else
        panels_fill_words(&p, w->matrix, w->in, w->made[PANELS], w->made[SCALE], w->made[OFFSET]);
    if (w->bias)
        panels_fill_vector(&p, w->bias, 1.0f, w->made[BIAS]);
}

static inline __attribute__((always_inline)) void
multiply(enum element element, const struct weights *w, int64_t rows, const float *X, int64_t ldx,
         const float *addend, float *Y, int64_t ldy)
{
    const struct panels p = panels_of(element, w);
    const float *bias = w->bias ? w->made[BIAS] : NULL;
    if (!w->one_row)
        panels_product(rows, w->rows, &p, X, ldx, bias, addend, w->map->relu, Y, ldy);
    for (int64_t r = 0; w->one_row && r < rows; r++)
        panels_row_product(w->rows, &p, X + r * ldx, bias, addend ? addend + r * ldy : NULL,
                           w->map->relu, Y + r * ldy);
}

static void walk_floats(const struct weights *w, int64_t first, int64_t vectors, bool backward,
                        const float *x, vfloat acc[WALK_VECTORS])
{
    panels_walk(vectors, backward, w->in, w->made[PANELS] + first * w->in, x, acc);
}

#define OF_ELEMENT(name, element)                                                                  \
    static int name##_arrays(const struct weights *w, struct tensor out[ENGINE_ARRAYS])            \
    {                                                                                              \
        return list_arrays(element, w, out);                                                       \
    }                                                                                              \
    static void name##_prepare(const struct weights *w)                                            \
    {                                                                                              \
        fill(element, w);                                                                          \
    }                                                                                              \
    static void name##_product(const struct weights *w, int64_t rows, const float *X, int64_t ldx, \
                               const float *addend, float *Y, int64_t ldy)                         \
    {                                                                                              \
        multiply(element, w, rows, X, ldx, addend, Y, ldy);                                        \
    }

#define OF_WORDS(name, element)                                                                    \
    OF_ELEMENT(name, element)                                                                      \
    static void name##_take(const struct weights *w, const float *x)                               \
    {                                                                                              \
        const struct panels p = panels_of(element, w);                                             \
        panels_take(&p, 1, x, w->in);                                                              \
    }                                                                                              \
    static void name##_walk(const struct weights *w, int64_t first, int64_t vectors,               \
                            bool backward, const float *x, vfloat acc[WALK_VECTORS])               \
    {                                                                                              \
        const struct panels p = panels_of(element, w);                                             \
        (void)x;                                                                                   \
        panels_walk_words(&p, first, vectors, backward, acc);                                      \
    }

OF_ELEMENT(packed, FLOAT32)
OF_WORDS(bf16, BF16)
OF_WORDS(int8, INT8)

const struct engine packed = {
    .name = "packed",
    .method = "float32; weights in panels of vectors, packed before the clock starts",
    .bytes_per_weight = 4.0,
    .roof = "fma",
    .packs_before = true,
    .arrays = packed_arrays,
    .prepare = packed_prepare,
    .product = packed_product,
    .walk = walk_floats,
};

const struct engine packed_bf16 = {
    .name = "packed-bf16",
    .method = DOTS_BF16
                  ? "panels of bfloat16; inputs rounded to bfloat16, dot products of AVX512_BF16"
                  : "panels of bfloat16, widened to float32; inputs float32",
    .bytes_per_weight = 2.0,
    .roof = DOTS_BF16 ? "fma_bf16" : "fma",
    .packs_before = true,
    .rounds = ROUNDS_BF16,
    .rounds_inputs = DOTS_BF16,
    .arrays = bf16_arrays,
    .prepare = bf16_prepare,
    .product = bf16_product,
    .take = bf16_take,
    .walk = bf16_walk,
};

const struct engine packed_int8 = {
    .name = "packed-int8",
    .method = DOTS_INT8
                  ? "panels of int8, a scale per row; inputs of a token rounded to 8 bits, dot "
                    "products of AVX512_VNNI"
                  : "panels of int8, a scale per row, widened to float32; inputs float32",
    .bytes_per_weight = 1.0,
    .roof = DOTS_INT8 ? "dot_int8" : "fma",
    .packs_before = true,
    .rounds = ROUNDS_INT8,
    .rounds_inputs = DOTS_INT8,
    .arrays = int8_arrays,
    .prepare = int8_prepare,
    .product = int8_product,
    .take = int8_take,
    .walk = int8_walk,
};
