/*
 * engines packed-sparse20, -30, -50: of each 8 rows of a matrix a share of the blocks of 4 inputs,
 * as noise suppression ships its recurrent layers; the others count as zeros. The kept blocks of 8
 * rows lie one behind the other, each with the place of its inputs.
 */
#include <string.h>

#include "common/panels.h"

#if VMATH_LANES >= 8

enum { BLOCK_ROWS = 8, BLOCK_INPUTS = 4, BLOCK_FLOATS = BLOCK_ROWS * BLOCK_INPUTS };
enum { VALUES, PLACES, BIAS };
enum { KEPT_MAX = (1 << 15) / BLOCK_INPUTS };

typedef float vrows __attribute__((vector_size(BLOCK_ROWS * sizeof(float))));

static const char *refuses(struct dims d)
{
    return d.H % BLOCK_ROWS || input_size(d) % BLOCK_INPUTS ? "blocks of 8 x 4 do not fill it"
                                                            : NULL;
}

/* The rows in the order of the map; its gates stand together as in panels. */
static struct panels order_of(const struct weights *w)
{
    const int64_t gates = w->map->gates > 1 ? w->map->gates : 1;
    const int64_t block =
        w->map->gates ? map_gate_vectors(w->map, w->out) * VMATH_LANES : BLOCK_ROWS;
    return (struct panels){.gates = gates, .hid = w->out / gates, .block = block};
}

/* Blocks of 8 rows that are kept: at least one. */
static int64_t kept_blocks(double share, int64_t in)
{
    const int64_t kept = (int64_t)(share * (double)(in / BLOCK_INPUTS) + 0.5);
    return kept > 0 ? kept : 1;
}

static int64_t kept_of(const struct weights *w)
{
    return kept_blocks(w->kept, w->in);
}

static int64_t kept_inputs(double share, int64_t in)
{
    return kept_blocks(share, in) * BLOCK_INPUTS;
}

static uint32_t hash(uint64_t x)
{
    x *= 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 31)) * 0xBF58476D1CE4E5B9u;
    return (uint32_t)(x >> 32);
}

/* Which blocks of 8 rows from `row` on are kept, each set of so many equally likely. */
static void draw(const struct weights *w, int64_t row, int32_t *places)
{
    const int64_t blocks = w->in / BLOCK_INPUTS;
    int64_t wanted = kept_of(w);
    uint64_t state = (w->seed << 32) + (uint64_t)(row / BLOCK_ROWS) * (uint64_t)blocks;
    for (int64_t j = 0; j < blocks; j++)
        if (hash(state++) % (uint64_t)(blocks - j) < (uint64_t)wanted) {
            *places++ = (int32_t)(j * BLOCK_INPUTS);
            wanted--;
        }
}

static void leave_out(const struct weights *w, int64_t row, double *weights)
{
    int32_t places[KEPT_MAX];
    const int64_t kept = kept_of(w);
    draw(w, row, places);
    int64_t k = 0;
    for (int64_t i = 0; i < w->in; i += BLOCK_INPUTS) {
        const bool is_kept = k < kept && places[k] == i;
        for (int64_t j = i; j < i + BLOCK_INPUTS && !is_kept; j++)
            weights[j] = 0.0;
        k += is_kept;
    }
}

static int list_arrays(const struct weights *w, struct tensor out[ENGINE_ARRAYS])
{
    const struct panels order = order_of(w);
    const int64_t groups = panels_rows(&order) / BLOCK_ROWS, kept = kept_of(w);
    out[VALUES] = (struct tensor){.name = "kept blocks", .shape = {groups, kept, BLOCK_FLOATS}};
    out[PLACES] = (struct tensor){.name = "places of blocks", .shape = {groups, kept}};
    out[BIAS] = panels_vector("packed bias", &order);
    return BIAS + 1;
}

static void prepare(const struct weights *w)
{
    const struct panels order = order_of(w);
    const int64_t groups = panels_rows(&order) / BLOCK_ROWS, kept = kept_of(w);
    float *value = w->made[VALUES];
    int32_t places[KEPT_MAX];
    for (int64_t g = 0; g < groups; g++) {
        const int64_t row = panels_row_at(&order, g * BLOCK_ROWS);
        memset(places, 0, sizeof(places));
        if (row >= 0)
            draw(w, row, places);
        memcpy(w->made[PLACES] + g * kept, places, (size_t)kept * sizeof(places[0]));
        for (int64_t k = 0; k < kept; k++)
            for (int64_t i = 0; i < BLOCK_INPUTS; i++)
                for (int64_t r = 0; r < BLOCK_ROWS; r++)
                    *value++ = row < 0 ? 0.0f : w->matrix[(row + r) * w->in + places[k] + i];
    }
    if (w->bias)
        panels_fill_vector(&order, w->bias, 1.0f, w->made[BIAS]);
}

/* sums[rows] += the kept blocks of 8 rows of W times rows of X. rows is a constant. */
static inline __attribute__((always_inline)) void add_blocks(int rows, const struct weights *w,
                                                             int64_t kept, int64_t group,
                                                             const float *X, int64_t ldx,
                                                             vrows *sums)
{
    enum { STREAMS = 4 }; /* so many sums of a single row, to hide the latency */
    const float *value = w->made[VALUES] + group * kept * BLOCK_FLOATS;
    const char *places = (const char *)(w->made[PLACES] + group * kept);
    vrows more[STREAMS] = {(vrows){0}};
    for (int64_t k = 0; k < kept; k++, value += BLOCK_FLOATS) {
        int32_t place;
        memcpy(&place, places + (size_t)k * sizeof(place), sizeof(place));
#pragma GCC unroll 4
        for (int i = 0; i < BLOCK_INPUTS; i++) {
            vrows weights;
            memcpy(&weights, value + i * BLOCK_ROWS, sizeof(weights));
            if (rows == 1)
                more[i] += weights * X[place + i];
            else
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++)
                    sums[r] += weights * X[r * ldx + place + i];
        }
    }
    if (rows == 1)
        sums[0] += (more[0] + more[1]) + (more[2] + more[3]);
}

enum { TILE_ROWS = 8 };

static inline __attribute__((always_inline)) void multiply_tile(int rows, const struct weights *w,
                                                                const float *X, int64_t ldx,
                                                                const float *addend, float *Y,
                                                                int64_t ldy)
{
    const int64_t kept = kept_of(w);
    for (int64_t at = 0; at < w->rows; at += BLOCK_ROWS) {
        vrows sums[TILE_ROWS], start = {0};
        if (w->bias)
            memcpy(&start, w->made[BIAS] + at, sizeof(start));
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            vrows added = {0};
            if (addend)
                memcpy(&added, addend + r * ldy + at, sizeof(added));
            sums[r] = start + added;
        }
        add_blocks(rows, w, kept, at / BLOCK_ROWS, X, ldx, sums);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            if (w->map->relu)
                sums[r] = (vrows)((sums[r] > 0.0f) & (__typeof__(sums[r] > 0.0f))sums[r]);
            memcpy(Y + r * ldy + at, &sums[r], sizeof(sums[r]));
        }
    }
}

static void multiply(const struct weights *w, int64_t rows, const float *X, int64_t ldx,
                     const float *addend, float *Y, int64_t ldy)
{
    for (int64_t r = 0; r < rows;) {
        const float *from = addend ? addend + r * ldy : NULL;
        const bool is_tile = r + TILE_ROWS <= rows;
        if (is_tile)
            multiply_tile(TILE_ROWS, w, X + r * ldx, ldx, from, Y + r * ldy, ldy);
        else
            multiply_tile(1, w, X + r * ldx, ldx, from, Y + r * ldy, ldy);
        r += is_tile ? TILE_ROWS : 1;
    }
}

static void walk(const struct weights *w, int64_t first, int64_t vectors, bool backward,
                 const float *x, vfloat acc[WALK_VECTORS])
{
    (void)backward; /* the few blocks of a panel lie together */
    const int64_t kept = kept_of(w), groups = vectors * VMATH_LANES / BLOCK_ROWS;
    for (int64_t g = 0; g < groups; g++) {
        char *at = (char *)acc + g * (int64_t)sizeof(vrows);
        vrows sum;
        memcpy(&sum, at, sizeof(sum));
        add_blocks(1, w, kept, first / BLOCK_ROWS + g, x, 0, &sum);
        memcpy(at, &sum, sizeof(sum));
    }
}

#define OF_SHARE(percent)                                                                          \
    const struct engine packed_sparse##percent = {                                                 \
        .name = "packed-sparse" #percent,                                                          \
        .method = "float32; of each 8 rows " #percent " % of the blocks of 4 inputs, drawn",       \
        .layers = "lstm,gru,minlstm",                                                              \
        .bytes_per_weight = sizeof(float) + sizeof(int32_t) / (double)BLOCK_FLOATS,                \
        .roof = "fma",                                                                             \
        .kept = percent * 0.01,                                                                    \
        .packs_before = true,                                                                      \
        .refuses = refuses,                                                                        \
        .arrays = list_arrays,                                                                     \
        .prepare = prepare,                                                                        \
        .product = multiply,                                                                       \
        .walk = walk,                                                                              \
        .inputs = kept_inputs,                                                                     \
        .leave_out = leave_out,                                                                    \
    }

OF_SHARE(20);
OF_SHARE(30);
OF_SHARE(50);

#endif
