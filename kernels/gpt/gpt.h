/* gpt.h - the tensors of the GPT block and what its algorithms share around the attention. */
#ifndef SEQBENCH_GPT_H
#define SEQBENCH_GPT_H

#include "common/attention.h"
#include "common/block.h"

/* x, the parameters of block.h, y. */
enum { GPT_X, GPT_PARAMETERS, GPT_Y = GPT_PARAMETERS + BLOCK_PARAMETERS };

/* Scratch that every algorithm lists first; its scores follow. */
enum { GPT_NORMED, GPT_QKV, GPT_CONTEXT, GPT_HIDDEN, GPT_SCORES };

extern const struct layer gpt_layer;
extern const struct map gpt_maps[BLOCK_MAPS];

/* The layer's cost with so many pairs of query and key worked out per head. */
struct cost gpt_cost(struct dims d, int64_t pairs);

/* Lists normed[B,S,H], qkv[B,S,qkv_channels], context[B,S,H], hidden[B,S,F]; returns GPT_SCORES. */
int gpt_scratch(struct dims d, struct tensor out[SCRATCH_MAX]);

/* qkv of LN1(x). */
void gpt_begin(const struct instance *in);

/* Output projection, FFN and both residuals: from context to y. */
void gpt_finish(const struct instance *in);

/* The whole block, with this attention between the two. */
void gpt_run(const struct instance *in, attend_by_scores *attend);

#endif
