/* attention_layer.h - the tensors of the attention layers, bidirectional and causal. */
#ifndef SEQBENCH_ATTENTION_LAYER_H
#define SEQBENCH_ATTENTION_LAYER_H

#include "common/attention.h"

enum { ATTENTION_X, ATTENTION_WQKV, ATTENTION_BQKV, ATTENTION_WO, ATTENTION_BO, ATTENTION_Y };

enum { ATTENTION_OF_QKV, ATTENTION_OF_OUTPUT, ATTENTION_MAPS };
extern const struct map attention_maps[ATTENTION_MAPS];

extern const struct layer attention_layer, causal_attention_layer;

/* The causal layer's cost with so many pairs of query and key worked out per head. */
struct cost causal_attention_cost(struct dims d, int64_t pairs);

#endif
