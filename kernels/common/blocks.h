/*
 * blocks.h - block-diagonal matrices: of every gate a block [size,size] per head.
 *
 * Rows are put side by side as a step needs them: head by head, in groups of as many channels as
 * fill WALK_VECTORS vectors with all gates, and in a group gate by gate. The last group of a head is
 * filled up with zeros. The map is of one row, so that groups are panels of engines that have them.
 */
#ifndef SEQBENCH_BLOCKS_H
#define SEQBENCH_BLOCKS_H

#include <string.h>

#include "products.h"

/* Made by the algorithm of the rows of these tensors. */
#define BLOCKS_MAP(made, ...)                                                                      \
    {                                                                                              \
        .matrix = (made), .is_made = true, .rows_of = {__VA_ARGS__}, .one_row = true, .gates = 1,  \
        .gate_vectors = 1                                                                          \
    }

enum { BLOCKS_GROUP = WALK_VECTORS * VMATH_LANES }; /* rows of a group */

struct blocks {
    int64_t heads, size, gates;
};

/* Channels of a group; it is a constant where gates is. */
static inline int64_t blocks_channels(struct blocks b)
{
    return BLOCKS_GROUP / b.gates;
}

static inline int64_t blocks_groups(struct blocks b)
{
    return (b.size + blocks_channels(b) - 1) / blocks_channels(b);
}

/* Rows of a head. */
static inline int64_t blocks_rows(struct blocks b)
{
    return blocks_groups(b) * BLOCKS_GROUP;
}

static inline struct tensor blocks_tensor(const char *name, struct blocks b)
{
    return (struct tensor){.name = name, .shape = {b.heads * blocks_rows(b), b.size}};
}

/* One gate: W[heads,size,size] as [out][in] into its rows of made. */
static inline void blocks_fill(struct blocks b, int64_t gate, const float *W, float *made)
{
    const int64_t channels = blocks_channels(b);
    for (int64_t head = 0; head < b.heads; head++)
        for (int64_t c = 0; c < blocks_groups(b) * channels; c++) {
            const int64_t row = head * blocks_rows(b) + c / channels * BLOCKS_GROUP +
                                gate * channels + c % channels;
            const float *from = W + (head * b.size + c) * b.size;
            for (int64_t i = 0; i < b.size; i++)
                made[row * b.size + i] = c < b.size ? from[i] : 0.0f;
        }
}

/* The rows of one head times x[size], group by group, by panels of the engine: before the first. */
static inline void blocks_take(const struct instance *in, int map, const float *x)
{
    if (in->engine->take)
        in->engine->take(&in->weights[map], x);
}

/* sums[WALK_VECTORS] += one group. Multiply-adds are counted by the caller. */
static inline void blocks_walk(const struct instance *in, int map, struct blocks b, int64_t head,
                               int64_t group, const float *x, vfloat sums[WALK_VECTORS])
{
    in->engine->walk(&in->weights[map], head * blocks_rows(b) + group * BLOCKS_GROUP, WALK_VECTORS,
                     false, x, sums);
}

/*
 * Y[rows, blocks_rows] = the rows of one head times X[rows,size], by panels of the engine or, where
 * it has none, by sgemm. Rows of X lie ldx apart, those of Y blocks_rows. Multiply-adds are counted
 * by the caller.
 */
static inline void blocks_product(const struct instance *in, int map, struct blocks b, int64_t head,
                                  int64_t rows, const float *X, int64_t ldx, float *Y)
{
    const int64_t out = blocks_rows(b);
    const float *matrix = in->weights[map].matrix + head * out * b.size;
    if (!in->engine->walk && rows == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)out, (int)b.size, 1.0f, matrix, (int)b.size,
                    X, 1, 0.0f, Y, 1);
    else if (!in->engine->walk)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)out, (int)b.size, 1.0f,
                    X, (int)ldx, matrix, (int)b.size, 0.0f, Y, (int)out);
    for (int64_t r = 0; in->engine->walk && r < rows; r++, X += ldx, Y += out) {
        blocks_take(in, map, X);
        for (int64_t group = 0; group < blocks_groups(b); group++) {
            vfloat sums[WALK_VECTORS] = {(vfloat){0}};
            blocks_walk(in, map, b, head, group, X, sums);
            for (int v = 0; v < WALK_VECTORS; v++)
                v_store(Y + group * BLOCKS_GROUP + v * VMATH_LANES, sums[v]);
        }
    }
}

#endif
