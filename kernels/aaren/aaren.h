/*
 * aaren.h - the tensors of the Aaren layer and what its algorithms share.
 * Rows of kv are [k | v], 2H floats. Both algorithms turn v into w / u where it lies.
 */
#ifndef SEQBENCH_AAREN_H
#define SEQBENCH_AAREN_H

#include "products.h"

enum { AAREN_X, AAREN_WKV, AAREN_Q, AAREN_WO, AAREN_Y };

extern const struct layer aaren_layer;

/* The linear maps of both algorithms. */
enum { AAREN_OF_KV, AAREN_OF_OUTPUT, AAREN_MAPS };
extern const struct map aaren_maps[AAREN_MAPS];

/* Multiply-adds of the layer, and the scale of the scores. */
struct cost aaren_maps_cost(struct dims d);

/* kv[S,2H] = Wkv x; scores[S,A] = q k / sqrt(H/A). */
void aaren_begin(const struct instance *in, float *kv, float *scores);

/* y = Wo o, o[S,H] where v was. */
void aaren_finish(const struct instance *in, const float *kv);

#endif
