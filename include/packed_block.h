/*
 * packed_block.h - the linear maps of a Transformer block (block.h) with weights packed once.
 */
#ifndef SEQBENCH_PACKED_BLOCK_H
#define SEQBENCH_PACKED_BLOCK_H

#include "block.h"
#include "packed.h"

enum block_map { MAP_QKV, MAP_OUTPUT, MAP_FIRST, MAP_SECOND, BLOCK_MAPS };

/* Weights and bias among the block's parameters; sizes in H. */
static const struct {
    int weights, bias, out, in;
} block_maps[BLOCK_MAPS] = {
    [MAP_QKV] = {BLOCK_WQKV, BLOCK_BQKV, 3, 1},
    [MAP_OUTPUT] = {BLOCK_WO, BLOCK_BO, 1, 1},
    [MAP_FIRST] = {BLOCK_W1, BLOCK_B1, BLOCK_FFN_FACTOR, 1},
    [MAP_SECOND] = {BLOCK_W2, BLOCK_B2, 1, BLOCK_FFN_FACTOR},
};

/* A matrix of one gate in panels of so many vectors. */
static inline struct packed packed_matrix(int64_t out, int64_t in, int64_t vectors,
                                          const float *panels)
{
    return (struct packed){1, out, VMATH_LANES, in, vectors, panels};
}

/* A map, from what was prepared; the panels of NULL are not known yet. */
static inline struct packed packed_map(enum block_map map, int64_t H, int64_t vectors,
                                       float *const prepared[PREPARED_MAX])
{
    return packed_matrix(block_maps[map].out * H, block_maps[map].in * H, vectors,
                         prepared ? prepared[2 * map] : 0);
}

static inline const float *packed_map_bias(enum block_map map, float *const prepared[PREPARED_MAX])
{
    return prepared[2 * map + 1];
}

/* Lists weights and bias of every map; returns how many. */
static inline int packed_block_tensors(struct dims d, struct tensor out[PREPARED_MAX])
{
    for (int map = 0; map < BLOCK_MAPS; map++) {
        const struct packed w = packed_map(map, d.H, PACKED_VECTORS, 0);
        out[2 * map] = packed_tensor("packed weights", &w);
        out[2 * map + 1] = packed_vector("packed bias", &w);
    }
    return 2 * BLOCK_MAPS;
}

/* Fills them, in panels of so many vectors, from the block's parameters. */
static inline void packed_block_fill(const struct instance *in, int64_t vectors,
                                     float *const parameters[BLOCK_PARAMETERS])
{
    for (int map = 0; map < BLOCK_MAPS; map++) {
        const struct packed w = packed_map(map, in->dims.H, vectors, 0);
        packed_fill(&w, parameters[block_maps[map].weights], w.in, 1.0f, in->prepared[2 * map]);
        packed_fill_vector(&w, parameters[block_maps[map].bias], 1.0f, in->prepared[2 * map + 1]);
    }
}

#endif
