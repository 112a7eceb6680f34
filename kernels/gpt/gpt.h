/* gpt.h - the tensors of the GPT block and what its variants share around the attention. */
#ifndef SEQBENCH_GPT_H
#define SEQBENCH_GPT_H

#include "block.h"
#include "seqbench.h"

/* x, the parameters of block.h, y. */
enum { GPT_X, GPT_PARAMETERS, GPT_Y = GPT_PARAMETERS + BLOCK_PARAMETERS };

/* Scratch that every variant lists first; its scores follow. */
enum { GPT_NORMED, GPT_QKV, GPT_CONTEXT, GPT_HIDDEN, GPT_SCORES };

extern const struct layer gpt_layer;

/* Lists normed[S,H], qkv[S,3H], context[S,H], hidden[S,F]; returns GPT_SCORES. */
int gpt_scratch(struct dims d, struct tensor out[SCRATCH_MAX]);

/* qkv of LN1(x). */
void gpt_begin(const struct instance *in);

/* Output projection, FFN and both residuals: from context to y. */
void gpt_finish(const struct instance *in);

/*
 * Causal softmax of queries first .. first + rows, in place: query s sees keys 0 .. s, the rest of
 * its row becomes 0. scores[rows,keys], keys >= first + rows
 */
void gpt_causal_softmax(int64_t first, int64_t rows, int64_t keys, float *scores);

#endif
